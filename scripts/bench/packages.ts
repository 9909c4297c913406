// The contestants that are npm packages: installed in this folder when they are missing, never in the product.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import path from "node:path"

const installed = (name: string) => existsSync(path.join(import.meta.dirname, "node_modules", name))

/** Installs once; those that cannot be had are left out of the bench, and said. */
export const installPackages = (names: ReadonlyArray<string>): void => {
  if (names.every(installed)) return
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: import.meta.dirname,
    stdio: ["ignore", 2, 2]
  })
}

export const isInstalled = (names: ReadonlyArray<string>): boolean => names.every(installed)

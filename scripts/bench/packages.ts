// The contestants from npm: installed in this folder if they are missing, never in the product.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import path from "node:path"

const installed = (name: string) => existsSync(path.join(import.meta.dirname, "node_modules", name))

/** Installs the packages once. If that fails, the benchmark reports and omits their contestants. */
export const installPackages = (names: ReadonlyArray<string>): void => {
  if (names.every(installed)) return
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: import.meta.dirname,
    stdio: ["ignore", 2, 2]
  })
}

export const isInstalled = (names: ReadonlyArray<string>): boolean => names.every(installed)

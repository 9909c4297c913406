// The contestants from npm: installed in this folder if they are missing, never in the product.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

const isInstalled = (name: string): boolean =>
  existsSync(path.join(import.meta.dirname, "node_modules", name))

/** Installs the packages once. If that fails, the benchmark names and omits their contestants. */
export const installPackages = (): void => {
  const { dependencies } = JSON.parse(
    readFileSync(path.join(import.meta.dirname, "package.json"), "utf8")
  ) as { readonly dependencies: Readonly<Record<string, string>> }
  if (Object.keys(dependencies).every(isInstalled)) return
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: import.meta.dirname,
    stdio: ["ignore", 2, 2]
  })
}

/** Returns which of the packages are missing, as a clause. */
export const missingPackages = (names: ReadonlyArray<string>): string | undefined => {
  const missing = names.filter((name) => !isInstalled(name))
  return missing.length === 0 ? undefined : `not installed: npm package ${missing.join(", ")}`
}

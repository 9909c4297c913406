// The runtimes, from packages of npm with exact versions and digests (package-lock.json here). None
// of them runs an install script, and none is part of the product.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import path from "node:path"

export interface Runtime {
  /** Its name as an argument and in the record. */
  readonly name: string
  readonly binary: string
  /** Whether the whole suite runs on it; otherwise the library's smoke. */
  readonly suite: boolean
  /** Arguments that run a file of JavaScript. */
  readonly run: ReadonlyArray<string>
}

const at = (file: string) => path.join(import.meta.dirname, "node_modules", file)

export const runtimes: ReadonlyArray<Runtime> = [
  ...["node20", "node22", "node24"].map((name) => ({
    name,
    binary: at(`${name}/bin/node`),
    suite: true,
    run: []
  })),
  { name: "bun", binary: at("bun/bin/bun"), suite: false, run: ["run"] },
  {
    name: "deno",
    binary: at("deno/deno"),
    suite: false,
    run: ["run", "--allow-all", "--node-modules-dir=manual"]
  }
]

/** Installs the runtimes once. Exits when that fails: there is nothing to test. */
export const installRuntimes = (): void => {
  if (runtimes.every(({ binary }) => existsSync(binary))) return
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: import.meta.dirname,
    stdio: ["ignore", 2, 2]
  })
  if (status !== 0) process.exit(1)
}

/** Returns the version that a runtime reports: `24.11.1`. */
export const versionOf = ({ binary }: Runtime): string =>
  /\d+\.\d+\.\d+/.exec(spawnSync(binary, ["--version"], { encoding: "utf8" }).stdout ?? "")?.[0] ??
  "unknown"

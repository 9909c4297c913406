// Builds dist/: the command (esbuild), the library with its types (TypeScript), manual pages. `--if-stale`
// skips a build that is newer than every source; `--command-only` skips the library.
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import path from "node:path"
import { buildCommand } from "./command/build.ts"
import { compiler } from "./compiler.ts"
import { looseTypes } from "./check/publicTypes.ts"

const root = path.resolve(import.meta.dirname, "..")
const bin = path.join(root, "dist/sealwire.js")

/** Folders included: a removed file changes only its folder. */
const newestMtime = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).reduce(
    (latest, entry) => Math.max(latest, statSync(path.join(entry.parentPath, entry.name)).mtimeMs),
    0
  )

const library = path.join(root, "dist/lib/index.js")

const isStale = (built: string): boolean => {
  const inputs = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "scripts/build.ts",
    "scripts/compiler.ts",
    "scripts/manual.ts",
    "scripts/command/build.ts",
    "scripts/command/entry.js",
    "scripts/command/launch.ts",
    "scripts/command/script.ts"
  ].map((file) => path.join(root, file))
  const sources = Math.max(
    newestMtime(path.join(root, "src")),
    ...inputs.map((file) => statSync(file).mtimeMs)
  )
  return (
    !process.argv.includes("--if-stale") || !existsSync(built) || statSync(built).mtimeMs < sources
  )
}

const buildLibrary = () => {
  // Built aside and renamed: another process may be loading the library.
  const built = path.dirname(library)
  const fresh = path.join(root, `dist/.fresh-lib-${process.pid}`)
  execFileSync(compiler(), ["-p", "scripts/tsconfig.lib.json", "--outDir", fresh], {
    cwd: root,
    stdio: "inherit"
  })
  const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { readonly types: string }>
  }
  const entryPoints = Object.values(exports).flatMap((entry) =>
    typeof entry === "string" ? [] : [path.relative(built, path.join(root, entry.types))]
  )
  const problems = looseTypes(fresh, entryPoints)
  for (const problem of problems) console.error(problem)
  if (problems.length === 0) {
    rmSync(built, { recursive: true, force: true })
    renameSync(fresh, built)
  }
  rmSync(fresh, { recursive: true, force: true })
  if (problems.length > 0) process.exit(1)
}

if (!process.argv.includes("--command-only") && isStale(library)) {
  buildLibrary()
  // Loaded here: the command alone is built in a fraction of the time.
  const { buildManual } = await import("./manual.ts")
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    version: string
  }
  buildManual(root, version)
}
if (isStale(bin)) await buildCommand(root)

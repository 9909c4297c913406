// Builds dist/: the command (esbuild), and the library with its types (tsc).
// `--if-stale` does nothing when what is built is newer than every source; `--command-only` leaves the library out.
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import path from "node:path"
import { buildCommand } from "./command/build.ts"
import { looseTypes } from "./check/publicTypes.ts"

const root = path.resolve(import.meta.dirname, "..")
const bin = path.join(root, "dist/sealwire.js")

const newest = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (latest, entry) =>
        Math.max(latest, statSync(path.join(entry.parentPath, entry.name)).mtimeMs),
      0
    )

const library = path.join(root, "dist/lib/index.js")

const stale = (built: string): boolean => {
  const inputs = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "scripts/build.ts",
    "scripts/command/build.ts"
  ].map((file) => path.join(root, file))
  const sources = Math.max(
    newest(path.join(root, "src")),
    ...inputs.map((file) => statSync(file).mtimeMs)
  )
  return (
    !process.argv.includes("--if-stale") || !existsSync(built) || statSync(built).mtimeMs < sources
  )
}

const buildLibrary = () => {
  // Whole or not at all: another may be loading it.
  const built = path.dirname(library)
  const fresh = path.join(root, `dist/.fresh-lib-${process.pid}`)
  execFileSync(
    process.execPath,
    ["node_modules/typescript/bin/tsc", "-p", "scripts/tsconfig.lib.json", "--outDir", fresh],
    {
      cwd: root,
      stdio: "inherit"
    }
  )
  const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { readonly types: string }>
  }
  const doors = Object.values(exports).flatMap((door) =>
    typeof door === "string" ? [] : [path.relative(built, path.join(root, door.types))]
  )
  const problems = looseTypes(fresh, doors)
  for (const problem of problems) console.error(problem)
  if (problems.length === 0) {
    rmSync(built, { recursive: true, force: true })
    renameSync(fresh, built)
  }
  rmSync(fresh, { recursive: true, force: true })
  if (problems.length > 0) process.exit(1)
}

if (!process.argv.includes("--command-only") && stale(library)) buildLibrary()
if (stale(bin)) await buildCommand(root)

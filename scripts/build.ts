// Builds dist/: the command and the parts it loads when they are asked for (esbuild), and the library with its types (tsc).
// `--if-stale` does nothing when what is built is newer than every source; `--command-only` leaves the library out.
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import path from "node:path"
import { looseTypes } from "./check/publicTypes.ts"

const root = path.resolve(import.meta.dirname, "..")
const bin = path.join(root, "dist/sealwire.js")
/** What the command loads: each part is named for its content. */
const parts = path.join(root, "dist/sealwire")

const newest = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(path.join(entry.parentPath, entry.name)).mtimeMs), 0)

const library = path.join(root, "dist/lib/index.js")

const stale = (built: string): boolean => {
  const inputs = ["package.json", "package-lock.json", "tsconfig.json", "scripts/build.ts"].map((file) => path.join(root, file))
  const sources = Math.max(newest(path.join(root, "src")), ...inputs.map((file) => statSync(file).mtimeMs))
  return !process.argv.includes("--if-stale") || !existsSync(built) || statSync(built).mtimeMs < sources
}

const buildLibrary = () => {
  // Whole or not at all: another may be loading it.
  const built = path.dirname(library)
  const fresh = path.join(root, `dist/.fresh-lib-${process.pid}`)
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "scripts/tsconfig.lib.json", "--outDir", fresh], {
    cwd: root,
    stdio: "inherit"
  })
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

const buildCommand = async () => {
  // Whole or not at all: another may be starting it.
  const fresh = path.join(root, `dist/.fresh-${process.pid}`)
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { version: string }
  await build({
    absWorkingDir: root,
    entryPoints: { sealwire: "src/cli/main.ts" },
    outdir: fresh,
    bundle: true,
    // The databases of the inbox are a part of their own, and cost nobody else's start.
    splitting: true,
    chunkNames: "sealwire/[hash]",
    // Machine code, for who wants it; a SQLite file needs no client for servers.
    external: ["libsql", "pg-native", "pg-cloudflare"],
    alias: { "@libsql/client": "@libsql/client/sqlite3" },
    platform: "node",
    target: "node20",
    format: "esm",
    // Names stay whole: tags and traces are read from them.
    minifySyntax: true,
    minifyWhitespace: true,
    define: { SEALWIRE_VERSION: JSON.stringify(version) },
    // Bundled CommonJS asks for `require`, which an ES module does not have.
    banner: {
      js: '#!/usr/bin/env node\nimport { createRequire as sealwireCreateRequire } from "node:module"; const require = sealwireCreateRequire(import.meta.url);'
    },
    logLevel: "warning"
  })
  mkdirSync(parts, { recursive: true })
  const made = readdirSync(path.join(fresh, "sealwire"))
  for (const part of made) renameSync(path.join(fresh, "sealwire", part), path.join(parts, part))
  chmodSync(path.join(fresh, "sealwire.js"), 0o755)
  renameSync(path.join(fresh, "sealwire.js"), bin)
  rmSync(fresh, { recursive: true })
  for (const part of readdirSync(parts)) if (!made.includes(part)) rmSync(path.join(parts, part))
}

if (!process.argv.includes("--command-only") && stale(library)) buildLibrary()
if (stale(bin)) await buildCommand()

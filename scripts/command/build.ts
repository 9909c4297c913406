// dist/sealwire.js and the parts it starts with: each is named for its content.
import { build, type BuildOptions, type Plugin } from "esbuild"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import path from "node:path"

const common: BuildOptions = {
  bundle: true,
  // Machine code, for who wants it; a SQLite file needs no client for servers.
  external: ["libsql", "pg-native", "pg-cloudflare"],
  alias: { "@libsql/client": "@libsql/client/sqlite3" },
  platform: "node",
  target: "node20",
  // It is read as latin1.
  charset: "ascii",
  // Names stay whole: tags and traces are read from them.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: "warning"
}

/** A file that starts as a thread, and so stays one of its own. */
const aside = (source: string, built: string): Plugin => ({
  name: "aside",
  setup: ({ onResolve }) =>
    onResolve({ filter: new RegExp(`/${path.basename(source).replace(".", "\\.")}$`) }, () => ({
      path: `./${built}`,
      external: true
    }))
})

const threadUrl = 'const threadUrl = require("node:url").pathToFileURL(__filename).href;'

export const buildCommand = async (root: string): Promise<void> => {
  const dist = path.join(root, "dist")
  // Whole or not at all: another may be starting it.
  const fresh = path.join(dist, `.fresh-${process.pid}`)
  const made = (): ReadonlyArray<string> => readdirSync(path.join(fresh, "sealwire"))
  const named = {
    absWorkingDir: root,
    outdir: path.join(fresh, "sealwire"),
    entryNames: "[name]-[hash]"
  }
  const thread = "src/files/workers/chunkWorker.ts"
  const cjs: BuildOptions = { ...common, ...named, format: "cjs", outExtension: { ".js": ".cjs" } }
  const here = "import.meta.url"
  await build({
    ...cjs,
    entryPoints: [thread],
    define: { [here]: "threadUrl" },
    banner: { js: threadUrl }
  })
  const [builtThread = ""] = made()

  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    version: string
  }
  await build({
    ...cjs,
    entryPoints: { main: "src/cli/main.ts" },
    plugins: [aside(thread, builtThread)],
    // What V8 has compiled knows no import(): require does it.
    supported: { "dynamic-import": false },
    define: { SEALWIRE_VERSION: JSON.stringify(version), [here]: "sealwireUrl" }
  })
  const main = made().find((name) => name.startsWith("main-")) ?? ""
  const compile = path.join(import.meta.dirname, "compile.ts")
  execFileSync(process.execPath, ["--import", "tsx", compile, path.join(fresh, "sealwire", main)], {
    cwd: root,
    stdio: "ignore"
  })

  await build({
    ...common,
    absWorkingDir: root,
    entryPoints: { sealwire: "scripts/command/launch.ts" },
    outdir: fresh,
    format: "esm",
    banner: { js: "#!/usr/bin/env node" },
    define: { SEALWIRE_MAIN: JSON.stringify(main) }
  })

  const parts = path.join(dist, "sealwire")
  mkdirSync(parts, { recursive: true })
  const names = made()
  for (const name of names) renameSync(path.join(fresh, "sealwire", name), path.join(parts, name))
  chmodSync(path.join(fresh, "sealwire.js"), 0o755)
  renameSync(path.join(fresh, "sealwire.js"), path.join(dist, "sealwire.js"))
  rmSync(fresh, { recursive: true })
  for (const name of readdirSync(parts)) if (!names.includes(name)) rmSync(path.join(parts, name))
}

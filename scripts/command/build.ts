// Builds dist/sealwire.js and its parts in dist/sealwire, which have their content hash in their
// names.
import { build, type BuildOptions, type Plugin } from "esbuild"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import path from "node:path"

const common: BuildOptions = {
  bundle: true,
  // Optional native addons.
  external: ["libsql", "pg-native", "pg-cloudflare"],
  platform: "node",
  target: "node20",
  // launch.ts reads the code as latin1.
  charset: "ascii",
  // Identifiers stay: tags and stack traces use them.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: "warning"
}

/** Keeps the entry file of a worker thread separate. */
const externalWorker = (source: string, built: string): Plugin => ({
  name: "external-worker",
  setup: ({ onResolve }) =>
    onResolve({ filter: new RegExp(`/${path.basename(source).replace(".", "\\.")}$`) }, () => ({
      path: `./${built}`,
      external: true
    }))
})

// CommonJS has no import.meta.url.
const fileUrl = 'const fileUrl = require("node:url").pathToFileURL(__filename).href;'

/** The numbers of the oldest version of `engines`: ">=20.19" -> [20, 19]. */
const neededVersion = (range: string): ReadonlyArray<number> => {
  const [, major, minor] = /^>=(\d+)\.(\d+)$/.exec(range) ?? []
  if (major === undefined) throw new Error(`engines.node is not >=MAJOR.MINOR: ${range}`)
  return [Number(major), Number(minor)]
}

export const buildCommand = async (root: string): Promise<void> => {
  const dist = path.join(root, "dist")
  // Built aside and renamed: another process may be starting the command.
  const fresh = path.join(dist, `.fresh-${process.pid}`)
  const outputs = (): ReadonlyArray<string> => readdirSync(path.join(fresh, "sealwire"))
  const outputNames = {
    absWorkingDir: root,
    outdir: path.join(fresh, "sealwire"),
    entryNames: "[name]-[hash]"
  }
  const thread = "src/files/workers/chunkWorker.ts"
  const cjs: BuildOptions = {
    ...common,
    ...outputNames,
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    banner: { js: fileUrl }
  }
  const define = { "import.meta.url": "fileUrl" }
  await build({
    ...cjs,
    entryPoints: [thread],
    define
  })
  const [builtThread = ""] = outputs()

  const { version, engines } = JSON.parse(
    readFileSync(path.join(root, "package.json"), "utf8")
  ) as {
    version: string
    engines: { node: string }
  }
  await build({
    ...cjs,
    entryPoints: { main: "src/cli/main.ts" },
    plugins: [externalWorker(thread, builtThread)],
    // Code from a V8 cache cannot use import(); require can load the same modules.
    supported: { "dynamic-import": false },
    define: { ...define, SEALWIRE_VERSION: JSON.stringify(version) }
  })
  const main = outputs().find((name) => name.startsWith("main-")) ?? ""
  const compile = path.join(import.meta.dirname, "compile.ts")
  execFileSync(process.execPath, ["--import", "tsx", compile, path.join(fresh, "sealwire", main)], {
    cwd: root,
    stdio: "ignore"
  })

  await build({
    ...common,
    ...outputNames,
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    entryPoints: { launch: "scripts/command/launch.ts" },
    define: { SEALWIRE_MAIN: JSON.stringify(main) }
  })
  const launch = outputs().find((name) => name.startsWith("launch-")) ?? ""
  await build({
    ...common,
    absWorkingDir: root,
    entryPoints: { sealwire: "scripts/command/entry.js" },
    outdir: fresh,
    format: "esm",
    target: "es5",
    banner: { js: "#!/usr/bin/env node" },
    define: {
      SEALWIRE_NODE: JSON.stringify(neededVersion(engines.node)),
      SEALWIRE_LAUNCH: JSON.stringify(launch)
    }
  })

  const parts = path.join(dist, "sealwire")
  mkdirSync(parts, { recursive: true })
  const names = outputs()
  for (const name of names) renameSync(path.join(fresh, "sealwire", name), path.join(parts, name))
  chmodSync(path.join(fresh, "sealwire.js"), 0o755)
  renameSync(path.join(fresh, "sealwire.js"), path.join(dist, "sealwire.js"))
  rmSync(fresh, { recursive: true })
  for (const name of readdirSync(parts)) if (!names.includes(name)) rmSync(path.join(parts, name))
}

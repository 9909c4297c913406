// The processes of the bench run what users run: our sources bundled as for the command, not TypeScript on the fly.
import { build } from "esbuild"
import path from "node:path"

/** Beside the packages of the bench, so that they are found from it. */
export const bundle = path.join(import.meta.dirname, "node_modules/.bench/child.js")

export const makeBundle = () =>
  build({
    entryPoints: [path.join(import.meta.dirname, "child.ts")],
    outdir: path.dirname(bundle),
    bundle: true,
    // Nobody carries, or needs, what another contestant imports.
    splitting: true,
    // Bundled CommonJS asks for `require`, which an ES module does not have.
    banner: {
      js: 'import { createRequire as benchCreateRequire } from "node:module"; const require = benchCreateRequire(import.meta.url);'
    },
    external: [
      "@hyperswarm/*",
      "@chainsafe/*",
      "@libp2p/*",
      "libsql",
      "pg-native",
      "pg-cloudflare"
    ],
    alias: { "@libsql/client": "@libsql/client/sqlite3" },
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning"
  })

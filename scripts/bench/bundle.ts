// The processes of the benchmark run bundled sources, as users do, not TypeScript compiled on the
// fly.
import { build } from "esbuild"
import path from "node:path"

/** Lies beside the packages of the benchmark, so that Node resolves them from it. */
export const bundle = path.join(import.meta.dirname, "node_modules/.bench/child.js")

export const makeBundle = () =>
  build({
    entryPoints: [path.join(import.meta.dirname, "child.ts")],
    outdir: path.dirname(bundle),
    bundle: true,
    // Each contestant loads only its own imports.
    splitting: true,
    // Bundled CommonJS needs `require`, which an ES module lacks.
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
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning"
  })

// The processes of the bench run what users run: our sources bundled as for the command, not TypeScript on the fly.
import { build } from "esbuild"
import path from "node:path"

/** Beside the packages of the bench, so that they are found from it. */
export const bundle = path.join(import.meta.dirname, "node_modules/.bench/child.js")

export const makeBundle = () =>
  build({
    entryPoints: [path.join(import.meta.dirname, "child.ts")],
    outfile: bundle,
    bundle: true,
    external: ["@hyperswarm/*", "@chainsafe/*", "@libp2p/*"],
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning"
  })

// TypeScript with the Effect diagnostics (a floating Effect is an error). It is a native program:
// it checks this repository in a fifth of the CPU time of tsc.
import { createRequire } from "node:module"
import path from "node:path"

const platform = `${process.platform}-${process.arch}`

/** Returns the path of the compiler; throws on a platform that it does not support. */
export const compiler = (): string => {
  try {
    // The optional dependency of @effect/tsgo that npm installs on this platform.
    const manifest = createRequire(import.meta.url).resolve(`@effect/tsgo-${platform}/package.json`)
    return path.join(
      path.dirname(manifest),
      "lib",
      process.platform === "win32" ? "tsc.exe" : "tsc"
    )
  } catch (cause) {
    throw new Error(
      `no compiler for ${platform}; run npm ci, or use a platform that @effect/tsgo supports`,
      { cause }
    )
  }
}

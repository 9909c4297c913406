import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { Script } from "node:vm"

/**
 * The parameters of the command's code, as Node passes them to CommonJS. esbuild replaces
 * `import.meta.url` by `sealwireUrl`.
 */
const parameters = "require, module, exports, sealwireUrl"

/** The command as a script, from its code and the V8 code cache, if this V8 accepts it. */
export const scriptOf = (file: string, code: string, cachedData?: Buffer): Script =>
  new Script(`(function (${parameters}) {${code}\n})`, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData })
  })

type Start = (require: NodeJS.Require, module: object, exports: object, url: string) => void

export const run = (script: Script, file: string): void => {
  const url = pathToFileURL(file).href
  ;(script.runInThisContext() as Start)(createRequire(url), { exports: {} }, {}, url)
}

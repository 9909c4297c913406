import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { Script } from "node:vm"

/** What the command's code is given, as Node gives it to CommonJS; esbuild puts `sealwireUrl` for `import.meta.url`. */
const parameters = "require, module, exports, sealwireUrl"

/** The command, from its code and from what V8 has compiled of it before, where this V8 takes that. */
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

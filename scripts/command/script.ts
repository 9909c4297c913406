import { createRequire } from "node:module"
import { Script } from "node:vm"

/** The parameters of the command's code, as Node passes them to CommonJS. */
const parameters = "require, module, exports, __filename"

/** The command as a script, from its code and the V8 code cache, if this V8 accepts it. */
export const scriptOf = (file: string, code: string, cachedData?: Buffer): Script =>
  new Script(`(function (${parameters}) {${code}\n})`, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData })
  })

/** The exports of src/cli/main.ts. */
interface Command {
  readonly main: () => void
}

type Load = (
  require: NodeJS.Require,
  module: { readonly exports: object },
  exports: object,
  file: string
) => void

/** Loads the command and runs it with the arguments of this process. */
export const start = (script: Script, file: string): void => {
  const module = { exports: {} }
  ;(script.runInThisContext() as Load)(createRequire(file), module, module.exports, file)
  ;(module.exports as Command).main()
}

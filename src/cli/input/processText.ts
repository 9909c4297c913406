// The text that a process starts with: arguments, variables, the working directory. Node decodes it
// before this program runs and replaces bytes that are not UTF-8 by U+FFFD, so that the text names
// another file, and is another passphrase or message. Such text is refused.
import { readFileSync, readlinkSync } from "node:fs"
import { userInfo } from "node:os"
import * as Either from "effect/Either"
import * as Utf8 from "../../bytes/Utf8.ts"
import * as Environment from "../../keys/Environment.ts"

/** Returns the bytes of the arguments of `run`, or throws where the system does not show them. */
export type OriginalArguments = () => ReadonlyArray<Uint8Array>

/** The last `count` arguments of this process, from /proc (Linux). */
export const processArguments =
  (count: number): OriginalArguments =>
  () => {
    const words: Array<Buffer> = []
    const all = readFileSync("/proc/self/cmdline")
    for (let at = 0; at < all.length; at = all.indexOf(0, at) + 1)
      words.push(all.subarray(at, all.indexOf(0, at)))
    return words.slice(words.length - count)
  }

const advice =
  "give text in UTF-8; pipe in a message of other bytes, and rename a file with such a name"

/** Why the arguments cannot be used; undefined if they can. Repeats nothing of them. */
export const argumentFault = (
  args: ReadonlyArray<string>,
  original: OriginalArguments | undefined
): string | undefined => {
  const isSuspect = (text: string) => text.includes(Utf8.replacement)
  const surrogate = args.findIndex((text) => !Utf8.isWellFormed(text))
  if (surrogate >= 0) return `argument ${surrogate + 1} is not valid Unicode; ${advice}`
  if (original === undefined || !args.some(isSuspect)) return undefined
  let words: ReadonlyArray<Uint8Array>
  try {
    words = original()
  } catch {
    words = []
  }
  for (const [index, text] of args.entries()) {
    if (!isSuspect(text)) continue
    const word = words[index]
    const fault = word === undefined ? undefined : Utf8.faultOf(word)
    if (fault !== undefined)
      return `argument ${index + 1} is not valid UTF-8 (byte ${fault.offset + 1}); ${advice}`
    if (word === undefined || Utf8.decode(word) !== text)
      return `argument ${index + 1} ${Environment.unknown}; ${advice}`
  }
  return undefined
}

/** The variables that name folders, and the one with a passphrase. */
export const variables = [
  "XDG_CONFIG_HOME",
  "HOME",
  "TMPDIR",
  "TMP",
  "TEMP",
  "SEALWIRE_PASSPHRASE"
] as const

/** Why a variable or the working directory cannot be used; undefined if all can. */
export const environmentFault = (env: Environment.Variables): string | undefined => {
  for (const name of variables) {
    // HOME is the default of XDG_CONFIG_HOME.
    if (name === "HOME" && (env.XDG_CONFIG_HOME ?? "") !== "") continue
    const found = Environment.variable(name, env)
    if (Either.isLeft(found))
      return `the environment variable ${name} ${found.left}; set it to a value in UTF-8`
  }
  if ((env.XDG_CONFIG_HOME ?? "") === "" && !isHomeUsable())
    return "the path of this user's home is not valid UTF-8; set XDG_CONFIG_HOME"
  return isFolderUsable() ? undefined : "the path of the working directory is not valid UTF-8"
}

/** Without HOME the system names the folder; if it does not, a command that needs it says so. */
const isHomeUsable = (): boolean => {
  if ((process.env.HOME ?? "") !== "") return true
  try {
    return Utf8.decode(userInfo({ encoding: "buffer" }).homedir) !== undefined
  } catch {
    return true
  }
}

const isFolderUsable = (): boolean => {
  try {
    if (!process.cwd().includes(Utf8.replacement)) return true
    return Utf8.decode(readlinkSync("/proc/self/cwd", "buffer")) !== undefined
  } catch (cause) {
    // ENOENT: the folder was removed, and relative paths lead nowhere.
    return (cause as NodeJS.ErrnoException).syscall !== "readlink"
  }
}

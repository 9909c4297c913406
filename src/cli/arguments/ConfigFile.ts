// A configuration file: a TOML document that no other user can have written.
import { shown } from "../../bytes/excerpt.ts"
import { constants } from "node:fs"
import { open } from "node:fs/promises"
import { parse, TomlError } from "smol-toml"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Utf8 from "../../bytes/Utf8.ts"
import * as Printable from "../../bytes/Printable.ts"

/** A configuration file that cannot be used. */
export class ConfigInvalid extends Data.TaggedError("ConfigInvalid")<{
  /** The file, with the line if it is known: "sealwire.toml:3". */
  readonly where: string
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.where)}: ${this.detail}`
  }
}

/** The maximum size of a configuration file, in bytes. */
const maxFileBytes = 1024 * 1024

/** A parsed configuration file. `text` gives the line numbers that the parser does not keep. */
export interface ConfigFile {
  readonly text: string
  readonly table: Readonly<Record<string, unknown>>
}

/**
 * Reads and parses a regular file of at most 1 MiB. Fails with ConfigInvalid if the file belongs to
 * another user than this one or root, or if group or others can write to it.
 */
export const read = (file: string): Effect.Effect<ConfigFile, ConfigInvalid> =>
  Effect.gen(function* () {
    const bytes = yield* readBytes(file)
    const text = Utf8.decode(bytes)
    if (text === undefined) {
      const { line = 0, column = 0 } = Utf8.faultOf(bytes) ?? {}
      return yield* new ConfigInvalid({
        where: `${file}:${line}:${column}`,
        detail: "not valid UTF-8"
      })
    }
    return yield* Effect.try({
      try: () => ({ text, table: parse(text) }),
      catch: (cause) => syntaxError(file, cause)
    })
  })

const syntaxError = (file: string, cause: unknown): ConfigInvalid =>
  cause instanceof TomlError
    ? new ConfigInvalid({
        where: `${file}:${cause.line}:${cause.column}`,
        detail: Printable.line(cause.message.split("\n", 1)[0] ?? "").replace(
          "Invalid TOML document: ",
          ""
        )
      })
    : new ConfigInvalid({ where: file, detail: String(cause) })

const readHints: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EACCES: "permission denied"
}

const readBytes = (file: string): Effect.Effect<Uint8Array, ConfigInvalid> =>
  Effect.tryPromise({
    try: async () => {
      // One descriptor for check and read: the path could be replaced in between.
      const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        const stats = await handle.stat()
        const me = process.geteuid?.() ?? stats.uid
        if (!stats.isFile()) throw new Error("is not a regular file")
        if (stats.size > maxFileBytes) throw new Error(`is larger than ${maxFileBytes} bytes`)
        // Options can start programs and name files, with this user's rights.
        if (stats.uid !== me && stats.uid !== 0)
          throw new Error(
            `belongs to another user (uid ${stats.uid}); try: chown ${me} ${shown(file)}`
          )
        if ((stats.mode & 0o022) !== 0)
          throw new Error(`others can change it; try: chmod go-w ${shown(file)}`)
        return await handle.readFile()
      } finally {
        await handle.close()
      }
    },
    catch: (cause) => {
      const { code, message } = cause as NodeJS.ErrnoException
      return new ConfigInvalid({
        where: file,
        detail: code === undefined ? message : (readHints[code] ?? `cannot be read (${code})`)
      })
    }
  })

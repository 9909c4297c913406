import { constants } from "node:fs"
import { mkdir, open, type FileHandle } from "node:fs/promises"
import { homedir } from "node:os"
import path from "node:path"
import * as Effect from "effect/Effect"
import { PeersInvalid } from "./Peers.ts"

/** `$XDG_CONFIG_HOME/sealwire`, or `~/.config/sealwire`. */
export const folder = (): string => path.join(process.env.XDG_CONFIG_HOME || path.join(homedir(), ".config"), "sealwire")

/** The longest peers file, in bytes: a hundred thousand peers. */
const maxFileBytes = 16 * 1024 * 1024

/** The text of a peers file, and "" where there is none. Refused when others can change it: they would choose who is trusted. */
export const read = (file: string): Effect.Effect<string, PeersInvalid> =>
  Effect.tryPromise({ try: () => readChecked(file), catch: (cause) => invalid(file, cause) })

/** Adds a line at the end, flushed; makes file (0600) and folder (0700) when they are missing. */
export const append = (file: string, line: string): Effect.Effect<void, PeersInvalid> =>
  Effect.tryPromise({
    try: async () => {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
      await using(open(file, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600), async (handle) => {
        const { size } = await handle.stat()
        const last = Buffer.alloc(1)
        if (size > 0) await handle.read(last, 0, 1, size - 1)
        await handle.appendFile(`${size > 0 && last[0] !== 0x0a ? "\n" : ""}${line}`)
        await handle.sync()
      })
    },
    catch: (cause) => invalid(file, cause)
  })

const readChecked = async (file: string): Promise<string> => {
  try {
    return await using(open(file, constants.O_RDONLY | constants.O_NONBLOCK), async (handle) => {
      const stats = await handle.stat()
      if (!stats.isFile()) throw new Error("is not a regular file")
      const me = process.geteuid?.() ?? stats.uid
      if (stats.uid !== me && stats.uid !== 0)
        throw new Error(`belongs to another user (uid ${stats.uid}); try: chown ${me} ${file}`)
      if ((stats.mode & 0o022) !== 0) throw new Error(`others can change it; try: chmod 600 ${file}`)
      if (stats.size > maxFileBytes) throw new Error(`has more than ${maxFileBytes} bytes`)
      return await handle.readFile("utf8")
    })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return ""
    throw cause
  }
}

const using = async <A>(opening: Promise<FileHandle>, use: (handle: FileHandle) => Promise<A>): Promise<A> => {
  const handle = await opening
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}

const invalid = (file: string, cause: unknown): PeersInvalid => {
  const { code, message } = cause as NodeJS.ErrnoException
  return new PeersInvalid({ file, line: 0, detail: code === undefined ? message : `cannot be used (${code})` })
}

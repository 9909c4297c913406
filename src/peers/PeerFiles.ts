// The files that say who is trusted, on disk: read only where nobody else can change them, changed whole or not at all.
import { constants, type Stats } from "node:fs"
import {
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
  type FileHandle
} from "node:fs/promises"
import { homedir } from "node:os"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Printable from "../bytes/Printable.ts"
import { locked, type Lock, type PeersBusy } from "./PeerLock.ts"
import { PeersInvalid, type Parse } from "./Peers.ts"
import * as TemporaryFile from "../keys/TemporaryFile.ts"

/** `$XDG_CONFIG_HOME/sealwire`, or `~/.config/sealwire`. */
export const folder = (): string =>
  path.join(process.env.XDG_CONFIG_HOME || path.join(homedir(), ".config"), "sealwire")

/** The longest peers file, in bytes: a hundred thousand peers. */
const maxFileBytes = 16 * 1024 * 1024

/** How many symbolic links in a row are followed to a file that is not there yet. */
const maxLinks = 8

/** The text of a peers file, and "" where there is none. Refused when others can change it: they would choose who is trusted. */
export const read = (file: string): Effect.Effect<string, PeersInvalid> =>
  Effect.map(
    attempt(file, () => readChecked(file)),
    ({ text }) => text
  )

/** What is to stand in the file instead, and what the editor wants to know of it. */
export interface Change<A> {
  readonly text: string
  readonly result: A
}

/**
 * Changes a peers file, one editor at a time: `change` gets what stands there and says what shall. A file and a folder that are missing
 * are made (0600, 0700); of one that is there owner and mode stay, and a symbolic link stays one. Nothing is written where nothing
 * changes, nor what `parse` would not read. Whoever reads sees the file before or after, never half of it.
 */
export const edit = <Peer, A, E = never>(
  file: string,
  parse: Parse<Peer>,
  change: (text: string, peers: ReadonlyArray<Peer>) => Either.Either<Change<A>, E>
): Effect.Effect<A, E | PeersInvalid | PeersBusy> =>
  Effect.gen(function* () {
    yield* attempt(file, () => mkdir(path.dirname(file), { recursive: true, mode: 0o700 }))
    const target = yield* attempt(file, () => targetOf(file))
    return yield* locked(
      target,
      (cause) => invalid(file, cause),
      (lock) =>
        Effect.gen(function* () {
          const { text, stats } = yield* attempt(file, () => readChecked(file))
          const changed = yield* change(text, yield* parse(file, text))
          if (changed.text === text) return changed.result
          yield* Either.mapLeft(
            parse(file, changed.text),
            ({ detail, ...where }) =>
              new PeersInvalid({ ...where, detail: `${detail}; nothing was changed` })
          )
          yield* Effect.uninterruptible(
            attempt(file, () => replace(target, changed.text, stats, lock))
          )
          return changed.result
        })
    )
  })

interface Content {
  readonly text: string
  /** Undefined when there is no file. */
  readonly stats: Stats | undefined
}

const readChecked = async (file: string): Promise<Content> => {
  try {
    await checkFolders(file)
    return await using(
      open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
      async (handle) => {
        const stats = await handle.stat()
        if (!stats.isFile()) throw new Error("is not a regular file")
        checkOwner(file, stats, "")
        if ((stats.mode & 0o022) !== 0)
          throw new Error(`others can change it; try: chmod 600 ${file}`)
        if (stats.size > maxFileBytes) throw new Error(`has more than ${maxFileBytes} bytes`)
        return { text: textOf(file, await handle.readFile()), stats }
      }
    )
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return { text: "", stats: undefined }
    throw cause
  }
}

/** Who can change a folder can put another file there: the folder of the file, and that of the link that leads to it. */
const checkFolders = async (file: string): Promise<void> => {
  const folders = [path.dirname(file), path.dirname(await targetOf(file))]
  for (const folder of new Set(await Promise.all(folders.map((each) => realpath(each))))) {
    const stats = await stat(folder)
    checkOwner(folder, stats, "its folder ")
    // In a folder with the sticky bit, as /tmp, nobody replaces another's file.
    if ((stats.mode & 0o022) !== 0 && (stats.mode & 0o1000) === 0)
      throw new Error(`others can change its folder; try: chmod go-w ${folder}`)
  }
}

const checkOwner = (place: string, { uid }: Stats, what: string): void => {
  const me = process.geteuid?.() ?? uid
  if (uid !== me && uid !== 0)
    throw new Error(`${what}belongs to another user (uid ${uid}); try: chown ${me} ${place}`)
}

const textOf = (file: string, bytes: Uint8Array): string => {
  const text = Printable.text(bytes)
  if (text !== undefined) return text
  const before = Buffer.from(bytes).toString("utf8").split("\ufffd", 1)[0] ?? ""
  const lines = before.split("\n")
  throw new PeersInvalid({
    file,
    line: lines.length,
    column: (lines.at(-1)?.length ?? 0) + 1,
    detail: "this is not UTF-8"
  })
}

/** The file itself, where symbolic links lead to it; also when it is still to be made. */
const targetOf = async (file: string, links = maxLinks): Promise<string> => {
  try {
    return await realpath(file)
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT" || links === 0) throw cause
  }
  const link = await readlink(file).catch(() => undefined)
  return link === undefined
    ? path.join(await realpath(path.dirname(file)), path.basename(file))
    : targetOf(path.resolve(path.dirname(file), link), links - 1)
}

/** A temporary file beside it (O_EXCL), flushed, renamed over it; then the folder is flushed. */
const replace = async (
  target: string,
  text: string,
  stats: Stats | undefined,
  lock: Lock
): Promise<void> => {
  if (Buffer.byteLength(text) > maxFileBytes)
    throw new Error(`would have more than ${maxFileBytes} bytes; nothing was changed`)
  await TemporaryFile.removeStale(target).catch(() => {})
  const temporary = TemporaryFile.nameFor(target)
  try {
    await using(open(temporary, "wx", 0o600), async (handle) => {
      await handle.writeFile(text)
      if (stats !== undefined) await keepOwner(handle, stats)
      await handle.chmod((stats?.mode ?? 0o600) & 0o777)
      await handle.sync()
    })
    if (!(await lock.held())) throw new Error("took too long to change; try again")
    await rename(temporary, target)
  } catch (cause) {
    await unlink(temporary).catch(() => {})
    throw cause
  }
  // The change is made. A folder that cannot be flushed does not unmake it.
  await using(open(path.dirname(target), constants.O_RDONLY), (handle) => handle.sync()).catch(
    () => {}
  )
}

const keepOwner = async (handle: FileHandle, { uid, gid }: Stats): Promise<void> => {
  const made = await handle.stat()
  if (made.uid === uid && made.gid === gid) return
  await handle.chown(uid, gid).catch(() => {
    throw new Error(`its owner could not be kept; change it as uid ${uid}, gid ${gid}`)
  })
}

const using = async <A>(
  opening: Promise<FileHandle>,
  use: (handle: FileHandle) => Promise<A>
): Promise<A> => {
  const handle = await opening
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}

const attempt = <A>(file: string, run: () => Promise<A>): Effect.Effect<A, PeersInvalid> =>
  Effect.tryPromise({ try: run, catch: (cause) => invalid(file, cause) })

const codeOf = (cause: unknown): string | undefined =>
  (cause as NodeJS.ErrnoException | undefined)?.code

const invalid = (file: string, cause: unknown): PeersInvalid => {
  if (cause instanceof PeersInvalid) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  const detail = code === undefined ? message : (fullDisk[code] ?? `cannot be used (${code})`)
  return new PeersInvalid({ file, line: 0, column: 0, detail })
}

/** What a disk says that takes no more, by error code: only a change finds that out. */
const fullDisk: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; nothing was changed",
  EDQUOT: "the disk quota is used up; nothing was changed"
}

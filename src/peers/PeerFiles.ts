// Peers files on disk: refused if another user can change them, and replaced atomically.
import { shown } from "../bytes/excerpt.ts"
import { constants, type Stats } from "node:fs"
import { mkdir, open, rename, stat, type FileHandle } from "node:fs/promises"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Utf8 from "../bytes/Utf8.ts"
import * as RealPath from "../keys/RealPath.ts"
import { locked, type Lock, type PeersBusy } from "./PeerLock.ts"
import { PeersInvalid, type Parse } from "./Peers.ts"
import * as ReplacedFile from "../keys/ReplacedFile.ts"
import { writingHints } from "../keys/writingHints.ts"

/** Largest size of a peers file in bytes: about 100,000 peers. */
const maxFileBytes = 16 * 1024 * 1024

/** Maximum number of symbolic links that are followed to a file that does not exist yet. */
const maxLinks = 8

/**
 * Reads the text of a peers file; "" if it does not exist. Refuses a file that another user can
 * change: that user would choose who is trusted.
 */
export const read = (file: string): Effect.Effect<string, PeersInvalid> =>
  Effect.map(
    attempt(file, () => readChecked(file)),
    ({ text }) => text
  )

/** The new text of a file, and a result for the caller. */
export interface Change<A> {
  readonly text: string
  readonly result: A
}

/**
 * Edits a peers file under its lock: `change` receives the text and returns the new one. Creates
 * a missing file (0600) and its folder (0700); keeps owner and mode of an existing file, and a
 * symbolic link. Writes nothing if the text stays the same or if `parse` would refuse it. A reader
 * sees the file before or after the edit, never a part of it.
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
  /** Undefined if the file does not exist. */
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
          throw new Error(`others can change it; try: chmod 600 ${shown(file)}`)
        if (stats.size > maxFileBytes) throw new Error(`has more than ${maxFileBytes} bytes`)
        return { text: textOf(file, await handle.readFile()), stats }
      }
    )
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return { text: "", stats: undefined }
    throw cause
  }
}

/**
 * Checks the folder of the file and that of a link to it: a user who can write to a folder can
 * replace the file.
 */
const checkFolders = async (file: string): Promise<void> => {
  const folders = [path.dirname(file), path.dirname(await targetOf(file))]
  for (const folder of new Set(await Promise.all(folders.map((each) => RealPath.resolve(each))))) {
    const stats = await stat(folder)
    checkOwner(folder, stats, "its folder ")
    // In a folder with the sticky bit, such as /tmp, users cannot replace files of others.
    if ((stats.mode & 0o022) !== 0 && (stats.mode & 0o1000) === 0)
      throw new Error(`others can change its folder; try: chmod go-w ${shown(folder)}`)
  }
}

const checkOwner = (place: string, { uid }: Stats, what: string): void => {
  const me = process.geteuid?.() ?? uid
  if (uid !== me && uid !== 0)
    throw new Error(`${what}belongs to another user (uid ${uid}); try: chown ${me} ${shown(place)}`)
}

const textOf = (file: string, bytes: Uint8Array): string => {
  const text = Utf8.decode(bytes)
  if (text !== undefined) return text
  const { line = 0, column = 0 } = Utf8.faultOf(bytes) ?? {}
  throw new PeersInvalid({ file, line, column, detail: "not valid UTF-8" })
}

/** Resolves symbolic links, even if the target does not exist yet. */
const targetOf = async (file: string, links = maxLinks): Promise<string> => {
  try {
    return await RealPath.resolve(file)
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT" || links === 0) throw cause
  }
  const link = await RealPath.target(file).catch((cause: unknown) => {
    if (codeOf(cause) === "EILSEQ") throw cause
    return undefined
  })
  return link === undefined
    ? path.join(await RealPath.resolve(path.dirname(file)), path.basename(file))
    : targetOf(path.resolve(path.dirname(file), link), links - 1)
}

/** Replaces the file, unless another process has removed the lock as stale meanwhile. */
const replace = async (
  target: string,
  text: string,
  replaced: Stats | undefined,
  lock: Lock
): Promise<void> => {
  if (Buffer.byteLength(text) > maxFileBytes)
    throw new Error(`would have more than ${maxFileBytes} bytes; nothing was changed`)
  await ReplacedFile.write(target, {
    replaced,
    write: (handle) => handle.writeFile(text),
    publish: async (temporary) => {
      if (!(await lock.held())) throw new Error("took too long to change; try again")
      await rename(temporary, target)
    }
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
  const detail = code === undefined ? message : (details[code] ?? `cannot be used (${code})`)
  return new PeersInvalid({ file, line: 0, column: 0, detail })
}

const details: Readonly<Record<string, string>> = {
  // Only an edit can cause most of these.
  ...writingHints,
  EACCES: "permission denied; check it and its folders with ls -l",
  ENOSPC: "the disk is full; nothing was changed",
  EDQUOT: "the disk quota is used up; nothing was changed"
}

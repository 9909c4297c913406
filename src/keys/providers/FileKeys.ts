import { shown } from "../../bytes/excerpt.ts"
import { constants, type Stats } from "node:fs"
import { lstat, link, open, rename, stat, unlink, type FileHandle } from "node:fs/promises"
import * as Effect from "effect/Effect"
import {
  KeyExists,
  KeyFileMissing,
  KeyNotCreated,
  KeyNotReplaced,
  KeyRejected
} from "../KeyErrors.ts"
import { maxKeyText, type Rejection } from "../KeyText.ts"
import type { KeyLocation, Provider } from "../Provider.ts"
import * as RealPath from "../RealPath.ts"
import * as ReplacedFile from "../ReplacedFile.ts"
import { writingHints } from "../writingHints.ts"

/**
 * A key file. It is opened once and checked on the open descriptor, so that the file that was
 * checked is the file that is read. A new one is written atomically, with mode 0600 and flushed,
 * and never over an existing file.
 */
export const location = (file: string): KeyLocation => ({
  reference: file,
  read: (kind) =>
    readChecked({
      file,
      reference: file,
      forbidden: groupAndOthers,
      missing: () => new KeyFileMissing({ path: file, kind: kind.name, remedy: kind.remedy })
    }),
  write: (content) =>
    Effect.tryPromise({
      try: () => writeNew(file, content),
      catch: (cause) =>
        codeOf(cause) === "EEXIST"
          ? new KeyExists({ reference: file })
          : new KeyNotCreated({ reference: file, detail: hintOf(cause) })
    })
})

/**
 * Replaces the content of an existing file atomically, and keeps its owner and mode. A symbolic link
 * stays, and the file it leads to is replaced.
 */
export const replace = (file: string, content: Uint8Array): Effect.Effect<void, KeyNotReplaced> =>
  Effect.tryPromise({
    try: async () => {
      const target = await RealPath.resolve(file)
      await ReplacedFile.write(target, {
        replaced: await stat(target),
        write: (handle) => handle.writeFile(content),
        publish: (temporary) => rename(temporary, target)
      })
    },
    catch: (cause) => new KeyNotReplaced({ reference: file, detail: hintOf(cause) })
  })

export const FileKeys: Provider = {
  scheme: "file",
  form: "file:PATH",
  summary: "a file; the scheme is optional",
  location
}

/** A key file and the checks on it. */
interface ReadOptions<E> {
  readonly file: string
  /** The name in errors. */
  readonly reference: string
  /** Mode bits that it must not have. */
  readonly forbidden: number
  readonly missing: () => E
}

const groupAndOthers = 0o077

/** Checks the open descriptor, then reads at most `maxKeyText` + 1 bytes. */
export const readChecked = <E>({
  file,
  reference,
  forbidden,
  missing
}: ReadOptions<E>): Effect.Effect<Uint8Array, E | KeyRejected> =>
  Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* openFile(file, reference, missing)
      const stats = yield* attempt(reference, () => handle.stat())
      const rejection = rejectionOf(file, stats, forbidden)
      return yield* rejection === undefined
        ? attempt(reference, () => readAll(handle))
        : new KeyRejected({ reference, ...rejection })
    })
  )

// O_NONBLOCK: opening a FIFO must not wait for a writer.
const openFile = <E>(file: string, reference: string, missing: () => E) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
      catch: (cause) =>
        codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR"
          ? missing()
          : unreadable(reference, codeOf(cause))
    }),
    (handle) => Effect.ignore(Effect.promise(() => handle.close()))
  )

/** Checks type, owner, mode and size; undefined when they are right. */
const rejectionOf = (file: string, stats: Stats, forbidden: number): Rejection | undefined => {
  const me = process.geteuid?.() ?? stats.uid
  if (!stats.isFile())
    return {
      reason: "not a regular file",
      detail: "is not a regular file; name the file that holds the key"
    }
  if (stats.uid !== me && stats.uid !== 0)
    return {
      reason: "owner",
      detail: `belongs to another user (uid ${stats.uid}); try: chown ${me} ${shown(file)}`
    }
  if ((stats.mode & forbidden) !== 0)
    return {
      reason: "permissions",
      detail: `others can read or change it (mode ${octal(stats.mode)}); try: chmod 600 ${shown(file)}`
    }
  if (stats.size > maxKeyText)
    return { reason: "wrong length", detail: `has ${stats.size} bytes, more than any key` }
  return undefined
}

const unreadable = (reference: string, code: string) =>
  new KeyRejected({
    reference,
    reason: "unreadable",
    detail:
      code === "EACCES"
        ? "permission denied; check it and its folders with ls -l"
        : `cannot be read (${code})`
  })

const attempt = <A>(reference: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => unreadable(reference, codeOf(cause)) })

const octal = (mode: number): string => (mode & 0o777).toString(8).padStart(4, "0")

const readAll = async (handle: FileHandle): Promise<Uint8Array> => {
  const buffer = Buffer.alloc(maxKeyText + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

/**
 * Writes a new key. link(2) to the final name fails when the name is taken, so that two concurrent
 * creators make one key. The name never shows a partial key, whatever the umask.
 */
const writeNew = async (file: string, content: Uint8Array): Promise<void> => {
  // Check first, so that a read-only folder with a key reports KeyExists and not EROFS.
  if (await exists(file)) throw Object.assign(new Error(), { code: "EEXIST" })
  await ReplacedFile.write(file, {
    replaced: undefined,
    write: (handle) => handle.writeFile(content),
    publish: async (temporary) => {
      await link(temporary, file)
      await unlink(temporary)
    }
  })
}

const exists = (file: string): Promise<boolean> =>
  lstat(file).then(
    () => true,
    () => false
  )

const hintOf = (cause: unknown): string => writingHints[codeOf(cause)] ?? codeOf(cause)

const codeOf = (cause: unknown): string =>
  (cause as NodeJS.ErrnoException | undefined)?.code ?? "unknown error"

import { constants, type Stats } from "node:fs"
import { lstat, link, open, realpath, rename, unlink, type FileHandle } from "node:fs/promises"
import path from "node:path"
import * as Effect from "effect/Effect"
import {
  KeyExists,
  KeyFileMissing,
  KeyNotCreated,
  KeyNotReplaced,
  KeyRejected,
  type RejectionReason
} from "../KeyErrors.ts"
import { maxKeyText } from "../KeyText.ts"
import type { KeyLocation, Provider } from "../Provider.ts"
import * as TemporaryFile from "../TemporaryFile.ts"
import { writingHints } from "../writingHints.ts"

/**
 * A key in a file. Read: opened once, and everything is checked on the open descriptor, so that the file that
 * was checked is the file that is read. Written: whole, 0600, flushed, and only where nothing was. DESIGN section 6.
 */
export const location = (file: string): KeyLocation => ({
  reference: file,
  read: (kind) =>
    readChecked({
      file,
      reference: file,
      forbidden: groupAndOthers,
      missing: () => new KeyFileMissing({ path: file, kind: kind.name, keygen: kind.keygen })
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

/** Puts other content in the place of a file that is there: all of it or none. A symbolic link stays, and what it names is replaced. */
export const replace = (file: string, content: Uint8Array): Effect.Effect<void, KeyNotReplaced> =>
  Effect.tryPromise({
    try: async () => {
      const target = await realpath(file)
      await viaTemporary(target, content, (temporary) => rename(temporary, target))
    },
    catch: (cause) => new KeyNotReplaced({ reference: file, detail: hintOf(cause) })
  })

export const FileKeys: Provider = {
  scheme: "file",
  form: "file:PATH",
  summary: "a file; the scheme may be left out",
  location
}

/** A file that holds a key, and what is asked of it. */
interface Checked<E> {
  readonly file: string
  /** As errors name it. */
  readonly reference: string
  /** The mode bits that it may not have. */
  readonly forbidden: number
  readonly missing: () => E
}

const groupAndOthers = 0o077

/** At most `maxKeyText` + 1 bytes of it, once the open descriptor is found to be what it should. */
export const readChecked = <E>({
  file,
  reference,
  forbidden,
  missing
}: Checked<E>): Effect.Effect<Uint8Array, E | KeyRejected> =>
  Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* opened(file, reference, missing)
      const stats = yield* attempt(reference, () => handle.stat())
      const refusal = refusalOf(file, stats, forbidden)
      return yield* refusal === undefined
        ? attempt(reference, () => readAll(handle))
        : rejected(reference, refusal)
    })
  )

// O_NONBLOCK: opening a FIFO must not wait for somebody to write to it.
const opened = <E>(file: string, reference: string, missing: () => E) =>
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

type Refusal = readonly [reason: RejectionReason, detail: string]

/** What the open descriptor says against this file, or undefined. */
const refusalOf = (file: string, stats: Stats, forbidden: number): Refusal | undefined => {
  const me = process.geteuid?.() ?? stats.uid
  if (!stats.isFile())
    return ["not a regular file", "is not a regular file; name the file that holds the key"]
  if (stats.uid !== me && stats.uid !== 0)
    return ["owner", `belongs to another user (uid ${stats.uid}); try: chown ${me} ${file}`]
  if ((stats.mode & forbidden) !== 0)
    return [
      "permissions",
      `others can read or change it (mode ${octal(stats.mode)}); try: chmod 600 ${file}`
    ]
  if (stats.size > maxKeyText) return ["wrong length", `has ${stats.size} bytes, more than any key`]
  return undefined
}

const rejected = (reference: string, [reason, detail]: Refusal) =>
  new KeyRejected({ reference, reason, detail })

const unreadable = (reference: string, code: string) =>
  rejected(reference, [
    "unreadable",
    code === "EACCES"
      ? "this user may not read it; try: ls -l on it and on its folders"
      : `cannot be read (${code})`
  ])

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
 * Linked under the final name, which fails when the name is taken, so two creators make one key. Whoever sees the name sees a whole
 * key, whatever the umask.
 */
const writeNew = async (file: string, content: Uint8Array): Promise<void> => {
  // Looked at before anything is written: a key that is there in a folder that is read-only is simply there.
  if (await exists(file)) throw Object.assign(new Error(), { code: "EEXIST" })
  await viaTemporary(file, content, async (temporary) => {
    await link(temporary, file)
    await unlink(temporary)
  })
}

/** A temporary file beside it (O_EXCL, 0600), flushed, then put in place, then the folder flushed. Nothing is left of a failure. */
const viaTemporary = async (
  file: string,
  content: Uint8Array,
  put: (temporary: string) => Promise<void>
): Promise<void> => {
  await TemporaryFile.removeStale(file).catch(() => {})
  const temporary = TemporaryFile.nameFor(file)
  const handle = await open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
    0o600
  )
  try {
    try {
      await handle.chmod(0o600)
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await put(temporary)
  } catch (cause) {
    await unlink(temporary).catch(() => {})
    throw cause
  }
  // The key is there. A folder that cannot be read or flushed does not unmake it.
  await flush(path.dirname(file)).catch(() => {})
}

const exists = (file: string): Promise<boolean> =>
  lstat(file).then(
    () => true,
    () => false
  )

const flush = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const hintOf = (cause: unknown): string => writingHints[codeOf(cause)] ?? codeOf(cause)

const codeOf = (cause: unknown): string =>
  (cause as NodeJS.ErrnoException | undefined)?.code ?? "unknown error"

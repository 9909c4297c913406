// Destinations of bytes. A file appears under its name complete and flushed, or not at all.
import { constants, type Stats } from "node:fs"
import { link, lstat, open, rename, unlink, type FileHandle } from "node:fs/promises"
import path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as RealPath from "../keys/RealPath.ts"
import * as TemporaryFile from "../keys/TemporaryFile.ts"
import { writingHints } from "../keys/writingHints.ts"
import { FileExists, FileUnwritable } from "./FileErrors.ts"

/** A destination: a file, or a stream. */
export interface Output<E = FileUnwritable | FileExists> {
  /** The name in errors. */
  readonly name: string
  /** Appends bytes. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** Flushes the file and gives it its name. A file that is not committed disappears. */
  readonly commit: Effect.Effect<void, E>
  /** The descriptor of a regular file, for writing at any position. */
  readonly fd?: number
}

/** Options of an output file. */
export interface OutputOptions {
  /** Replace an existing file. */
  readonly overwrite: boolean
  /** Permission bits of the file, before the umask. */
  readonly mode: number
  /** Copies these permission bits exactly, and the owner if possible: those of a replaced file. */
  readonly attributes?: Pick<Stats, "mode" | "uid" | "gid">
}

/**
 * Opens a new file. It is written beside its target under a temporary name, which `commit` replaces
 * and closing the scope removes.
 */
export const toFile = (
  file: string,
  { overwrite, mode, attributes }: OutputOptions
): Effect.Effect<Output & { readonly fd: number }, FileExists | FileUnwritable, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => writeError(file, cause) })
    // Check first: an hour's work could end in FileExists otherwise.
    const target = yield* attempt(() => targetOf(file, overwrite))
    const folder = path.dirname(target)
    // An unnamed file (O_TMPFILE) would disappear with its process, but Node cannot name one:
    // linkat needs AT_SYMLINK_FOLLOW.
    yield* Effect.promise(() => TemporaryFile.removeStale(target).catch(() => {}))
    const temporary = TemporaryFile.nameFor(target)
    const handle = yield* Effect.acquireRelease(
      attempt(() => open(temporary, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, mode)),
      (handle) =>
        Effect.promise(async () => {
          await handle.close().catch(() => {})
          await unlink(temporary).catch(() => {})
        })
    )
    if (attributes !== undefined) yield* attempt(() => copyAttributes(handle, attributes))
    return {
      name: file,
      fd: handle.fd,
      write: (bytes) => attempt(() => writeAll(handle, bytes)),
      commit: Effect.uninterruptible(
        attempt(async () => {
          await handle.sync()
          await (overwrite ? rename(temporary, target) : linkNew(temporary, target))
          await flush(folder)
        })
      )
    }
  })

/** Resolves the file to write: with `overwrite`, the file that a symbolic link leads to. */
const targetOf = async (file: string, overwrite: boolean): Promise<string> => {
  const stats = await lstat(file).catch(() => undefined)
  if (stats === undefined) return file
  if (!overwrite) throw withCode("EEXIST")
  // A dangling link, or a link to a pipe: Linux makes /dev/stdout a link to "pipe:[…]".
  const target = await RealPath.resolve(file).catch((cause: unknown) => {
    throw stats.isSymbolicLink() && (cause as NodeJS.ErrnoException).code === "ENOENT"
      ? withCode("dangling")
      : cause
  })
  if (!(await lstat(target)).isFile())
    throw withCode(stats.isSymbolicLink() ? "dangling" : "not a file")
  return target
}

const copyAttributes = async (
  handle: FileHandle,
  { mode, uid, gid }: Pick<Stats, "mode" | "uid" | "gid">
): Promise<void> => {
  const current = await handle.stat()
  if (current.uid !== uid || current.gid !== gid) await handle.chown(uid, gid).catch(() => {})
  await handle.chmod(mode & 0o777)
}

const writeAll = async (handle: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let rest = bytes; rest.length > 0;) {
    const { bytesWritten } = await handle.write(rest)
    rest = rest.subarray(bytesWritten)
  }
}

/**
 * Moves a file to a new name. link(2) fails when the name is taken, which rename(2) does not; some
 * file systems have no links.
 */
const linkNew = async (temporary: string, target: string): Promise<void> => {
  try {
    await link(temporary, target)
  } catch (cause) {
    if (!noLinkCodes.has((cause as NodeJS.ErrnoException).code ?? "")) throw cause
    if ((await lstat(target).catch(() => undefined)) !== undefined) throw withCode("EEXIST")
    await rename(temporary, target)
  }
}

/** Error codes of link(2) on file systems without links. */
const noLinkCodes: ReadonlySet<string> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK"
])

/** Flushes a folder. Errors are ignored: the file has its name already. */
const flush = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close().catch(() => {})
}

const withCode = (code: string) => Object.assign(new Error(code), { code })

/** Makes the error for an error code of writing. */
export const writeError = (file: string, cause: unknown): FileExists | FileUnwritable => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return code === "EEXIST"
    ? new FileExists({ file })
    : new FileUnwritable({ file, detail: outputHints[code] ?? `cannot be written (${code})`, code })
}

const outputHints: Readonly<Record<string, string>> = {
  ...writingHints,
  "not a file": "is not a regular file",
  dangling: "is a symbolic link that does not lead to a regular file"
}

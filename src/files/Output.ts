// Where bytes go. A file appears under its name whole, flushed, or not at all.
import { constants, type Stats } from "node:fs"
import { link, lstat, open, realpath, rename, unlink, type FileHandle } from "node:fs/promises"
import path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TemporaryFile from "../keys/TemporaryFile.ts"
import { writingHints } from "../keys/writingHints.ts"
import { FileExists, FileUnwritable } from "./FileErrors.ts"

/** Where bytes are written: a file that appears whole or not at all, or a stream. */
export interface Output<E = FileUnwritable | FileExists> {
  /** As errors name it. */
  readonly name: string
  /** The next bytes. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** All was written: it is flushed, and stands under its name from now on. Nothing does where this is not called. */
  readonly commit: Effect.Effect<void, E>
  /** A file, which can be written anywhere. */
  readonly fd?: number
}

/** What may become of a file that is there. */
export interface OutputOptions {
  /** Take the place of a file that is there. */
  readonly overwrite: boolean
  /** Permission bits of the file, less the umask. */
  readonly mode: number
  /** It gets exactly these permission bits, and where that can be this owner: those of a file whose place it takes. */
  readonly attributes?: Pick<Stats, "mode" | "uid" | "gid">
}

/** A new file. Until `commit` it lies beside its place under another name, and goes with the scope. */
export const toFile = (
  file: string,
  { overwrite, mode, attributes }: OutputOptions
): Effect.Effect<Output & { readonly fd: number }, FileExists | FileUnwritable, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => writeError(file, cause) })
    // Before anything is done: an hour's work would be for nothing.
    const target = yield* attempt(() => placeOf(file, overwrite))
    const folder = path.dirname(target)
    // A file without a name (O_TMPFILE) would go with its process, but Node cannot give it one: linkat needs AT_SYMLINK_FOLLOW.
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
    if (attributes !== undefined) yield* attempt(() => resemble(handle, attributes))
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

/** Where it goes: of a symbolic link that is to be overwritten, what it names. */
const placeOf = async (file: string, overwrite: boolean): Promise<string> => {
  const stats = await lstat(file).catch(() => undefined)
  if (stats === undefined) return file
  if (!overwrite) throw coded("EEXIST")
  // A link to nothing, or what Linux makes of a pipe: /dev/stdout is a link to "pipe:[…]".
  const target = await realpath(file).catch((cause: unknown) => {
    throw stats.isSymbolicLink() && (cause as NodeJS.ErrnoException).code === "ENOENT"
      ? coded("dangling")
      : cause
  })
  if (!(await lstat(target)).isFile())
    throw coded(stats.isSymbolicLink() ? "dangling" : "not a file")
  return target
}

const resemble = async (
  handle: FileHandle,
  { mode, uid, gid }: Pick<Stats, "mode" | "uid" | "gid">
): Promise<void> => {
  const made = await handle.stat()
  if (made.uid !== uid || made.gid !== gid) await handle.chown(uid, gid).catch(() => {})
  await handle.chmod(mode & 0o777)
}

const writeAll = async (handle: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let rest = bytes; rest.length > 0;) {
    const { bytesWritten } = await handle.write(rest)
    rest = rest.subarray(bytesWritten)
  }
}

/** A link fails when the name is taken, a rename does not. Some file systems have no links. */
const linkNew = async (temporary: string, target: string): Promise<void> => {
  try {
    await link(temporary, target)
  } catch (cause) {
    if (!linkless.has((cause as NodeJS.ErrnoException).code ?? "")) throw cause
    if ((await lstat(target).catch(() => undefined)) !== undefined) throw coded("EEXIST")
    await rename(temporary, target)
  }
}

const linkless: ReadonlySet<string> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK"
])

/** The file is there. A folder that cannot be flushed does not unmake it. */
const flush = async (folder: string): Promise<void> => {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close().catch(() => {})
}

const coded = (code: string) => Object.assign(new Error(code), { code })

/** What is said of an error code, wherever it came up. */
export const writeError = (file: string, cause: unknown): FileExists | FileUnwritable => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return code === "EEXIST"
    ? new FileExists({ file })
    : new FileUnwritable({ file, detail: outputHints[code] ?? `cannot be written (${code})` })
}

const outputHints: Readonly<Record<string, string>> = {
  ...writingHints,
  "not a file": "is no regular file",
  dangling: "is a link, and what it leads to is no file; -o - writes to standard output"
}

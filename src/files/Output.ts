// Destinations of bytes. A file appears under its name complete and flushed, or not at all.
import type { Stats } from "node:fs"
import { link, lstat, rename, unlink, type FileHandle } from "node:fs/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as RealPath from "../keys/RealPath.ts"
import * as ReplacedFile from "../keys/ReplacedFile.ts"
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
  /** Permission bits of a new file, before the umask. A replaced file keeps its own, and its owner. */
  readonly mode: number
}

/**
 * Opens a new file. It is written beside its target under a temporary name, which `commit` replaces
 * and closing the scope removes.
 */
export const toFile = (
  file: string,
  { overwrite, mode }: OutputOptions
): Effect.Effect<Output & { readonly fd: number }, FileExists | FileUnwritable, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => writeError(file, cause) })
    // Check first: an hour's work could end in FileExists otherwise.
    const { target, replaced } = yield* attempt(() => targetOf(file, overwrite))
    // An unnamed file (O_TMPFILE) would disappear with its process, but Node cannot name one:
    // linkat needs AT_SYMLINK_FOLLOW.
    const { handle, temporary } = yield* Effect.acquireRelease(
      attempt(() => ReplacedFile.create(target, mode, replaced)),
      ({ handle, temporary }) =>
        Effect.promise(async () => {
          await handle.close().catch(() => {})
          await unlink(temporary).catch(() => {})
        })
    )
    return {
      name: file,
      fd: handle.fd,
      write: (bytes) => attempt(() => writeAll(handle, bytes)),
      commit: Effect.uninterruptible(
        attempt(async () => {
          await handle.sync()
          await (overwrite ? rename(temporary, target) : linkNew(temporary, target))
          await ReplacedFile.flushFolder(target)
        })
      )
    }
  })

interface Target {
  readonly target: string
  /** Undefined for a new file. */
  readonly replaced: Stats | undefined
}

/** Resolves the file to write: with `overwrite`, the file that a symbolic link leads to. */
const targetOf = async (file: string, overwrite: boolean): Promise<Target> => {
  const stats = await lstat(file).catch(() => undefined)
  if (stats === undefined) return { target: file, replaced: undefined }
  if (!overwrite) throw withCode("EEXIST")
  // A dangling link, or a link to a pipe: Linux makes /dev/stdout a link to "pipe:[…]".
  const target = await RealPath.resolve(file).catch((cause: unknown) => {
    throw stats.isSymbolicLink() && (cause as NodeJS.ErrnoException).code === "ENOENT"
      ? withCode("dangling")
      : cause
  })
  const replaced = await lstat(target)
  if (!replaced.isFile()) throw withCode(stats.isSymbolicLink() ? "dangling" : "not a file")
  return { target, replaced }
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

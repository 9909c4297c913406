// Writes a file beside its target, and gives it the target's name when it is complete: readers see
// the earlier content or the new one, also after a crash. A file that replaces another keeps its
// owner and its permission bits.
import { constants, type Stats } from "node:fs"
import { open, unlink, type FileHandle } from "node:fs/promises"
import path from "node:path"
import * as TemporaryFile from "./TemporaryFile.ts"

/** Owner and permission bits of a file. */
export type Attributes = Pick<Stats, "mode" | "uid" | "gid">

/** The `code` of the error when the owner cannot be kept; a key of `writingHints`. */
export const ownerLost = "owner lost"

/** The new content of a file. */
export interface Content {
  /** Writes the whole content. */
  readonly write: (handle: FileHandle) => Promise<void>
  /** The file that is replaced; undefined for a new one, which gets mode 0600. */
  readonly replaced: Attributes | undefined
  /** Gives the flushed temporary file the name of the target. */
  readonly publish: (temporary: string) => Promise<void>
}

/**
 * Writes a file with the content, flushes it, publishes it and flushes its folder. Removes the
 * temporary file on failure.
 */
export const write = async (
  target: string,
  { write: writeContent, replaced, publish }: Content
): Promise<void> => {
  const { handle, temporary } = await create(target, 0o600, replaced)
  try {
    try {
      // Whatever the umask is.
      if (replaced === undefined) await handle.chmod(0o600)
      await writeContent(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await publish(temporary)
  } catch (cause) {
    await unlink(temporary).catch(() => {})
    throw cause
  }
  await flushFolder(target)
}

/**
 * Creates the temporary file of a target, with this mode less the umask, or with owner and mode of
 * the file that it replaces. Removes what killed processes left of earlier ones.
 */
export const create = async (
  target: string,
  mode: number,
  replaced: Attributes | undefined
): Promise<{ readonly handle: FileHandle; readonly temporary: string }> => {
  await TemporaryFile.removeStale(target).catch(() => {})
  const temporary = TemporaryFile.nameFor(target)
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
  // Nobody may open the file before it has the mode of the other.
  const handle = await open(temporary, flags, replaced === undefined ? mode : 0o600)
  try {
    if (replaced !== undefined) await copyAttributes(handle, replaced)
    return { handle, temporary }
  } catch (cause) {
    await handle.close()
    await unlink(temporary).catch(() => {})
    throw cause
  }
}

const copyAttributes = async (
  handle: FileHandle,
  { mode, uid, gid }: Attributes
): Promise<void> => {
  const made = await handle.stat()
  if (made.uid !== uid || made.gid !== gid)
    await handle.chown(uid, gid).catch(() => {
      throw Object.assign(new Error(ownerLost), { code: ownerLost })
    })
  await handle.chmod(mode & 0o777)
}

/** Flushes the folder of a file. Errors are ignored: the file has its name already. */
export const flushFolder = async (file: string): Promise<void> => {
  const handle = await open(path.dirname(file), constants.O_RDONLY).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close().catch(() => {})
}

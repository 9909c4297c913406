// Paths that the system returns, without loss. As strings, node:fs would return U+FFFD for bytes
// that are not UTF-8, and the path of another file.
import { readlinkSync, realpathSync } from "node:fs"
import { readlink, realpath } from "node:fs/promises"
import * as Utf8 from "../bytes/Utf8.ts"

const strict = (bytes: Uint8Array): string => {
  const text = Utf8.decode(bytes)
  if (text !== undefined) return text
  throw Object.assign(new Error(notUtf8), { code: "EILSEQ" })
}

/** The message of the error, whose code is EILSEQ. */
export const notUtf8 = "leads to a path that is not valid UTF-8"

const buffer = { encoding: "buffer" } as const

/** As `realpath` of node:fs/promises; rejects with EILSEQ for a path that is not UTF-8. */
export const resolve = async (file: string): Promise<string> => strict(await realpath(file, buffer))

/**
 * As `realpathSync` of node:fs; throws EILSEQ for a path that is not UTF-8. Native, because the other
 * form decodes each link on the way.
 */
export const resolveSync = (file: string): string => strict(realpathSync.native(file, buffer))

/** As `readlink` of node:fs/promises; rejects with EILSEQ for a target that is not UTF-8. */
export const target = async (link: string): Promise<string> => strict(await readlink(link, buffer))

/** As `readlinkSync` of node:fs; throws EILSEQ for a target that is not UTF-8. */
export const targetSync = (link: string): string => strict(readlinkSync(link, buffer))

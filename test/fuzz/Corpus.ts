// The kept inputs of a target: one file each in `test/corpus/<target>`.
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../corpus", import.meta.url))

/** A kept input and the name of its file. */
export interface KeptInput {
  readonly file: string
  readonly bytes: Buffer
}

const hashOf = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex").slice(0, 12)

/** The beginning of the names of inputs that once failed. They are never removed. */
const faultPrefix = "fault-"

export const isFault = ({ file }: KeptInput): boolean => file.startsWith(faultPrefix)

/** Reads the corpus of a target; empty when it has none. */
export const read = (target: string): ReadonlyArray<KeptInput> => {
  const folder = path.join(root, target)
  try {
    return readdirSync(folder)
      .toSorted()
      .map((file) => ({ file, bytes: readFileSync(path.join(folder, file)) }))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return []
    throw cause
  }
}

/** Keeps an input that failed; returns its file. */
export const keepFault = (target: string, bytes: Uint8Array): string => {
  const file = path.join(root, target, `${faultPrefix}${hashOf(bytes)}`)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, bytes)
  return file
}

/** Replaces the corpus of a target by these inputs; files of faults stay. */
export const replace = (target: string, inputs: ReadonlyArray<Uint8Array>): void => {
  const folder = path.join(root, target)
  mkdirSync(folder, { recursive: true })
  const names = new Map(inputs.map((bytes) => [hashOf(bytes), bytes]))
  for (const file of readdirSync(folder))
    if (!file.startsWith(faultPrefix) && !names.has(file)) rmSync(path.join(folder, file))
  for (const [name, bytes] of names) writeFileSync(path.join(folder, name), bytes)
}

/** The targets that have a corpus. */
export const names = (): ReadonlyArray<string> => readdirSync(root).toSorted()

// What will travel: every file, folder and link, before the first byte of them. TRANSFER.md section 3.
import * as Printable from "../../bytes/Printable.ts"
import { limits, protocolLimits } from "./limits.ts"
import * as Names from "./Names.ts"
import type { LinkPolicy } from "./Messages.ts"

export const kinds = ["folder", "file", "link"] as const
export type Kind = (typeof kinds)[number]

/** A file, folder or link of a transfer, as both sides speak of it. */
export interface Entry {
  readonly kind: Kind
  /** Relative, names with / between them. */
  readonly path: string
  /** Bytes; 0 where it is no file. */
  readonly size: number
  /** The nine bits of permissions. */
  readonly mode: number
  /** Microseconds since 1970. */
  readonly mtime: number
  /** Where a link leads. */
  readonly target?: string
}

/** The fixed part of an entry: kind (1) | mode (u16) | mtime (i64) | size (u64) | length of the path (u16). */
const headerBytes = 21

/** The entries, in frames' bodies. */
export function* encode(entries: Iterable<Entry>): Generator<Uint8Array> {
  let parts: Array<Buffer> = []
  let bytes = 0
  for (const entry of entries) {
    const encoded = encodeEntry(entry)
    if (bytes > 0 && bytes + encoded.length > limits.batchBytes) {
      yield Buffer.concat(parts)
      parts = []
      bytes = 0
    }
    parts.push(encoded)
    bytes += encoded.length
  }
  if (bytes > 0) yield Buffer.concat(parts)
}

const encodeEntry = ({ kind, path, size, mode, mtime, target }: Entry): Buffer => {
  const name = Buffer.from(path)
  const extra = target === undefined ? undefined : Buffer.from(target)
  const bytes = Buffer.alloc(
    headerBytes + name.length + (extra === undefined ? 0 : 2 + extra.length)
  )
  bytes[0] = kinds.indexOf(kind)
  bytes.writeUInt16BE(mode, 1)
  bytes.writeBigInt64BE(BigInt(mtime), 3)
  bytes.writeBigUInt64BE(BigInt(size), 11)
  bytes.writeUInt16BE(name.length, 19)
  name.copy(bytes, headerBytes)
  if (extra !== undefined) {
    bytes.writeUInt16BE(extra.length, headerBytes + name.length)
    extra.copy(bytes, headerBytes + name.length + 2)
  }
  return bytes
}

const tooLong = "a manifest is too long"
const tooMany = "a manifest has too many entries"

/** What is wrong with a manifest that has only too much in it. */
export const sizeProblems: ReadonlySet<string> = new Set([tooLong, tooMany])

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** What the receiver has asked for: a manifest with anything else is a lie. */
export interface RequestedEntries {
  /** Paths; of each, what comes stands at or below its last name. An empty one is everything. */
  readonly names: ReadonlyArray<string>
  readonly links: LinkPolicy
}

/** Reads what a peer sends as a manifest, and believes none of it. */
export class ManifestDecoder {
  readonly entries: Array<Entry> = []
  /** Of all files. */
  bytes = 0
  /** Where entries are whose names some file systems take for the name of an earlier one. */
  readonly collisions = new Set<number>()
  readonly #seen = new Set<string>()
  #manifestBytes = 0
  /** The folders around the last entry, from the top. */
  #around: Array<string> = []
  /** The names that may stand at the top; undefined where all may. */
  readonly #tops: ReadonlySet<string> | undefined
  readonly #links: boolean

  /** Without `asked` the sender alone says what it sends. */
  constructor(asked?: RequestedEntries) {
    const tops = asked?.names.map((name) => name.split("/").at(-1) as string)
    this.#tops = tops === undefined || tops.includes("") ? undefined : new Set(tops)
    this.#links = asked === undefined || asked.links === "keep"
  }

  /** Takes the body of one frame; what is wrong with it, as a clause. */
  decode(body: Buffer): string | undefined {
    this.#manifestBytes += body.length
    if (this.#manifestBytes > protocolLimits.manifestBytes) return tooLong
    if (body.length === 0) return "a part of a manifest is empty"
    for (let at = 0; at < body.length;) {
      const next = this.#entry(body, at)
      if (typeof next === "string") return next
      at = next
    }
    return undefined
  }

  /** Where the next entry is, or what is wrong with this one. */
  #entry(body: Buffer, at: number): number | string {
    if (this.entries.length === protocolLimits.entries) return tooMany
    if (body.length - at < headerBytes) return "an entry is cut off"
    const kind = kinds[body[at] as number]
    if (kind === undefined) return "an entry is of no kind"
    const mode = body.readUInt16BE(at + 1)
    if (mode > 0o777) return "an entry's mode has more than permissions"
    const mtime = Number(body.readBigInt64BE(at + 3))
    if (!Number.isSafeInteger(mtime)) return "an entry's time is none"
    const size = Number(body.readBigUInt64BE(at + 11))
    if (size > protocolLimits.fileBytes) return "a file is too large"
    if (kind !== "file" && size !== 0) return "what is no file has a size"
    const end = at + headerBytes + body.readUInt16BE(at + 19)
    const path = textAt(body, at + headerBytes, end)
    if (path === undefined) return "a path is no text"
    if (kind !== "link") return this.#take({ kind, path, size, mode, mtime }) ?? end
    if (body.length - end < 2) return "an entry is cut off"
    const last = end + 2 + body.readUInt16BE(end)
    const target = textAt(body, end + 2, last)
    if (target === undefined) return "a link's target is no text"
    return this.#take({ kind, path, size, mode, mtime, target }) ?? last
  }

  #take(entry: Entry): string | undefined {
    const names = Names.parse(entry.path)
    if (typeof names === "string") return names
    if (this.#tops?.has(names[0] as string) === false)
      return `"${Printable.line(entry.path)}" comes, which was not asked for`
    if (entry.kind === "link" && !this.#links)
      return `"${Printable.line(entry.path)}" comes as a symbolic link, and none was asked for`
    const before = this.entries.at(-1)
    // One order, so that no path comes twice and a folder comes before what is in it.
    if (before !== undefined && Names.compare(before.path, entry.path) >= 0)
      return "a manifest is out of order"
    const around = names.slice(0, -1)
    if (around.length > 0) {
      const folder = around.join("/")
      while (this.#around.length > 0 && this.#around.at(-1) !== folder) this.#around.pop()
      if (this.#around.length === 0) return "an entry is in no folder of the manifest"
    }
    if (entry.kind === "folder") this.#around.push(entry.path)
    if (entry.target !== undefined) {
      const refused = Names.targetProblem(entry.target, around.length)
      if (refused !== undefined) return refused
    }
    this.bytes += entry.size
    if (!Number.isSafeInteger(this.bytes)) return "the files are too large together"
    const folded = Names.collisionKey(entry.path)
    if (this.#seen.has(folded)) this.collisions.add(this.entries.length)
    else this.#seen.add(folded)
    this.entries.push(entry)
    return undefined
  }

  /** The manifest is whole: what it needed while it came is let go. */
  end(): void {
    this.#seen.clear()
    this.#around = []
  }
}

const textAt = (body: Buffer, start: number, end: number): string | undefined => {
  if (end > body.length) return undefined
  try {
    return utf8.decode(body.subarray(start, end))
  } catch {
    return undefined
  }
}

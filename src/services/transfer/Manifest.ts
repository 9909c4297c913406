// Encodes and decodes manifests: the list of every file, folder and link of a transfer, which
// travels before the first byte of content. TRANSFER.md section 3.
import { quoted } from "../../bytes/excerpt.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import { limits, protocolLimits } from "./limits.ts"
import * as Names from "./Names.ts"
import { SafePath } from "./SafePath.ts"
import type { LinkPolicy } from "./Messages.ts"

/** Kinds of entries; the index is the byte on the wire. */
export const kinds = ["folder", "file", "link"] as const
export type Kind = (typeof kinds)[number]

/** A file, folder or link of a transfer. */
export interface Entry {
  readonly kind: Kind
  readonly path: SafePath
  /** Bytes; 0 for folders and links. */
  readonly size: number
  /** The nine permission bits. */
  readonly mode: number
  /** Time of modification in microseconds since 1970. */
  readonly mtime: number
  /** Target of a link. */
  readonly target?: string
}

/** Returns the memory that an entry with this path takes, roughly, in bytes. */
export const memoryOf = ({ text }: { readonly text: string }, target = ""): number =>
  limits.entryMemory + limits.characterMemory * (text.length + target.length)

/** An entry as it is encoded, which takes only the text of its path. */
export type EncodableEntry = Omit<Entry, "path"> & { readonly path: { readonly text: string } }

/** Fixed part of an entry: kind (1) | mode (u16) | mtime (i64) | size (u64) | path length (u16). */
const headerBytes = 21

/** Encodes entries as bodies of ENTRIES frames. */
export function* encode(entries: Iterable<EncodableEntry>): Generator<Uint8Array> {
  let batch: Array<Buffer> = []
  let bytes = 0
  for (const entry of entries) {
    const encoded = encodeEntry(entry)
    if (bytes > 0 && bytes + encoded.length > limits.batchBytes) {
      yield Buffer.concat(batch)
      batch = []
      bytes = 0
    }
    batch.push(encoded)
    bytes += encoded.length
  }
  if (bytes > 0) yield Buffer.concat(batch)
}

/** Returns the length of an encoded entry. */
export const encodedBytes = ({ path, target }: EncodableEntry): number =>
  headerBytes +
  Buffer.byteLength(path.text) +
  (target === undefined ? 0 : 2 + Buffer.byteLength(target))

const encodeEntry = ({ kind, path, size, mode, mtime, target }: EncodableEntry): Buffer => {
  const name = Utf8.encode(path.text)
  const extra = target === undefined ? undefined : Utf8.encode(target)
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

const tooLong = "the manifest is too long"
const tooManyEntries = "the manifest has too many entries"

/** Problems of a manifest that is valid but exceeds a limit: the peer is told, not cut off. */
export const sizeProblems: ReadonlySet<string> = new Set([tooLong, tooManyEntries])

/** The entries that a PULL requested: a manifest with any other is rejected. */
export interface RequestedEntries {
  /** Each allows entries at and below its last name; the root allows every entry. */
  readonly paths: ReadonlyArray<SafePath>
  readonly links: LinkPolicy
}

/** Decodes and checks the manifest of a peer. Methods return the first problem, as a clause. */
export class ManifestDecoder {
  readonly entries: Array<Entry> = []
  /** Sum of all file sizes. */
  bytes = 0
  /** Memory that the entries take, roughly, in bytes. */
  memory = 0
  /** Entries whose path some file systems treat as that of an earlier entry. */
  readonly collisions = new Set<number>()
  readonly #collisionKeys = new Set<string>()
  #manifestBytes = 0
  /** The folders that enclose the last entry, outermost first. */
  #enclosing: Array<SafePath> = []
  /** Names allowed at the top level; undefined if every name is. */
  readonly #allowedNames: ReadonlySet<string> | undefined
  readonly #allowsLinks: boolean

  /** Without `requested`, the sender chooses the entries: a push. */
  constructor(requested?: RequestedEntries) {
    const names = requested?.paths.map((path) => path.name)
    this.#allowedNames = names === undefined || names.includes("") ? undefined : new Set(names)
    this.#allowsLinks = requested === undefined || requested.links === "keep"
  }

  /** Decodes the body of one ENTRIES frame. */
  decode(body: Buffer): string | undefined {
    let next = this.decodeTurn(body, 0)
    while (typeof next === "number" && next < body.length) next = this.decodeTurn(body, next)
    return typeof next === "string" ? next : undefined
  }

  /**
   * Decodes the body of one ENTRIES frame from this offset, at most `limits.entriesPerTurn` entries;
   * returns the offset behind them, or the first problem.
   */
  decodeTurn(body: Buffer, start: number): number | string {
    if (start === 0) {
      this.#manifestBytes += body.length
      if (this.#manifestBytes > protocolLimits.manifestBytes) return tooLong
      if (body.length === 0) return "an ENTRIES frame is empty"
    }
    let offset = start
    for (let count = 0; count < limits.entriesPerTurn && offset < body.length; count++) {
      const next = this.#decodeEntry(body, offset)
      if (typeof next === "string") return next
      offset = next
    }
    return offset
  }

  /** Returns the offset of the next entry, or the problem of this one. */
  #decodeEntry(body: Buffer, offset: number): number | string {
    if (this.entries.length === protocolLimits.entries) return tooManyEntries
    if (body.length - offset < headerBytes) return "an entry is truncated"
    const kind = kinds[body[offset] as number]
    if (kind === undefined) return "an entry has an unknown kind"
    const mode = body.readUInt16BE(offset + 1)
    if (mode > 0o777) return "an entry's mode has more than permission bits"
    const mtime = Number(body.readBigInt64BE(offset + 3))
    if (!Number.isSafeInteger(mtime)) return "an entry's time is out of range"
    const size = Number(body.readBigUInt64BE(offset + 11))
    if (size > protocolLimits.fileBytes) return "a file is too large"
    if (kind !== "file" && size !== 0) return "a folder or link has a size"
    const end = offset + headerBytes + body.readUInt16BE(offset + 19)
    const text = textAt(body, offset + headerBytes, end)
    if (text === undefined) return "a path is not valid UTF-8"
    const path = this.#parsePath(text)
    if (typeof path === "string") return path
    if (kind !== "link") return this.#add({ kind, path, size, mode, mtime }) ?? end
    if (body.length - end < 2) return "an entry is truncated"
    const targetEnd = end + 2 + body.readUInt16BE(end)
    const target = textAt(body, end + 2, targetEnd)
    if (target === undefined) return "a link's target is not valid UTF-8"
    return this.#add({ kind, path, size, mode, mtime, target }) ?? targetEnd
  }

  /**
   * Parses a path; one in a folder of the manifest shares that folder's SafePath. Otherwise short
   * entries with deep paths would take many times the memory that `manifestBytes` allows.
   */
  #parsePath(text: string): SafePath | string {
    const slash = text.lastIndexOf("/")
    if (slash < 0) return SafePath.root.child(text)
    const parent = text.slice(0, slash)
    const folder = this.#enclosing.findLast((enclosing) => enclosing.text === parent)
    return folder?.child(text.slice(slash + 1)) ?? SafePath.parse(text)
  }

  #add(entry: Entry): string | undefined {
    const { kind, path, size, target } = entry
    if (this.#allowedNames !== undefined && !this.#allowedNames.has(topName(path)))
      return `${quoted(path.text)} was not requested`
    if (kind === "link" && !this.#allowsLinks)
      return `${quoted(path.text)} is a symbolic link, and none was requested`
    const previous = this.entries.at(-1)
    // Ascending order proves that no path occurs twice and that a folder precedes its content.
    if (previous !== undefined && Names.compare(previous.path.text, path.text) >= 0)
      return "the manifest is out of order"
    const { parent } = path
    if (parent.depth > 0) {
      while (this.#enclosing.length > 0 && this.#enclosing.at(-1)?.text !== parent.text)
        this.#enclosing.pop()
      if (this.#enclosing.length === 0) return "an entry's folder is not in the manifest"
    }
    if (kind === "folder") this.#enclosing.push(path)
    if (target !== undefined) {
      const problem = Names.targetProblem(target, parent.depth)
      if (problem !== undefined) return problem
    }
    this.bytes += size
    if (!Number.isSafeInteger(this.bytes)) return "the files are too large together"
    const key = Names.collisionKey(path.text)
    if (this.#collisionKeys.has(key)) this.collisions.add(this.entries.length)
    else this.#collisionKeys.add(key)
    this.entries.push(entry)
    this.memory += memoryOf(path, target)
    return undefined
  }

  /** Frees the memory that only decoding needs. */
  end(): void {
    this.#collisionKeys.clear()
    this.#enclosing = []
  }
}

/** Returns the first name of a path. */
const topName = (path: SafePath): string => {
  let top = path
  while (top.depth > 1) top = top.parent
  return top.name
}

const textAt = (body: Buffer, start: number, end: number): string | undefined =>
  end > body.length ? undefined : Utf8.decode(body.subarray(start, end))

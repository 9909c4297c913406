// A second implementation of both sides of TRANSFER.md, written from that page alone with node:crypto.
// It imports nothing of src/services, and fails on everything that the page does not allow.
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type { Channel } from "../../src/channel/Channel.ts"

const piece = 1024 * 1024
const block = 8 * piece
const sha256 = (...parts: ReadonlyArray<Uint8Array>) => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const slices = (bytes: Buffer, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size)
  )

/** Section 4. */
export const blocksOf = (bytes: Buffer) =>
  slices(bytes, block).map((one) => sha256(...slices(one, piece).map((each) => sha256(each))))
export const digestOf = (bytes: Buffer) => sha256(...blocksOf(bytes))

const integer = (bytes: number, value: number) => {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer.subarray(8 - bytes)
}
const text = (value: string) =>
  Buffer.concat([integer(2, Buffer.byteLength(value)), Buffer.from(value)])
/** Section 2. */
const frame = (type: number, ...body: ReadonlyArray<Uint8Array>) => {
  const joined = Buffer.concat(body)
  return Buffer.concat([Buffer.from([type]), integer(4, joined.length), joined])
}
const fail = (problem: string): never => {
  throw new Error(problem)
}

/** A file, or a folder, which has no bytes. */
export interface TreeEntry {
  readonly path: string
  readonly mode: number
  /** Microseconds since 1970. */
  readonly mtime: number
  readonly bytes?: Buffer
}

/** Reads and writes frames. */
class FrameStream {
  readonly #channel: Channel
  #unread = Buffer.alloc(0)

  constructor(channel: Channel) {
    this.#channel = channel
  }

  send(...frames: ReadonlyArray<Uint8Array>) {
    return this.#channel.write(Buffer.concat(frames))
  }

  /** Reads the next frame; undefined at FIN. */
  get receive() {
    return Effect.gen(this, function* () {
      for (;;) {
        const length = this.#unread.length < 5 ? undefined : 5 + this.#unread.readUInt32BE(1)
        if (length !== undefined && length > 5 + piece + 36) return fail("a frame that is too long")
        if (length !== undefined && this.#unread.length >= length) {
          const [type, body] = [this.#unread[0] as number, this.#unread.subarray(5, length)]
          this.#unread = this.#unread.subarray(length)
          return { type, body }
        }
        const item = yield* this.#channel.read
        if (item === undefined)
          return this.#unread.length === 0 ? undefined : fail("a FIN inside of a frame")
        if (item instanceof Uint8Array) this.#unread = Buffer.concat([this.#unread, item])
      }
    })
  }

  /** Sends FIN and waits for the peer's; the channel closes with code 0. */
  get end() {
    return Effect.gen(this, function* () {
      yield* this.#channel.end
      if ((yield* this.receive) !== undefined) fail("a frame after the transfer")
    })
  }
}

/**
 * Sends a tree: sections 1 and 3 to 5. Returns the answer and outcome of each path, and the number of
 * content bytes that were sent.
 */
export const push = (channel: Channel, entries: ReadonlyArray<TreeEntry>, policy = 0, dry = 0) =>
  Effect.gen(function* () {
    const wire = new FrameStream(channel)
    yield* wire.send(frame(1, Buffer.from([policy, dry])))
    yield* sendManifest(wire, entries)
    return yield* sendFiles(wire, entries, dry === 1)
  })

const order = ({ path }: TreeEntry) => Buffer.from(path.replaceAll("/", "\0"))

const sorted = (entries: ReadonlyArray<TreeEntry>) =>
  [...entries].sort((one, other) => Buffer.compare(order(one), order(other)))

/** Sends the manifest: section 3. */
const sendManifest = (wire: FrameStream, entries: ReadonlyArray<TreeEntry>) => {
  const encoded = sorted(entries).map(({ path, mode, mtime, bytes }) =>
    Buffer.concat([
      Buffer.from([bytes === undefined ? 0 : 1]),
      integer(2, mode),
      integer(8, mtime),
      integer(8, bytes?.length ?? 0),
      text(path)
    ])
  )
  const total = entries.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0)
  // One frame for each entry, which is allowed and differs from the other implementation.
  return wire.send(
    ...encoded.map((bytes) => frame(16, bytes)),
    frame(18, integer(4, encoded.length), integer(8, total))
  )
}

/** Reads answers, sends files and reads receipts: sections 4 and 5. */
const sendFiles = (wire: FrameStream, tree: ReadonlyArray<TreeEntry>, dry: boolean) =>
  Effect.gen(function* () {
    const entries = sorted(tree)
    const answers: Array<{ readonly answer: number; readonly digests: ReadonlyArray<Buffer> }> = []
    const outcomes = new Map<number, number>()
    let digests: Array<Buffer> = []
    let sentBytes = 0
    let done = false
    const readFrame = Effect.gen(function* () {
      const { type, body } = (yield* wire.receive) ?? fail("a FIN before DONE")
      if (type === 32)
        for (const answer of body) {
          if (answers.length === entries.length || answer > 10) fail("an answer to nothing")
          answers.push({ answer, digests })
          digests = []
        }
      else if (type === 33) digests = [...digests, ...slices(Buffer.from(body), 32)]
      else if (type === 34)
        for (let at = 0; at < body.length; at += 5) {
          const [index, outcome] = [body.readUInt32BE(at), body[at + 4] as number]
          if (outcomes.has(index) || (answers[index]?.answer ?? 9) > 4) fail("unexpected receipt")
          outcomes.set(index, outcome)
          if (outcome === 1 || outcome === 7) at += 2 + body.readUInt16BE(at + 5)
        }
      else if (type === 35) done = true
      else if (type === 48) fail(`STOP ${body[0]}`)
      else fail(`a frame of type ${type}`)
    })
    for (const [index, { bytes }] of entries.entries()) {
      while (answers.length <= index) yield* readFrame
      const { answer, digests: theirs } = answers[index] ?? fail("no answer")
      if (bytes === undefined || answer === 0 || answer > 4) continue
      const own = blocksOf(bytes)
      const kept = theirs.findIndex((digest, at) => own[at]?.equals(digest) !== true)
      const equal = kept < 0 ? theirs.length : kept
      const pass = (why: number) => wire.send(frame(24, integer(4, index), Buffer.from([why])))
      if ((answer === 3 || answer === 4) && equal === own.length) yield* pass(0)
      else if (answer === 4) yield* pass(2)
      else if (dry) yield* pass(1)
      else if (bytes.length <= piece && answer !== 2) {
        sentBytes += bytes.length
        yield* wire.send(frame(19, integer(4, index), digestOf(bytes), bytes))
      } else {
        const blocks = answer === 2 ? equal : 0
        yield* wire.send(frame(20, integer(4, index), integer(4, blocks)))
        for (const each of slices(bytes.subarray(blocks * block), piece))
          if (each.every((byte) => byte === 0)) yield* wire.send(frame(22))
          else {
            sentBytes += each.length
            yield* wire.send(frame(21, each))
          }
        yield* wire.send(frame(23, digestOf(bytes)))
      }
    }
    yield* wire.send(frame(25))
    while (!done) yield* readFrame
    const owed = answers.filter(({ answer }) => answer < 5).length
    if (!dry && outcomes.size !== owed) fail("DONE before the last receipt")
    yield* wire.end
    return {
      sentBytes,
      results: Object.fromEntries(
        entries.map(({ path }, index) => [path, [answers[index]?.answer, outcomes.get(index)]])
      )
    }
  })

/** Receives everything below these names into memory; `existing` has the files it has already. */
export const pull = (
  channel: Channel,
  names: ReadonlyArray<string>,
  existing: ReadonlyMap<string, Buffer> = new Map()
) =>
  Effect.gen(function* () {
    const wire = new FrameStream(channel)
    yield* wire.send(frame(2, Buffer.from([0, 0]), ...names.map(text)))
    const entries: Array<TreeEntry & { readonly size: number }> = []
    const next = Effect.map(wire.receive, (received) => received ?? fail("a FIN before DONE"))
    for (;;) {
      const { type, body } = yield* next
      if (type === 18) {
        if (body.readUInt32BE(0) !== entries.length) fail("other totals")
        break
      }
      if (type === 17) continue
      if (type !== 16) fail(`a frame of type ${type}, STOP is ${body[0]}`)
      for (let at = 0; at < body.length;) {
        const length = body.readUInt16BE(at + 19)
        const path = body.toString("utf8", at + 21, at + 21 + length)
        const isRequested = names.some(
          (name) => name === "" || name.split("/").at(-1) === path.split("/")[0]
        )
        if (!isRequested || path.split("/").some((name) => name === "" || name === ".."))
          fail("an entry that was not requested")
        const isFile = body[at] === 1
        entries.push({
          path,
          mode: body.readUInt16BE(at + 1),
          mtime: Number(body.readBigInt64BE(at + 3)),
          size: Number(body.readBigUInt64BE(at + 11)),
          ...(isFile ? { bytes: Buffer.alloc(0) } : {})
        })
        at += 21 + length
      }
    }
    for (const { path, bytes, size } of entries) {
      const have = existing.get(path)
      if (bytes === undefined) yield* wire.send(frame(32, Buffer.from([0])))
      else if (have?.length === size)
        yield* wire.send(frame(33, ...blocksOf(have)), frame(32, Buffer.from([3])))
      else yield* wire.send(frame(32, Buffer.from([1])))
    }
    const received = new Map<string, TreeEntry>()
    const receipt = (index: number, outcome: number) =>
      wire.send(frame(34, integer(4, index), Buffer.from([outcome])))
    for (;;) {
      const { type, body } = yield* next
      if (type === 25) break
      const index = body.readUInt32BE(0)
      const entry = entries[index] ?? fail("a file without an entry")
      if (type === 24) {
        received.set(entry.path, {
          ...entry,
          bytes: existing.get(entry.path) ?? fail("SKIP as the same without a file")
        })
        yield* receipt(index, body[4] === 0 ? 2 : 4)
        continue
      }
      const pieces: Array<Buffer> = []
      let digest = Buffer.from(body.subarray(4, 36))
      if (type === 19) pieces.push(Buffer.from(body.subarray(36)))
      else if (type === 20)
        for (let at = 0; ; at += piece) {
          const one = yield* next
          if (one.type === 23) {
            digest = Buffer.from(one.body)
            break
          }
          pieces.push(
            one.type === 22 ? Buffer.alloc(Math.min(piece, entry.size - at)) : Buffer.from(one.body)
          )
        }
      else fail(`a frame of type ${type}`)
      const bytes = Buffer.concat(pieces)
      if (bytes.length !== entry.size || !digest.equals(digestOf(bytes))) fail("other bytes")
      received.set(entry.path, { ...entry, bytes })
      yield* receipt(index, 0)
    }
    for (const [index, entry] of entries.entries())
      if (entry.bytes === undefined) {
        received.set(entry.path, entry)
        yield* receipt(index, 0)
      }
    yield* wire.send(frame(35))
    yield* wire.end
    return received
  })

// A second implementation of TRANSFER.md, both sides, written from that page alone: frames by hand, node:crypto, and nothing of src/programs.
// Whatever it hears that the page does not allow ends it.
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
const wrong = (what: string): never => {
  throw new Error(what)
}

/** A file, or a folder where there are no bytes. */
export interface Thing {
  readonly path: string
  readonly mode: number
  /** Microseconds. */
  readonly mtime: number
  readonly bytes?: Buffer
}

/** One end of the stream of frames. */
class Wire {
  readonly #channel: Channel
  #held = Buffer.alloc(0)

  constructor(channel: Channel) {
    this.#channel = channel
  }

  say(...frames: ReadonlyArray<Uint8Array>) {
    return this.#channel.write(Buffer.concat(frames))
  }

  /** The next frame; undefined at FIN. */
  get hear() {
    return Effect.gen(this, function* () {
      for (;;) {
        const length = this.#held.length < 5 ? undefined : 5 + this.#held.readUInt32BE(1)
        if (length !== undefined && length > 5 + piece + 36)
          return wrong("a frame that is too long")
        if (length !== undefined && this.#held.length >= length) {
          const [type, body] = [this.#held[0] as number, this.#held.subarray(5, length)]
          this.#held = this.#held.subarray(length)
          return { type, body }
        }
        const item = yield* this.#channel.read
        if (item === undefined)
          return this.#held.length === 0 ? undefined : wrong("a FIN inside of a frame")
        if (item instanceof Uint8Array) this.#held = Buffer.concat([this.#held, item])
      }
    })
  }

  /** FIN, and the other side's; the channel closes with code 0. */
  get over() {
    return Effect.gen(this, function* () {
      yield* this.#channel.end
      if ((yield* this.hear) !== undefined) wrong("more after the last word")
    })
  }
}

/** Sections 1 and 3 to 5 as the sender. Gives, by path, the answer and the outcome, and how many bytes of files travelled. */
export const push = (channel: Channel, things: ReadonlyArray<Thing>, policy = 0, dry = 0) =>
  Effect.gen(function* () {
    const wire = new Wire(channel)
    yield* wire.say(frame(1, Buffer.from([policy, dry])))
    yield* list(wire, things)
    return yield* send(wire, things, dry === 1)
  })

const order = ({ path }: Thing) => Buffer.from(path.replaceAll("/", "\0"))

const sorted = (things: ReadonlyArray<Thing>) =>
  [...things].sort((one, other) => Buffer.compare(order(one), order(other)))

/** Section 3. */
const list = (wire: Wire, things: ReadonlyArray<Thing>) => {
  const entries = sorted(things).map(({ path, mode, mtime, bytes }) =>
    Buffer.concat([
      Buffer.from([bytes === undefined ? 0 : 1]),
      integer(2, mode),
      integer(8, mtime),
      integer(8, bytes?.length ?? 0),
      text(path)
    ])
  )
  const total = things.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0)
  // One frame for each, which is allowed and not what the other implementation does.
  return wire.say(
    ...entries.map((entry) => frame(16, entry)),
    frame(18, integer(4, entries.length), integer(8, total))
  )
}

/** Sections 4 and 5. */
const send = (wire: Wire, given: ReadonlyArray<Thing>, dry: boolean) =>
  Effect.gen(function* () {
    const things = sorted(given)
    const answers: Array<{ readonly answer: number; readonly digests: ReadonlyArray<Buffer> }> = []
    const outcomes = new Map<number, number>()
    let digests: Array<Buffer> = []
    let travelled = 0
    let done = false
    const hear = Effect.gen(function* () {
      const { type, body } = (yield* wire.hear) ?? wrong("a FIN before DONE")
      if (type === 32)
        for (const answer of body) {
          if (answers.length === things.length || answer > 10) wrong("an answer to nothing")
          answers.push({ answer, digests })
          digests = []
        }
      else if (type === 33) digests = [...digests, ...slices(Buffer.from(body), 32)]
      else if (type === 34)
        for (let at = 0; at < body.length; at += 5) {
          const [index, outcome] = [body.readUInt32BE(at), body[at + 4] as number]
          if (outcomes.has(index) || (answers[index]?.answer ?? 9) > 4)
            wrong("a receipt that is not owed")
          outcomes.set(index, outcome)
          if (outcome === 1 || outcome === 7) at += 2 + body.readUInt16BE(at + 5)
        }
      else if (type === 35) done = true
      else if (type === 48) wrong(`STOP ${body[0]}`)
      else wrong(`a frame of type ${type}`)
    })
    for (const [index, { bytes }] of things.entries()) {
      while (answers.length <= index) yield* hear
      const { answer, digests: theirs } = answers[index] ?? wrong("no answer")
      if (bytes === undefined || answer === 0 || answer > 4) continue
      const own = blocksOf(bytes)
      const kept = theirs.findIndex((digest, at) => own[at]?.equals(digest) !== true)
      const equal = kept < 0 ? theirs.length : kept
      const pass = (why: number) => wire.say(frame(24, integer(4, index), Buffer.from([why])))
      if ((answer === 3 || answer === 4) && equal === own.length) yield* pass(0)
      else if (answer === 4) yield* pass(2)
      else if (dry) yield* pass(1)
      else if (bytes.length <= piece && answer !== 2) {
        travelled += bytes.length
        yield* wire.say(frame(19, integer(4, index), digestOf(bytes), bytes))
      } else {
        const blocks = answer === 2 ? equal : 0
        yield* wire.say(frame(20, integer(4, index), integer(4, blocks)))
        for (const each of slices(bytes.subarray(blocks * block), piece))
          if (each.every((byte) => byte === 0)) yield* wire.say(frame(22))
          else {
            travelled += each.length
            yield* wire.say(frame(21, each))
          }
        yield* wire.say(frame(23, digestOf(bytes)))
      }
    }
    yield* wire.say(frame(25))
    while (!done) yield* hear
    const owed = answers.filter(({ answer }) => answer < 5).length
    if (!dry && outcomes.size !== owed) wrong("DONE before the last receipt")
    yield* wire.over
    return {
      travelled,
      said: Object.fromEntries(
        things.map(({ path }, index) => [path, [answers[index]?.answer, outcomes.get(index)]])
      )
    }
  })

/** The same as the receiver: everything below these names, in memory; `there` is what it has already, by path. */
export const pull = (
  channel: Channel,
  names: ReadonlyArray<string>,
  there: ReadonlyMap<string, Buffer> = new Map()
) =>
  Effect.gen(function* () {
    const wire = new Wire(channel)
    yield* wire.say(frame(2, Buffer.from([0, 0]), ...names.map(text)))
    const things: Array<Thing & { readonly size: number }> = []
    const next = Effect.map(wire.hear, (heard) => heard ?? wrong("a FIN before DONE"))
    for (;;) {
      const { type, body } = yield* next
      if (type === 18) {
        if (body.readUInt32BE(0) !== things.length) wrong("other totals")
        break
      }
      if (type === 17) continue
      if (type !== 16) wrong(`a frame of type ${type}, STOP is ${body[0]}`)
      for (let at = 0; at < body.length;) {
        const length = body.readUInt16BE(at + 19)
        const path = body.toString("utf8", at + 21, at + 21 + length)
        const asked = names.some(
          (name) => name === "" || name.split("/").at(-1) === path.split("/")[0]
        )
        if (!asked || path.split("/").some((name) => name === "" || name === ".."))
          wrong("what was not asked for")
        const isFile = body[at] === 1
        things.push({
          path,
          mode: body.readUInt16BE(at + 1),
          mtime: Number(body.readBigInt64BE(at + 3)),
          size: Number(body.readBigUInt64BE(at + 11)),
          ...(isFile ? { bytes: Buffer.alloc(0) } : {})
        })
        at += 21 + length
      }
    }
    for (const { path, bytes, size } of things) {
      const have = there.get(path)
      if (bytes === undefined) yield* wire.say(frame(32, Buffer.from([0])))
      else if (have?.length === size)
        yield* wire.say(frame(33, ...blocksOf(have)), frame(32, Buffer.from([3])))
      else yield* wire.say(frame(32, Buffer.from([1])))
    }
    const came = new Map<string, Thing>()
    const receipt = (index: number, outcome: number) =>
      wire.say(frame(34, integer(4, index), Buffer.from([outcome])))
    for (;;) {
      const { type, body } = yield* next
      if (type === 25) break
      const index = body.readUInt32BE(0)
      const thing = things[index] ?? wrong("a file of no entry")
      if (type === 24) {
        came.set(thing.path, {
          ...thing,
          bytes: there.get(thing.path) ?? wrong("nothing is the same")
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
            one.type === 22 ? Buffer.alloc(Math.min(piece, thing.size - at)) : Buffer.from(one.body)
          )
        }
      else wrong(`a frame of type ${type}`)
      const bytes = Buffer.concat(pieces)
      if (bytes.length !== thing.size || !digest.equals(digestOf(bytes))) wrong("other bytes")
      came.set(thing.path, { ...thing, bytes })
      yield* receipt(index, 0)
    }
    for (const [index, thing] of things.entries())
      if (thing.bytes === undefined) {
        came.set(thing.path, thing)
        yield* receipt(index, 0)
      }
    yield* wire.say(frame(35))
    yield* wire.over
    return came
  })

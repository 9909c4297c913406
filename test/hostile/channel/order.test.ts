// Records that are dropped, repeated, swapped, or from another session: only the records before
// them are read.
import * as Effect from "effect/Effect"
import { describe, expect, it } from "@effect/vitest"
import * as Channel from "../../../src/channel/Channel.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { clientKeys, listenAndRead, suiteOf } from "../../channel/rig.ts"
import { pause, withTimeout, waitUntil } from "../../../src/testing/steps.ts"

type Attack = (frames: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>

/** Splits writes into frames. */
const framesOf = (bytes: Buffer): ReadonlyArray<Uint8Array> => {
  const frames: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 2 + bytes.readUInt16BE(at)
    frames.push(bytes.subarray(at, end))
    at = end
  }
  return frames
}

/**
 * Forwards message 1; collects all records, then sends the records that the attack makes of them.
 */
const intercepting = (connection: Connection, records: number, attack: Attack): Connection => {
  const held: Array<Uint8Array> = []
  let met = false
  return {
    ...connection,
    flow: {
      ...connection.flow,
      write: (bytes) => {
        if (!met) {
          met = true
          return connection.flow.write(bytes)
        }
        held.push(...framesOf(Buffer.from(bytes)))
        if (held.length < records) return true
        return connection.flow.write(Buffer.concat(attack(held.splice(0))))
      }
    }
  }
}

const words = ["one ", "two ", "three ", "four "]
/** READY, four DATA records, FIN. */
const count = 1 + words.length + 1

const session = (attack: Attack) =>
  Effect.gen(function* () {
    const { address, outcomes } = yield* listenAndRead()
    const plain = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
    const channel = yield* Channel.connect(
      intercepting(plain, count, attack),
      clientKeys(suiteOf("IK"))
    )
    // On the memory transport a rejection arrives at once.
    for (const word of words) yield* Effect.ignore(channel.sendControl(Buffer.from(word)))
    yield* Effect.ignore(channel.end)
    // The missing record never arrives.
    yield* pause(30)
    yield* plain.abort
    yield* withTimeout(
      "the outcome",
      waitUntil("the outcome", () => outcomes.length > 0)
    )
    const [outcome] = outcomes
    return outcome?._tag === "Session"
      ? { text: outcome.bytes.toString(), error: outcome.error?._tag }
      : { text: undefined, error: outcome?.reason }
  }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))

const asItIs: Attack = (frames) => frames

describe("an attacker on the path", () => {
  it.scopedLive("that forwards everything does not affect the stream", () =>
    Effect.map(session(asItIs), (seen) =>
      expect(seen).toEqual({ text: words.join(""), error: undefined })
    )
  )

  it.scopedLive("that drops a record", () =>
    Effect.gen(function* () {
      for (let index = 1; index < count - 1; index++)
        expect(yield* session((frames) => frames.filter((_, at) => at !== index))).toEqual({
          text: words.slice(0, index - 1).join(""),
          error: "ChannelTampered"
        })
      // Without the last record the stream has no end.
      expect(yield* session((frames) => frames.slice(0, -1))).toEqual({
        text: words.join(""),
        error: "StreamTruncated"
      })
      expect(yield* session((frames) => frames.slice(1))).toMatchObject({
        text: undefined,
        error: "a record failed authentication"
      })
    })
  )

  it.scopedLive("that repeats a record", () =>
    Effect.gen(function* () {
      for (let index = 0; index < count - 1; index++)
        expect(
          yield* session((frames) =>
            frames.flatMap((frame, at) => (at === index ? [frame, frame] : [frame]))
          )
        ).toEqual({
          text: words.slice(0, index).join(""),
          error: "ChannelTampered"
        })
    })
  )

  it.scopedLive("that swaps two records", () =>
    Effect.gen(function* () {
      for (let index = 1; index < count - 1; index++)
        expect(
          yield* session((frames) =>
            frames.map((frame, at) =>
              at === index
                ? (frames[index + 1] as Uint8Array)
                : at === index + 1
                  ? (frames[index] as Uint8Array)
                  : frame
            )
          )
        ).toEqual({ text: words.slice(0, index - 1).join(""), error: "ChannelTampered" })
    })
  )

  it.scopedLive("that inserts a record of another session of the same peers", () =>
    Effect.gen(function* () {
      let other: ReadonlyArray<Uint8Array> = []
      yield* session((frames) => {
        other = frames
        return frames
      })
      expect(other.length).toBe(count)
      for (let index = 1; index < count; index++)
        expect(
          yield* session((frames) =>
            frames.map((frame, at) => (at === index ? (other[index] as Uint8Array) : frame))
          )
        ).toEqual({ text: words.slice(0, index - 1).join(""), error: "ChannelTampered" })
      expect(yield* session(() => other)).toMatchObject({
        text: undefined,
        error: "a record failed authentication"
      })
    })
  )

  it.scopedLive("that reflects records to their sender", () =>
    Effect.gen(function* () {
      const { address } = yield* listenAndRead()
      const plain = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
      const written: Array<Uint8Array> = []
      let reflect: ((chunk: Uint8Array) => void) | undefined
      const channel = yield* Channel.connect(
        {
          ...plain,
          flow: {
            ...plain.flow,
            start: (sink) => {
              reflect = sink.bytes
              plain.flow.start(sink)
            },
            write: (bytes) => {
              written.push(bytes)
              return plain.flow.write(bytes)
            }
          }
        },
        clientKeys(suiteOf("IK"))
      )
      yield* pause(20)
      yield* channel.sendControl(Buffer.from("echo"))
      reflect?.(written.at(-1) as Uint8Array)
      expect(yield* withTimeout("the refusal", Effect.flip(channel.read))).toMatchObject({
        _tag: "ChannelTampered"
      })
    }).pipe(Effect.provide(Transport.layerMemory()))
  )
})

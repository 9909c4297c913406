// Properties of a codec: alone, and in a channel over networks that split, delay and lose bytes.
import { expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import { Address, Channel, Transport, type Accepted } from "sealwire"
import { mutualKeys, chaos } from "sealwire/testing"
import { Decoder, encode, limits, Reading } from "./Readings.ts"

const readings = FastCheck.array(Arbitrary.make(Reading), { maxLength: 20 })
const chunks = FastCheck.array(FastCheck.nat(300), { minLength: 1, maxLength: 20 })

it.prop(
  "decoding reverses encoding for any chunk sizes",
  { readings, chunks },
  ({ readings, chunks }) => {
    const decoder = new Decoder()
    let rest = Buffer.concat(readings.map(encode))
    const decoded: Array<Reading> = []
    for (let turn = 0; rest.length > 0; turn++) {
      const length = 1 + (chunks[turn % chunks.length] ?? 0)
      decoded.push(...(decoder.push(rest.subarray(0, length)) ?? []))
      rest = rest.subarray(length)
    }
    expect(decoded).toEqual(readings)
    expect(decoder.isEmpty).toBe(true)
  }
)

it.prop(
  "malformed bytes are rejected or buffered within the limit",
  { bytes: FastCheck.uint8Array() },
  ({ bytes }) => {
    const decoder = new Decoder()
    let buffered = 0
    for (const byte of bytes) {
      buffered++
      const decoded = decoder.push(Uint8Array.of(byte))
      if (decoded === undefined) return
      if (decoded.length > 0) buffered = 0
    }
    expect(buffered).toBeLessThan(2 + limits.readingBytes)
  }
)

const alice = mutualKeys("alice")
const application = "example-readings/1"

/** Reads until the channel ends; `complete` if the sender has ended its stream. */
const receive = (connection: Accepted) => {
  const received: Array<Reading> = []
  return Effect.gen(function* () {
    const channel = yield* Channel.accept(connection, { ...alice.server, application })
    const decoder = new Decoder()
    for (let item = yield* channel.read; item !== undefined; item = yield* channel.read) {
      const readings = item instanceof Channel.Control ? undefined : decoder.push(item)
      if (readings === undefined) return yield* Effect.fail("malformed reading")
      received.push(...readings)
    }
    return decoder.isEmpty
  }).pipe(
    Effect.orElseSucceed(() => false),
    Effect.map((complete) => ({ received, complete }))
  )
}

const send = (address: Address.Address, readings: ReadonlyArray<Reading>) =>
  Effect.gen(function* () {
    const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
    const channel = yield* Channel.connect(connection, { ...alice.client.keys, application })
    for (const reading of readings) yield* channel.write(encode(reading))
    yield* channel.end
  }).pipe(Effect.scoped)

it.scoped.prop(
  "a channel delivers all readings, or the first of them and an error",
  { readings, network: chaos({ cuts: 1, delay: 100 }) },
  ({ readings, network }) =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const result = yield* Deferred.make<{
        readonly received: ReadonlyArray<Reading>
        readonly complete: boolean
      }>()
      const { address } = yield* transport.listen(Address.tcp("127.0.0.1", 0), (connection) =>
        Effect.flatMap(receive(connection), (seen) => Deferred.succeed(result, seen))
      )
      const sending = yield* Effect.fork(Effect.exit(send(address, readings)))
      // Runs deadlines and delays at once.
      while (!(yield* Deferred.isDone(result)) || sending.unsafePoll() === null)
        yield* TestClock.adjust("200 millis")
      const { received, complete } = yield* Deferred.await(result)
      expect(received).toEqual(complete ? readings : readings.slice(0, received.length))
      if (network.cuts?.length === 0) expect(complete).toBe(true)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory(network))),
  { fastCheck: { numRuns: 40 } }
)

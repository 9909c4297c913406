// Complete servers and clients over in-memory sockets, under TestClock.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { Cipher } from "../../src/classic/Cipher.ts"
import { ciphers } from "../../src/classic/ciphers.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as Classic from "../../src/classic/Classic.ts"
import * as Address from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"

const address = Address.tcp("127.0.0.1", 8080)

/** Starts a server and returns its events and an Effect that waits for the next one. */
const startServer = (options: { readonly once?: boolean } = {}) =>
  Effect.gen(function* () {
    const events: Array<Classic.ClassicServerEvent> = []
    let waiting: ((event: Classic.ClassicServerEvent) => void) | undefined
    let read = 0
    const next = Effect.async<Classic.ClassicServerEvent>((resume) => {
      const event = events[read]
      if (event === undefined) {
        waiting = (event) => {
          read++
          resume(Effect.succeed(event))
        }
        return
      }
      read++
      resume(Effect.succeed(event))
    })
    const fiber = yield* Effect.fork(
      Classic.serve({
        address,
        once: options.once ?? false,
        onEvent: (event) =>
          Effect.sync(() => {
            events.push(event)
            const wake = waiting
            waiting = undefined
            wake?.(event)
          })
      })
    )
    expect((yield* next)._tag).toBe("Listening")
    return { events, next, fiber }
  })

const layers = (kind: (typeof ciphers)[number], chunkBytes?: number) =>
  Layer.merge(
    Transport.layerMemory(chunkBytes === undefined ? {} : { chunkBytes }),
    Cipher.layer(kind).pipe(
      Layer.provide(KeyStore.layerMemory(KeyText.encode(kind.key, Secret.random(kind.key.length))))
    )
  )

const send = (text: Uint8Array) => Classic.send({ address, text, anyLength: true })

/** Connects, writes the bytes, and ends, aborts or keeps the connection. */
const sendRaw = (bytes: Uint8Array, finish: "end" | "abort" | "stay" = "end") =>
  Effect.gen(function* () {
    const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
    if (bytes.length > 0) yield* connection.write(bytes)
    if (finish !== "stay") yield* connection[finish]
    return connection
  })

describe.each(ciphers)("$name", (kind) => {
  it.live.prop(
    "delivers a message in chunks of any size",
    {
      text: FastCheck.uint8Array({ maxLength: 300 }),
      chunkBytes: FastCheck.integer({ min: 1, max: 40 })
    },
    ({ text, chunkBytes }) =>
      Effect.gen(function* () {
        const server = yield* startServer()
        const { wire } = yield* send(text)
        const event = yield* server.next
        expect(event).toMatchObject({
          _tag: "Message",
          text: Buffer.from(text),
          wire: Buffer.from(wire)
        })
        yield* Fiber.interrupt(server.fiber)
      }).pipe(Effect.provide(layers(kind, chunkBytes))),
    { fastCheck: { numRuns: 30 } }
  )

  it.effect("serves one hundred concurrent clients", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)
      yield* Effect.all(
        texts.map((text) => send(Buffer.from(text))),
        { concurrency: "unbounded" }
      )
      while (server.events.length < 101) yield* server.next
      const got = server.events.flatMap((event) =>
        event._tag === "Message" ? [Buffer.from(event.text).toString()] : []
      )
      expect(got.toSorted()).toEqual(texts.toSorted())
    }).pipe(Effect.provide(layers(kind)))
  )

  it.effect("with once, ends after the first message that decrypts", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ once: true })
      yield* Effect.scoped(sendRaw(Buffer.alloc(33, 9)))
      expect(yield* server.next).toMatchObject({ _tag: "Refused", reason: "does not open" })
      yield* send(Buffer.from("the one"))
      yield* Fiber.join(server.fiber)
      expect(server.events.filter(({ _tag }) => _tag === "Message").length).toBe(1)
    }).pipe(Effect.provide(layers(kind)))
  )
})

describe("a connection without a message", () => {
  const kind = ciphers[0]
  const refusal = (
    name: string,
    reason: Classic.RefusalReason,
    act: Effect.Effect<unknown, unknown, Transport | import("effect/Scope").Scope>
  ) =>
    it.scoped(name, () =>
      Effect.gen(function* () {
        const server = yield* startServer()
        yield* Effect.fork(act)
        expect(yield* server.next).toMatchObject({ _tag: "Refused", reason })
        yield* send(Buffer.from("still serving"))
        expect(yield* server.next).toMatchObject({ _tag: "Message" })
      }).pipe(Effect.provide(layers(kind)))
    )

  refusal("that is empty", "nothing sent", sendRaw(new Uint8Array()))
  refusal("that is aborted", "cut off", sendRaw(Buffer.alloc(5), "abort"))
  refusal("of garbage", "does not open", sendRaw(Buffer.alloc(17)))
  refusal("that is too long", "too long", sendRaw(Buffer.alloc(Classic.limits.messageBytes + 1)))
  refusal(
    "that sends nothing",
    "nothing sent",
    Effect.zipRight(
      sendRaw(new Uint8Array(), "stay"),
      TestClock.adjust(Classic.limits.firstByteDeadline)
    )
  )
  refusal(
    "that never ends",
    "too slow",
    Effect.gen(function* () {
      const connection = yield* sendRaw(Buffer.from("x"), "stay")
      // The first byte must be read before the server's clock is adjusted.
      for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow()
      yield* Effect.promise(() => new Promise((done) => setImmediate(done)))
      yield* connection.write(Buffer.from("y"))
      yield* TestClock.adjust(Classic.limits.messageDeadline)
    })
  )

  it.scoped("above the memory limit, the largest is evicted and a small one arrives", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const big = Buffer.alloc(Classic.limits.messageBytes)
      for (let held = 0; held <= Classic.limits.heldBytes; held += big.length)
        yield* sendRaw(big, "stay")
      expect(yield* server.next).toMatchObject({
        _tag: "Refused",
        reason: "crowded out",
        bytes: big.length
      })
      // The memory is at its limit: another large message is evicted for the small one.
      yield* send(Buffer.from("small"))
      expect(yield* server.next).toMatchObject({
        _tag: "Refused",
        reason: "crowded out",
        bytes: big.length
      })
      expect(yield* server.next).toMatchObject({ _tag: "Message", text: Buffer.from("small") })
    }).pipe(Effect.provide(layers(kind)))
  )
})

it.scoped(
  "when delivery is blocked, memory stays within the limit and new messages are evicted",
  () =>
    Effect.gen(function* () {
      const output = yield* Deferred.make<void>()
      const refused = yield* Deferred.make<Classic.ClassicServerEvent>()
      const server = Classic.serve({
        address,
        once: false,
        onEvent: (event) =>
          event._tag === "Message"
            ? Deferred.await(output)
            : event._tag === "Refused"
              ? Deferred.succeed(refused, event)
              : Effect.void
      })
      yield* Effect.fork(server)
      yield* Effect.yieldNow()
      const cipher = yield* Cipher
      const big = yield* cipher.encrypt(Buffer.alloc(Classic.limits.messageBytes - 64))
      for (let held = 0; held <= Classic.limits.heldBytes; held += big.length)
        yield* Effect.ignore(sendRaw(big))
      expect(yield* Deferred.await(refused)).toMatchObject({
        _tag: "Refused",
        reason: "crowded out"
      })
      yield* Deferred.succeed(output, undefined)
    }).pipe(Effect.provide(layers(ciphers[0])))
)

describe("the client", () => {
  it.effect("fails when no server listens", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(send(Buffer.from("x")))).message).toBe(
        "cannot connect to 127.0.0.1:8080: connection refused; is the server running, and is the address right?"
      )
    }).pipe(Effect.provide(layers(ciphers[0])))
  )
  it.effect("rejects more than the original server can read, before it connects", () =>
    Effect.gen(function* () {
      const connected = yield* Deferred.make<void>()
      yield* Effect.flatMap(Transport, (transport) =>
        transport.listen(address, () => Deferred.succeed(connected, undefined))
      )
      const error = yield* Effect.flip(
        Classic.send({ address, text: Buffer.alloc(1024), anyLength: false })
      )
      expect(error.message).toBe(
        "message too long: 1,024 bytes; the original C++ server cannot read it (limit: 1,023 bytes); Sealwire's own server accepts more"
      )
      expect(yield* Deferred.isDone(connected)).toBe(false)
    }).pipe(Effect.scoped, Effect.provide(layers(ciphers[0])))
  )
})

it.effect("a stopping server finishes the message in flight", () =>
  Effect.gen(function* () {
    const server = yield* startServer()
    const cipher = yield* Cipher
    const wire = yield* cipher.encrypt(Buffer.from("in flight"))
    const connection = yield* sendRaw(wire.subarray(0, 5), "stay")
    const silent = yield* sendRaw(new Uint8Array(), "stay")
    yield* Effect.promise(() => new Promise((done) => setTimeout(done, 20)))
    const stopping = yield* Effect.fork(Fiber.interrupt(server.fiber))
    // The connection that has sent nothing is closed at once.
    expect(yield* silent.read).toBeUndefined()
    yield* connection.write(wire.subarray(5))
    yield* connection.end
    expect(yield* server.next).toMatchObject({ _tag: "Message", text: Buffer.from("in flight") })
    yield* Fiber.join(stopping)
  }).pipe(Effect.scoped, Effect.provide(layers(ciphers[0])))
)

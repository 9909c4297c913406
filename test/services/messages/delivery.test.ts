// Delivery over connections that are lost at every point: each message is handled once and in
// order, or the caller gets an error.
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import { runs } from "../../fixtures/sample.ts"
import { ServerKeyChanged } from "../../../src/peers/PeerErrors.ts"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../../src/channel/Channel.ts"
import {
  ChannelClosed,
  ChannelRefused,
  ChannelTampered,
  HandshakeFailed,
  PeerDead,
  StreamTruncated,
  type ChannelError
} from "../../../src/channel/ChannelErrors.ts"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { NotTaken } from "../../../src/services/messages/MessageClient.ts"
import { Delivery, limits as deliveryLimits } from "../../../src/services/messages/Delivery.ts"
import { limits, type Retry } from "../../../src/services/Retry.ts"
import { Deduplicator } from "../../../src/services/messages/Deduplicator.ts"
import {
  limits as messageLimits,
  type Message
} from "../../../src/services/messages/MessageFrame.ts"
import { encodeReceipt } from "../../../src/services/messages/Receipt.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import * as Server from "../../../src/services/Server.ts"
import { application } from "../../../src/services/Service.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { ConnectFailed, ConnectionLost } from "../../../src/transports/TransportErrors.ts"
import {
  dialKeys,
  layerFasterClock,
  mallory,
  serverKeys,
  anyPort,
  suiteOf
} from "../../channel/rig.ts"
import { pause, withTimeout, settled, waitUntil } from "../../../src/testing/steps.ts"

const forLong: Retry = { deadline: "1 hour", includesFirstAttempt: false }
const text = (word: string) => Buffer.from(word)
const wordsOf = (messages: ReadonlyArray<Message>) =>
  messages.map(({ text }) => Buffer.from(text).toString())

/** Starts a server. */
const serving = (handle: MessageService.HandleMessages) =>
  Effect.gen(function* () {
    const listening = yield* Deferred.make<Address>()
    const counted = { standing: 0, sessions: 0 }
    yield* Effect.forkScoped(
      Server.serve({
        address: anyPort,
        keys: serverKeys,
        services: [MessageService.service(handle)],
        on: Server.ServerEvent.$match({
          Listening: ({ address }) => Effect.asVoid(Deferred.succeed(listening, address)),
          SessionStarted: () => Effect.sync(() => void (counted.standing++, counted.sessions++)),
          Stopping: () => Effect.void,
          SessionEnded: () => Effect.sync(() => void counted.standing--),
          ConnectionRefused: () => Effect.void
        })
      })
    )
    return { counted, address: yield* withTimeout("the listener", Deferred.await(listening)) }
  })

const sessionAt =
  (address: Address) =>
  (use: (client: MessageClient.MessageClient) => Effect.Effect<void, NotTaken | ChannelError>) =>
    Effect.flatMap(
      MessageClient.connect({
        address,
        keys: dialKeys(suiteOf("NNpsk0"))
      }),
      use
    ).pipe(Effect.scoped)

/** A handler that skips messages it has handled, as that of a printing server does. */
const remembering = (
  take: (messages: ReadonlyArray<Message>) => Effect.Effect<void, MessageService.MessageRefused>
) => {
  const handled = new Deduplicator()
  return (messages: ReadonlyArray<Message>) => handled.handleOnce("the client", messages, take)
}

const memory = Effect.provide(Transport.layerMemory())

describe("an acknowledged message", () => {
  it.scopedLive.prop(
    "is never sent again, not even to another server",
    {
      steps: FastCheck.array(FastCheck.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 4 })
    },
    ({ steps }) =>
      Effect.gen(function* () {
        // Each session handles part of the batch and refuses the next message for now, as with a
        // full disk; no server remembers IDs.
        const left = [...steps]
        const taken: Array<string> = []
        const { address } = yield* serving((messages) =>
          Effect.suspend(() => {
            const handled = left.shift() ?? Number.POSITIVE_INFINITY
            taken.push(...wordsOf(messages.slice(0, handled)))
            if (handled >= messages.length) return Effect.void
            return new MessageService.MessageRefused({ reason: "not now", retry: true, handled })
          })
        )
        const words = Array.from({ length: 20 }, (_, index) => `word ${index}`)
        const delivery = new Delivery()
        yield* Effect.zipRight(delivery.offer(words.map(text)), delivery.complete)
        yield* withTimeout(
          "the delivery",
          delivery.run(sessionAt(address), { ...forLong, includesFirstAttempt: true })
        )
        expect(taken).toEqual(words)
      }).pipe(memory, Effect.provide(layerFasterClock(50))),
    { fastCheck: { numRuns: runs(5, 20) } }
  )
})

describe("with lost connections", () => {
  const bytes = FastCheck.oneof(
    FastCheck.integer({ min: 1, max: 400 }),
    FastCheck.integer({ min: 1, max: 5000 })
  )
  const whole = FastCheck.constant(Number.POSITIVE_INFINITY)
  it.scopedLive.prop(
    "every message is handled once and in order",
    {
      batches: FastCheck.array(FastCheck.array(FastCheck.nat({ max: 300 }), { maxLength: 12 }), {
        maxLength: 8
      }),
      // The first session is established: a lost handshake before that would count as a refusal.
      first: FastCheck.integer({ min: 100, max: 200 }),
      cuts: FastCheck.array(
        FastCheck.oneof(
          FastCheck.record({ written: bytes, read: whole }),
          FastCheck.record({ written: whole, read: bytes })
        ),
        { maxLength: 5 }
      ),
      refusals: FastCheck.uniqueArray(FastCheck.nat({ max: 6 }), { maxLength: 2 }),
      slowness: FastCheck.array(FastCheck.nat({ max: 3 }), { minLength: 1, maxLength: 4 }),
      chunkBytes: FastCheck.constantFrom(1, 7, 100, 100_000)
    },
    ({ batches, first, cuts, refusals, slowness, chunkBytes }) =>
      Effect.gen(function* () {
        const taken: Array<string> = []
        let turns = 0
        const { address } = yield* serving(
          remembering((messages) =>
            Effect.gen(function* () {
              const turn = turns++
              // Long enough for the next session to send the same messages.
              yield* pause((slowness[turn % slowness.length] ?? 0) * 4)
              if (refusals.includes(turn))
                return yield* new MessageService.MessageRefused({ reason: "not now", retry: true })
              taken.push(...wordsOf(messages))
            })
          )
        )
        const delivery = new Delivery()
        const running = yield* Effect.fork(delivery.run(sessionAt(address), forLong))
        let number = 0
        const words: Array<string> = []
        for (const lengths of batches) {
          const some = lengths.map((length) => `${number++}`.padEnd(length, "."))
          words.push(...some)
          yield* withTimeout("room", delivery.offer(some.map(text)))
          yield* pause(1)
        }
        yield* delivery.complete
        yield* withTimeout("the delivery", Fiber.join(running))
        expect(taken).toEqual(words)
        expect([delivery.offered, delivery.acknowledged]).toEqual([words.length, words.length])
      }).pipe(
        Effect.provide(
          Transport.layerMemory({
            cuts: [{ written: Number.POSITIVE_INFINITY, read: first }, ...cuts],
            chunkBytes
          })
        ),
        Effect.provide(layerFasterClock(20))
      ),
    { fastCheck: { numRuns: runs(15, 60) } }
  )

  it.scopedLive(
    "unacknowledged messages are sent again by the next session, under the same IDs",
    () =>
      Effect.gen(function* () {
        const ids: Array<string> = []
        let turns = 0
        const { address } = yield* serving((messages) => {
          ids.push(...messages.map(({ id }) => Buffer.from(id).toString("hex")))
          return turns++ === 0
            ? new MessageService.MessageRefused({ reason: "not now", retry: true })
            : Effect.void
        })
        const delivery = new Delivery()
        yield* delivery.offer([text("one"), text("two")])
        yield* delivery.complete
        const pauses: Array<string> = []
        yield* withTimeout(
          "the delivery",
          delivery.run(sessionAt(address), forLong, ({ _tag }) =>
            Effect.sync(() => pauses.push(_tag))
          )
        )
        expect(pauses).toEqual(["NotTaken"])
        expect(ids.slice(0, 2)).toEqual(ids.slice(2))
        expect(new Set(ids).size).toBe(2)
      }).pipe(memory, Effect.provide(layerFasterClock(20)))
  )
})

describe("the window", () => {
  it.scopedLive.each([
    ["messages", 0, 20_000, deliveryLimits.window],
    ["bytes", 50_000, 120, Math.floor(deliveryLimits.windowBytes / 50_020)]
  ] as const)("of %s is never exceeded; further messages wait", ([, length, count, most]) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let taken = 0
      const { address } = yield* serving((messages) =>
        Effect.zipRight(
          Deferred.await(gate),
          Effect.sync(() => void (taken += messages.length))
        )
      )
      const delivery = new Delivery()
      const running = yield* Effect.fork(delivery.run(sessionAt(address), forLong))
      const offering = yield* Effect.fork(
        delivery.offer(Array.from({ length: count }, () => Buffer.alloc(length)))
      )
      const waiting = yield* settled(() => delivery.offered)
      expect(waiting).toBeLessThanOrEqual(most)
      expect(waiting).toBeGreaterThan(most / 2)
      expect((yield* offering.poll)._tag).toBe("None")
      let widest = 0
      const watch = yield* Effect.fork(
        Effect.forever(
          Effect.zipRight(
            Effect.yieldNow(),
            Effect.sync(() => (widest = Math.max(widest, delivery.offered - delivery.acknowledged)))
          )
        )
      )
      yield* Deferred.succeed(gate, undefined)
      yield* withTimeout("the rest", Fiber.join(offering))
      yield* delivery.complete
      yield* withTimeout("the delivery", Fiber.join(running))
      yield* Fiber.interrupt(watch)
      expect(widest).toBeLessThanOrEqual(most)
      expect([taken, delivery.acknowledged]).toEqual([count, count])
    }).pipe(memory)
  )

  it.scopedLive("a message longer than the window is sent alone", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const taken: Array<number> = []
      const { address } = yield* serving((messages) =>
        Effect.zipRight(
          Deferred.await(gate),
          Effect.sync(() => taken.push(...messages.map(({ size }) => size)))
        )
      )
      const delivery = new Delivery()
      const running = yield* Effect.fork(delivery.run(sessionAt(address), forLong))
      const offering = yield* Effect.fork(
        delivery.offer([text("before"), Buffer.alloc(messageLimits.messageBytes), text("after")])
      )
      expect(yield* settled(() => delivery.offered)).toBe(1)
      yield* Deferred.succeed(gate, undefined)
      yield* withTimeout("room", Fiber.join(offering))
      yield* delivery.complete
      yield* withTimeout("the delivery", Fiber.join(running))
      expect(taken).toEqual([6, messageLimits.messageBytes, 5])
    }).pipe(memory)
  )

  it.effect("accepts no message of a batch in which one is too long", () =>
    Effect.gen(function* () {
      const delivery = new Delivery()
      const error = yield* Effect.flip(
        delivery.offer([text("small"), Buffer.alloc(messageLimits.messageBytes + 1)])
      )
      expect([error._tag, delivery.offered]).toEqual(["MessageTooLong", 0])
    })
  )
})

describe("a delivery ends", () => {
  it.scopedLive("after one session when there is nothing to send", () =>
    Effect.gen(function* () {
      let batches = 0
      const { address, counted } = yield* serving(() => Effect.sync(() => void batches++))
      const delivery = new Delivery()
      yield* delivery.complete
      yield* withTimeout("the delivery", delivery.run(sessionAt(address), forLong))
      yield* waitUntil("the session to end", () => counted.sessions === 1 && counted.standing === 0)
      expect(batches).toBe(0)
    }).pipe(memory)
  )

  it.scopedLive("when it is interrupted, and leaves no fiber running", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { address, counted } = yield* serving(() => Deferred.await(gate))
      const delivery = new Delivery()
      const running = yield* Effect.fork(delivery.run(sessionAt(address), forLong))
      const offering = yield* Effect.fork(
        delivery.offer(Array.from({ length: 20_000 }, () => text("")))
      )
      yield* waitUntil("the session", () => counted.standing === 1)
      yield* withTimeout("the interruption", Fiber.interruptAll([running, offering]))
      yield* Deferred.succeed(gate, undefined)
      yield* waitUntil("the session to end", () => counted.standing === 0)
    }).pipe(memory)
  )

  it.effect("during a pause, when the last receipt arrived before the connection was lost", () =>
    Effect.gen(function* () {
      const delivery = new Delivery()
      yield* delivery.offer([text("one")])
      const { attempt, times } = attempts([standing(lost, { acks: 1 }), fails(refused)])
      const running = yield* Effect.fork(
        delivery.run(attempt, { deadline: "30 seconds", includesFirstAttempt: false })
      )
      yield* TestClock.adjust("5 seconds")
      expect(times.length).toBeGreaterThan(1)
      yield* delivery.complete
      yield* withTimeout("the delivery", Fiber.join(running))
    })
  )

  it.scopedLive("at once when the server refuses the key at first contact", () =>
    Effect.gen(function* () {
      const { address } = yield* serving(() => Effect.void)
      const delivery = new Delivery()
      yield* delivery.offer([text("hello")])
      let tries = 0
      const error = yield* withTimeout(
        "the refusal",
        Effect.flip(
          delivery.run(
            (use) =>
              Effect.suspend(() => {
                tries++
                const keys = dialKeys(suiteOf("XX"), { identity: mallory })
                return Effect.flatMap(MessageClient.connect({ address, keys }), use)
              }).pipe(Effect.scoped),
            { deadline: "1 hour", includesFirstAttempt: true }
          )
        )
      )
      expect([error._tag, tries]).toEqual(["HandshakeFailed", 1])
    }).pipe(memory)
  )
})

// Retries with sessions that end as the test decides, and with a test clock.

type Failure = NotTaken | ChannelError | ConnectFailed | ConnectionLost | ServerKeyChanged
type Use = (client: MessageClient.MessageClient) => Effect.Effect<void, NotTaken | ChannelError>
type Attempt = (use: Use) => Effect.Effect<void, Failure>

const peer = "the server"
const lost = new StreamTruncated({ peer, code: "ECONNRESET" })
const refused = new ConnectFailed({ address: peer, reason: "refused", code: "ECONNREFUSED" })

const fails =
  (error: Failure): Attempt =>
  () =>
    Effect.fail(error)

/** A session that ends with an error after a delay, having acknowledged some messages. */
const standing =
  (
    error: NotTaken | ChannelError,
    { acks = 0, lasts = "1 millis" as Duration.DurationInput } = {}
  ): Attempt =>
  (use) => {
    let acknowledge: (count: number) => void = () => {}
    let sent = 0
    return use({
      channel: undefined as never,
      send: () => Effect.void,
      request: () => Effect.never,
      onReceipt: (callback) => (acknowledge = callback),
      sendBatch: ({ count }) => Effect.sync(() => acknowledge(Math.min(acks, (sent += count)))),
      ended: Effect.delay(Effect.fail(error), lasts)
    })
  }

/** Runs the attempts one after the other, the last one repeatedly, and records their times. */
const attempts = (all: ReadonlyArray<Attempt>) => {
  const times: Array<number> = []
  const attempt: Attempt = (use) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const next = all[Math.min(times.length, all.length - 1)] as Attempt
      times.push(now)
      return next(use)
    })
  return { attempt, times }
}

/** Delivers one message or more; returns the error and the times of the attempts. */
const ended = (all: ReadonlyArray<Attempt>, retry: Retry, messages = 1) =>
  Effect.gen(function* () {
    const delivery = new Delivery()
    yield* delivery.offer(Array.from({ length: messages }, () => text("message")))
    yield* delivery.complete
    const { attempt, times } = attempts(all)
    const running = yield* Effect.fork(Effect.flip(delivery.run(attempt, retry)))
    for (let step = 0; step < 40 && (yield* running.poll)._tag === "None"; step++)
      yield* TestClock.adjust("10 seconds")
    return {
      error: yield* withTimeout("the delivery", Fiber.join(running)),
      times,
      gaveUp: yield* Clock.currentTimeMillis
    }
  })

describe("an error is retried", () => {
  const changed = new ServerKeyChanged({ address: peer, expected: "a", offered: "b", where: "c:1" })
  const refusal = (status: NotTaken["status"]) => new NotTaken({ server: peer, handled: 0, status })
  const handshake = new HandshakeFailed({ peer, reason: "closed" })
  it.effect.each([
    ["ConnectFailed", fails(refused), true],
    ["ConnectionLost", fails(new ConnectionLost({ peer, code: "ECONNRESET" })), true],
    ["StreamTruncated", standing(lost), true],
    ["PeerDead", standing(new PeerDead({ peer })), true],
    ["ChannelClosed", standing(new ChannelClosed({ peer, reason: "it is shutting down" })), true],
    ["NotTaken, later", standing(refusal("later")), true],
    ["HandshakeFailed, after a session", fails(handshake), true],
    ["NotTaken, refused", standing(refusal("refused")), false],
    ["NotTaken, limited", standing(refusal("limited")), false],
    [
      "ChannelTampered",
      standing(new ChannelTampered({ peer, detail: "a record that does not open" })),
      false
    ],
    ["ChannelRefused", standing(new ChannelRefused({ peer })), false],
    ["ServerKeyChanged", fails(changed), false]
  ] as const)("%s", ([, attempt, again]) =>
    Effect.gen(function* () {
      const { times } = yield* ended([standing(lost), attempt], {
        deadline: "30 seconds",
        includesFirstAttempt: false
      })
      expect(times.length > 2).toBe(again)
    })
  )

  it.effect("before the first session only if requested, and never after a failed handshake", () =>
    Effect.gen(function* () {
      const tries = (attempt: Attempt, fromTheFirst: boolean) =>
        Effect.map(
          ended([attempt], { deadline: "30 seconds", includesFirstAttempt: fromTheFirst }),
          ({ times }) => times.length
        )
      expect(yield* tries(fails(refused), false)).toBe(1)
      expect(yield* tries(fails(refused), true)).toBeGreaterThan(5)
      expect(yield* tries(fails(handshake), true)).toBe(1)
      expect(yield* tries(standing(handshake), true)).toBe(1)
      // No server has refused the key.
      const passing = new HandshakeFailed({ peer, reason: "closed", failure: "closed early" })
      expect(yield* tries(fails(passing), false)).toBe(1)
      expect(yield* tries(fails(passing), true)).toBeGreaterThan(5)
    })
  )
})

describe("the deadline", () => {
  const half: Retry = { deadline: "30 seconds", includesFirstAttempt: false }

  it.effect(
    "is the time of the last attempt; pauses double, less a random part, up to the longest",
    () =>
      Effect.gen(function* () {
        const { times } = yield* ended([standing(lost), fails(refused)], half)
        const [, ...later] = times
        // The time counts from the end of the first session.
        expect(later.at(-1)).toBe((times[0] ?? 0) + 1 + 30_000)
        const pauses = later.map(
          (time, index) => time - (times[index] ?? 0) - (index === 0 ? 1 : 0)
        )
        for (const [index, pause] of pauses.slice(0, -1).entries()) {
          const longest = Math.min(limits.firstPause * 2 ** index, limits.longestPause)
          expect(pause).toBeLessThanOrEqual(longest)
          expect(pause).toBeGreaterThanOrEqual(Math.floor(longest / 2))
        }
      })
  )

  it.effect("counts from the last acknowledged message", () =>
    Effect.gen(function* () {
      // Each session takes twenty seconds for one receipt: together longer than the deadline.
      const slow = (acks: number) => standing(lost, { acks, lasts: "20 seconds" })
      const { error, times } = yield* ended([slow(1), slow(1), slow(1), slow(1), slow(0)], half, 10)
      expect(error).toMatchObject({ _tag: "Undelivered", acknowledged: 4, unacknowledged: 6 })
      expect(times.length).toBe(6)
    })
  )

  it.effect("does not count while nothing is pending", () =>
    Effect.gen(function* () {
      const delivery = new Delivery()
      const { attempt, times } = attempts([
        standing(lost, { acks: 1, lasts: "1 hour" }),
        standing(lost, { lasts: "1 hour" }),
        standing(lost, { lasts: "1 hour" })
      ])
      yield* delivery.offer([text("once")])
      const running = yield* Effect.fork(delivery.run(attempt, half))
      yield* TestClock.adjust("5 hours")
      expect(times.length).toBeGreaterThanOrEqual(4)
      expect((yield* running.poll)._tag).toBe("None")
      yield* Fiber.interrupt(running)
    })
  )

  it.effect("of 0 allows no retry", () =>
    Effect.gen(function* () {
      const { error, times } = yield* ended([standing(lost)], {
        deadline: 0,
        includesFirstAttempt: true
      })
      expect([error, times.length]).toEqual([lost, 1])
    })
  )
})

describe("the error of a delivery", () => {
  it.effect(
    "counts acknowledged and unacknowledged messages; without a receipt it is the error itself",
    () =>
      Effect.gen(function* () {
        const some = yield* ended(
          [standing(lost, { acks: 3 })],
          { deadline: 0, includesFirstAttempt: false },
          5
        )
        expect(some.error).toMatchObject({
          _tag: "Undelivered",
          acknowledged: 3,
          unacknowledged: 2,
          reason: lost.message
        })
        const none = yield* ended([standing(lost)], { deadline: 0, includesFirstAttempt: false }, 5)
        expect(none.error).toBe(lost)
      })
  )

  it.effect("after a refusal counts the handled messages of all sessions", () =>
    Effect.gen(function* () {
      const no = new NotTaken({ server: peer, handled: 1, status: "refused" })
      const { error } = yield* ended(
        [standing(lost, { acks: 2 }), standing(no, { acks: 3 })],
        forLong,
        9
      )
      // The rest of a batch that was handled in part is sent again.
      expect(error).toMatchObject({ _tag: "NotTaken", status: "refused", handled: 5 })
    })
  )
})

describe("impossible receipts end the session", () => {
  const handled = (count: number | bigint) => {
    const receipt = Buffer.from(encodeReceipt({ status: "handled", count: 0 }))
    receipt.writeBigUInt64BE(BigInt(count), 1)
    return receipt
  }
  it.scopedLive.each([
    ["for more messages than were sent", [handled(3)]],
    ["beyond any count", [handled(2n ** 64n - 1n)]],
    ["with a decreasing count", [handled(1), handled(0)]],
    ["after a refusal", [handled(1), encodeReceipt({ status: "refused", count: 1 }), handled(2)]]
  ] as const)("%s", ([, receipts]) =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const { address } = yield* transport.listen(anyPort, (connection) =>
        Effect.gen(function* () {
          const channel = yield* Channel.accept(connection, { ...serverKeys, application })
          yield* channel.read
          yield* channel.write(Buffer.concat(receipts))
          yield* connection.draining
        }).pipe(Effect.ignore)
      )
      const texts = [text("one"), text("two")]
      const delivery = new Delivery()
      yield* delivery.offer(texts)
      yield* delivery.complete
      const wanted = receipts.length === 3 ? "NotTaken" : "ChannelTampered"
      const delivered = yield* withTimeout(
        "the delivery",
        Effect.flip(delivery.run(sessionAt(address), forLong))
      )
      expect(delivered._tag === "Undelivered" ? delivered.reason : delivered._tag).toMatch(
        new RegExp(`${wanted}|unexpected receipt`)
      )
      expect(delivery.acknowledged).toBeLessThan(2)
      const sent = yield* withTimeout(
        "the sending",
        Effect.flip(
          Effect.scoped(
            Effect.flatMap(
              MessageClient.connect({
                address,
                keys: dialKeys(suiteOf("NNpsk0"))
              }),
              ({ send }) => send(texts)
            )
          )
        )
      )
      expect(sent._tag).toBe(wanted)
    }).pipe(memory)
  )
})

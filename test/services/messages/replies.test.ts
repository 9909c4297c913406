// Requests and their replies, in memory, and after a lost connection.
import { runs } from "../../fixtures/sample.ts"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Channel from "../../../src/channel/Channel.ts"
import { StreamTruncated, type ChannelError } from "../../../src/channel/ChannelErrors.ts"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { Delivery, limits as deliveryLimits } from "../../../src/services/messages/Delivery.ts"
import { ReplyCache, limits as kept } from "../../../src/services/messages/ReplyCache.ts"
import {
  MessageDecoder,
  encodeMessages,
  limits,
  makeId,
  type Message
} from "../../../src/services/messages/MessageFrame.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import {
  encodeReceipt,
  ReceiptDecoder,
  type Receipt
} from "../../../src/services/messages/Receipt.ts"
import * as Server from "../../../src/services/Server.ts"
import { dial } from "../../../src/services/Dial.ts"
import { application } from "../../../src/services/Service.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { dialKeys, layerFasterClock, serverKeys, anyPort, suiteOf } from "../../channel/rig.ts"
import { pause, withTimeout, settled, waitUntil } from "../../../src/testing/steps.ts"

const text = (word: string) => Buffer.from(word)
const wordOf = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const memory = Effect.provide(Transport.layerMemory())
const uppercase = (message: Message) => text(wordOf(message.text).toUpperCase())

/** Starts a server. */
const serving = (
  answer: MessageService.ReplyToMessage | undefined,
  handle: MessageService.HandleMessages = () => Effect.void
) =>
  Effect.gen(function* () {
    const listening = yield* Deferred.make<Address>()
    const ends: Array<string> = []
    yield* Effect.forkScoped(
      Server.serve({
        address: anyPort,
        keys: serverKeys,
        services: [MessageService.service(handle, { reply: answer })],
        on: (event) =>
          Effect.suspend(() => {
            if (event._tag === "SessionEnded") ends.push(event.error?.message ?? "")
            return event._tag === "Listening"
              ? Deferred.succeed(listening, event.address)
              : Effect.void
          })
      })
    )
    return { ends, address: yield* withTimeout("the listener", Deferred.await(listening)) }
  })

const client = (address: Address) =>
  MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) })

const sessionAt =
  (address: Address) =>
  (
    use: (
      client: MessageClient.MessageClient
    ) => Effect.Effect<void, MessageClient.NotTaken | ChannelError>
  ) =>
    Effect.scoped(Effect.flatMap(client(address), use))

/** Opens a channel for a test that writes frames and reads receipts itself. */
const rawChannel = (address: Address) => dial({ address, keys: dialKeys(suiteOf("IK")) }, "message")

const receiptsOf = (channel: Channel.Channel, count: number) =>
  Effect.gen(function* () {
    const decoder = new ReceiptDecoder()
    const receipts: Array<Receipt> = []
    while (receipts.length < count) {
      const chunk = yield* withTimeout("a receipt", channel.read)
      if (!(chunk instanceof Uint8Array)) break
      receipts.push(...(decoder.push(chunk) ?? []))
    }
    return receipts
  })

/** Encodes a request under an ID. */
const request = (word: string, id: Uint8Array): Uint8Array =>
  Buffer.concat(
    [...encodeMessages([text(word)], { wantsReply: true, ids: [id] })].flatMap(
      ({ chunks }) => chunks
    )
  )

describe("a request", () => {
  it.scopedLive("gets its reply, in order with plain messages and other requests", () =>
    Effect.gen(function* () {
      const taken: Array<string> = []
      const { address } = yield* serving(
        (message) =>
          Effect.sync(() => (taken.push(`?${wordOf(message.text)}`), uppercase(message))),
        (messages) => Effect.sync(() => void taken.push(...messages.map((one) => wordOf(one.text))))
      )
      const session = yield* client(address)
      expect(wordOf(yield* withTimeout("the reply", session.request(text("one"))))).toBe("ONE")
      yield* withTimeout("the receipt", session.send([text("two"), text("three")]))
      const many = yield* withTimeout(
        "many",
        Effect.forEach(["a", "b", "c", "d"], (word) => session.request(text(word)), {
          concurrency: "unbounded"
        })
      )
      expect(many.map(wordOf)).toEqual(["A", "B", "C", "D"])
      expect(yield* withTimeout("an empty one", session.request(text("")))).toEqual(
        new Uint8Array()
      )
      expect(taken).toEqual(["?one", "two", "three", "?a", "?b", "?c", "?d", "?"])
    }).pipe(memory)
  )

  it.scopedLive("waits on the server while its client does not read replies", () =>
    Effect.gen(function* () {
      let handled = 0
      const { address } = yield* serving(() =>
        Effect.sync(() => {
          handled++
          return Buffer.alloc(limits.replyBytes)
        })
      )
      const channel = yield* rawChannel(address)
      const count = 40
      for (let index = 0; index < count; index++) yield* channel.write(request("x", makeId()))
      yield* waitUntil("the first", () => handled > 0)
      yield* pause(200)
      expect(handled).toBeLessThan(8)
      const receipts = yield* receiptsOf(channel, count)
      expect(receipts.map((receipt) => receipt.count)).toEqual(
        Array.from({ length: count }, (_, index) => index + 1)
      )
    }).pipe(memory)
  )

  it.scopedLive("that is interrupted does not end the session", () =>
    Effect.gen(function* () {
      const { address } = yield* serving((message) => Effect.as(pause(30), uppercase(message)))
      const session = yield* client(address)
      const first = yield* Effect.fork(session.request(text("first")))
      yield* pause(5)
      yield* withTimeout("the interruption", Fiber.interrupt(first))
      expect(wordOf(yield* withTimeout("the second", session.request(text("second"))))).toBe(
        "SECOND"
      )
    }).pipe(memory)
  )

  it.scopedLive("and its reply may have the maximum length; one byte more is refused", () =>
    Effect.gen(function* () {
      const { address, ends } = yield* serving((message) =>
        Effect.succeed(message.text.subarray(0, limits.replyBytes + 1))
      )
      const session = yield* client(address)
      expect(
        (yield* withTimeout("the reply", session.request(Buffer.alloc(limits.replyBytes)))).length
      ).toBe(limits.replyBytes)
      const long = Buffer.alloc(limits.messageBytes)
      expect(yield* withTimeout("the refusal", Effect.flip(session.request(long)))).toMatchObject({
        _tag: "NotTaken",
        status: "refused"
      })
      expect(
        yield* Effect.flip(session.request(Buffer.alloc(limits.messageBytes + 1)))
      ).toMatchObject({ _tag: "MessageTooLong" })
      expect((yield* withTimeout("any other", Effect.flip(session.request(text("?")))))._tag).toBe(
        "NotTaken"
      )
      yield* pause(20)
      expect(ends).toEqual([
        "message refused: its reply has 1,048,577 bytes; the limit is 1,048,576"
      ])
    }).pipe(memory)
  )

  it.scopedLive(
    "to a server without replies is refused and not handled; messages before it are handled",
    () =>
      Effect.gen(function* () {
        const taken: Array<string> = []
        const { address } = yield* serving(undefined, (messages) =>
          Effect.sync(() => void taken.push(...messages.map((one) => wordOf(one.text))))
        )
        const session = yield* client(address)
        yield* withTimeout("the receipt", session.send([text("plain")]))
        const error = yield* withTimeout(
          "the refusal",
          Effect.flip(session.request(text("question")))
        )
        expect(error).toMatchObject({ _tag: "NotTaken", status: "no replies", handled: 1 })
        expect(taken).toEqual(["plain"])
      }).pipe(memory)
  )
})

describe("a request that is sent again", () => {
  it.scopedLive(
    "after a connection was lost before the reply is handled once and gets the same reply",
    () =>
      Effect.gen(function* () {
        let runs = 0
        const begun = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        const { address } = yield* serving(() =>
          Effect.gen(function* () {
            runs++
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(gate)
            return text(`run ${runs}`)
          })
        )
        const frame = request("question", makeId())
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* (yield* rawChannel(address)).write(frame)
            yield* withTimeout("the handler", Deferred.await(begun))
          })
        )
        const again = yield* rawChannel(address)
        yield* again.write(Buffer.concat([frame, frame]))
        yield* pause(20)
        yield* Deferred.succeed(gate, undefined)
        const receipts = yield* receiptsOf(again, 2)
        expect(
          receipts.map(({ status, count, text }) => [
            status,
            count,
            text === undefined ? "" : wordOf(text)
          ])
        ).toEqual([
          ["reply", 1, "run 1"],
          ["reply", 2, "run 1"]
        ])
        expect(runs).toBe(1)
      }).pipe(memory, Effect.provide(layerFasterClock(10)))
  )

  it.scopedLive("after its reply was evicted gets status reply lost; the session continues", () =>
    Effect.gen(function* () {
      let runs = 0
      const { address } = yield* serving(() =>
        Effect.sync(() => (runs++, Buffer.alloc(limits.replyBytes)))
      )
      const channel = yield* rawChannel(address)
      const ids = Array.from({ length: 1 + kept.bytesPerPeer / limits.replyBytes }, makeId)
      for (const id of ids) {
        yield* channel.write(request("question", id))
        yield* receiptsOf(channel, 1)
      }
      yield* channel.write(
        Buffer.concat([request("question", ids[0]!), request("question", ids[1]!)])
      )
      const receipts = yield* receiptsOf(channel, 2)
      expect(
        receipts.map(({ status, count, text }) => [status, count - ids.length, text?.length])
      ).toEqual([
        ["reply lost", 1, undefined],
        ["reply", 2, limits.replyBytes]
      ])
      expect(runs).toBe(ids.length)
    }).pipe(memory)
  )

  it.scopedLive("by a delivery over cut sessions is handled once, with the replies in order", () =>
    Effect.gen(function* () {
      const taken: Array<string> = []
      let turns = 0
      const { address } = yield* serving((message) =>
        Effect.gen(function* () {
          // Every fifth is refused for now, which ends its session.
          if (turns++ % 5 === 4)
            return yield* new MessageService.MessageRefused({ reason: "not now", retry: true })
          taken.push(wordOf(message.text))
          return uppercase(message)
        })
      )
      const words = Array.from({ length: 200 }, (_, index) => `m${index}`)
      const delivery = new Delivery({ replies: true })
      const running = yield* Effect.fork(
        delivery.run(sessionAt(address), { deadline: "1 hour", includesFirstAttempt: false })
      )
      const offering = yield* Effect.fork(
        Effect.zipRight(delivery.offer(words.map(text)), delivery.complete)
      )
      yield* pause(50)
      // No reply was read yet.
      expect(delivery.offered).toBe(deliveryLimits.pendingReplies)
      const replies = yield* withTimeout("the replies", repliesOf(delivery))
      yield* withTimeout("the delivery", Fiber.join(running))
      yield* Fiber.join(offering)
      expect(replies).toEqual(words.map((word) => word.toUpperCase()))
      expect(taken).toEqual(words)
    }).pipe(memory, Effect.provide(layerFasterClock(20)))
  )
})

/** Collects the replies of a delivery. */
const repliesOf = (delivery: Delivery) =>
  Effect.gen(function* () {
    const replies: Array<string> = []
    for (;;) {
      const reply = yield* delivery.nextReply
      if (reply === undefined) return replies
      replies.push(wordOf(reply.text ?? text("lost")))
    }
  })

describe("with connections that are lost at any byte", () => {
  const bytes = FastCheck.integer({ min: 1, max: 3000 })
  const whole = FastCheck.constant(Number.POSITIVE_INFINITY)
  it.scopedLive.prop(
    "every request is handled once and gets the reply of that time",
    {
      lengths: FastCheck.array(FastCheck.nat({ max: 200 }), { minLength: 1, maxLength: 90 }),
      // The first session is established: a lost handshake before that would count as a refusal.
      first: FastCheck.integer({ min: 100, max: 400 }),
      cuts: FastCheck.array(
        FastCheck.oneof(
          FastCheck.record({ written: bytes, read: whole }),
          FastCheck.record({ written: whole, read: bytes })
        ),
        { maxLength: 5 }
      ),
      chunkBytes: FastCheck.constantFrom(1, 7, 100, 100_000)
    },
    ({ lengths, first, cuts, chunkBytes }) =>
      Effect.gen(function* () {
        const taken: Array<string> = []
        const answered = (message: Message) =>
          `${taken.push(wordOf(message.text))}:${wordOf(message.text)}`
        const { address } = yield* serving((message) => Effect.sync(() => text(answered(message))))
        const words = lengths.map((length, index) => `${index}`.padEnd(length, "."))
        const delivery = new Delivery({ replies: true })
        const [, , replies] = yield* withTimeout(
          "the replies",
          Effect.all(
            [
              delivery.run(sessionAt(address), { deadline: "1 hour", includesFirstAttempt: false }),
              Effect.zipRight(delivery.offer(words.map(text)), delivery.complete),
              repliesOf(delivery)
            ],
            { concurrency: 3 }
          )
        )
        expect(taken).toEqual(words)
        expect(replies).toEqual(words.map((word, index) => `${index + 1}:${word}`))
      }).pipe(
        Effect.provide(
          Transport.layerMemory({
            cuts: [{ written: Number.POSITIVE_INFINITY, read: first }, ...cuts],
            chunkBytes
          })
        ),
        Effect.provide(layerFasterClock(20))
      ),
    { fastCheck: { numRuns: runs(10, 25) } }
  )
})

describe("the requests of a session", () => {
  /** A server that replies when the test decides, and counts its messages. */
  const slow = Effect.gen(function* () {
    const replies = yield* Queue.unbounded<number>()
    const received = { messages: 0 }
    const { address } = yield* (yield* Transport).listen(anyPort, (connection) =>
      Effect.gen(function* () {
        const channel = yield* Channel.accept(connection, { ...serverKeys, application })
        const decoder = new MessageDecoder()
        const receive = Effect.gen(function* () {
          for (
            let item = yield* channel.read;
            item instanceof Uint8Array;
            item = yield* channel.read
          )
            received.messages += decoder.push(item)?.length ?? 0
        })
        const reply = Effect.gen(function* () {
          for (let count = 1; ; count++) {
            yield* Queue.take(replies)
            yield* waitUntil("the request", () => received.messages >= count)
            yield* channel.write(encodeReceipt({ status: "reply", count, text: text(`${count}`) }))
          }
        })
        yield* Effect.raceFirst(receive, reply)
      }).pipe(Effect.ignore)
    )
    return {
      address,
      received,
      reply: (count: number) =>
        Queue.offerAll(
          replies,
          Array.from({ length: count }, () => 0)
        )
    }
  })
  const most = MessageClient.limits.pendingReplies

  it.scopedLive("are limited in number; further ones wait and are sent in order", () =>
    Effect.gen(function* () {
      const { address, received, reply } = yield* slow
      const session = yield* client(address)
      const asking = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: 3 * most }, (_, index) => text(`${index}`)),
          (word) => Effect.map(session.request(word), wordOf),
          { concurrency: "unbounded" }
        )
      )
      yield* settled(() => received.messages)
      expect(received.messages).toBe(most)
      yield* reply(10)
      yield* waitUntil("ten more", () => received.messages === most + 10)
      yield* settled(() => received.messages)
      expect(received.messages).toBe(most + 10)
      yield* reply(3 * most - 10)
      expect(yield* withTimeout("all", Fiber.join(asking))).toEqual(
        Array.from({ length: 3 * most }, (_, index) => `${index + 1}`)
      )
    }).pipe(memory)
  )

  it.scopedLive(
    "keep their permits until the replies arrive, even when interrupted; an interrupted wait takes no permit",
    () =>
      Effect.gen(function* () {
        const { address, received, reply } = yield* slow
        const session = yield* client(address)
        const ask = (count: number) =>
          Effect.forEach(Array.from({ length: count }), () =>
            Effect.fork(Effect.either(session.request(text("?"))))
          )
        const first = yield* ask(most)
        yield* waitUntil("the first", () => received.messages === most)
        const waiting = yield* ask(100)
        yield* settled(() => received.messages)
        yield* withTimeout("the interruption", Fiber.interruptAll([...first, ...waiting]))
        const last = yield* Effect.fork(session.request(text("!")))
        yield* settled(() => received.messages)
        expect(received.messages).toBe(most)
        yield* reply(most + 1)
        expect(wordOf(yield* withTimeout("the last", Fiber.join(last)))).toBe(`${most + 1}`)
        expect(received.messages).toBe(most + 1)
      }).pipe(memory)
  )

  it.scopedLive("all fail with the session, those that wait for a permit too", () =>
    Effect.gen(function* () {
      const { address, received } = yield* slow
      const scope = yield* Scope.make()
      const session = yield* Scope.extend(client(address), scope)
      const asking = yield* Effect.forEach(Array.from({ length: 2 * most }), () =>
        Effect.fork(Effect.either(session.request(text("?"))))
      )
      yield* waitUntil("the first", () => received.messages === most)
      yield* Effect.fork(Scope.close(scope, Exit.void))
      for (const ended of yield* withTimeout("the ends", Fiber.join(Fiber.all(asking))))
        expect(ended._tag).toBe("Left")
    }).pipe(memory)
  )
})

describe("a restarted server", () => {
  it.scopedLive("handles a request again under the same ID, and the client gets its reply", () =>
    Effect.gen(function* () {
      const ids: Array<string> = []
      const never = yield* Deferred.make<void>()
      const handled = (reply: Effect.Effect<void>) =>
        serving(({ id }) =>
          Effect.suspend(() => {
            const run = ids.push(Buffer.from(id).toString("hex"))
            return Effect.as(reply, text(`reply ${run}`))
          })
        )
      const [first, second] = [yield* handled(Deferred.await(never)), yield* handled(Effect.void)]
      const delivery = new Delivery({ replies: true })
      yield* delivery.offer([text("question")])
      yield* delivery.complete
      let sessions = 0
      const run = delivery.run(
        (use) =>
          sessions++ === 0
            ? // It is killed when it has handled the message and before the reply is out.
              Effect.raceFirst(
                sessionAt(first.address)(use),
                Effect.zipRight(
                  waitUntil("the handler", () => ids.length === 1),
                  Effect.fail(new StreamTruncated({ peer: "it", code: "killed" }))
                )
              )
            : sessionAt(second.address)(use),
        { deadline: "10 seconds", includesFirstAttempt: true }
      )
      yield* Effect.fork(run)
      expect(wordOf((yield* withTimeout("the reply", delivery.nextReply))?.text ?? text(""))).toBe(
        "reply 2"
      )
      expect([ids.length, new Set(ids).size]).toEqual([2, 1])
      yield* Deferred.succeed(never, undefined)
    }).pipe(memory)
  )
})

describe("a server that violates the protocol", () => {
  const reply = (count: number) => encodeReceipt({ status: "reply", count, text: text("!") })
  it.scopedLive.each([
    ["counts a request without a reply", [encodeReceipt({ status: "handled", count: 2 })]],
    ["replies to a plain message", [reply(1)]],
    ["skips a request", [reply(3)]],
    [
      "reports the reply to a plain message as lost",
      [encodeReceipt({ status: "reply lost", count: 1 })]
    ],
    ["replies twice", [reply(2), reply(2)]],
    ["replies after a refusal", [encodeReceipt({ status: "no replies", count: 1 }), reply(2)]]
  ] as const)("%s: the client accepts no more replies", ([name, receipts]) =>
    Effect.gen(function* () {
      const { address } = yield* (yield* Transport).listen(anyPort, (connection) =>
        Effect.gen(function* () {
          const channel = yield* Channel.accept(connection, { ...serverKeys, application })
          yield* channel.read
          yield* pause(20)
          yield* channel.write(Buffer.concat(receipts))
          yield* connection.draining
        }).pipe(Effect.ignore)
      )
      const session = yield* client(address)
      // One plain message and two requests.
      yield* Effect.fork(session.send([text("plain")]))
      const asking = Effect.forEach(
        ["one", "two"],
        (word) => Effect.either(session.request(text(word))),
        { concurrency: 2 }
      )
      const [one, two] = yield* withTimeout("the end", asking)
      expect(two).toMatchObject({
        left: { _tag: name.includes("refusal") ? "NotTaken" : "ChannelTampered" }
      })
      expect(one?._tag).toBe(name === "replies twice" ? "Right" : "Left")
    }).pipe(memory)
  )
})

describe("cached replies", () => {
  /** A reply whose first byte tells it from others; the rest is never touched, so costs no memory. */
  const replyOf = (size: number, index: number): Uint8Array => {
    const reply = new Uint8Array(size)
    if (size > 0) reply[0] = index
    return reply
  }

  it.live.prop(
    "stay within their limits, and are the replies that were given",
    {
      sizes: FastCheck.array(FastCheck.constantFrom(0, 10, 3_000_000, 9_000_000), {
        minLength: 1,
        maxLength: 40
      }),
      peers: FastCheck.integer({ min: 1, max: 6 })
    },
    ({ sizes, peers }) =>
      Effect.gen(function* () {
        const replies = new ReplyCache()
        const ids = sizes.map(makeId)
        for (const [index, size] of sizes.entries())
          yield* replies.replyOnce(`${index % peers}`, { id: ids[index]! }, () =>
            Effect.succeed(replyOf(size, index))
          )
        expect(replies.size.bytes).toBeLessThanOrEqual(kept.bytes)
        let bytes = 0
        for (const [index, size] of sizes.entries()) {
          const again = yield* replies.replyOnce(`${index % peers}`, { id: ids[index]! }, () =>
            Effect.die("handled twice")
          )
          if (again === undefined) continue
          bytes += size
          expect([again.length, again[0]]).toEqual([size, size === 0 ? undefined : index])
        }
        expect(bytes).toBe(replies.size.bytes)
        // The newest is always cached.
        const last = sizes.length - 1
        expect(
          yield* replies.replyOnce(`${last % peers}`, { id: ids[last]! }, () => Effect.die("again"))
        ).toBeDefined()
      }),
    { fastCheck: { numRuns: 15 } }
  )

  it.effect("of one peer make room at the cost of those that have the most", () =>
    Effect.gen(function* () {
      const replies = new ReplyCache()
      const id = makeId()
      yield* replies.replyOnce("small", { id }, () => Effect.succeed(text("kept")))
      const full = Buffer.alloc(limits.replyBytes)
      // More than all peers together may have.
      for (const peer of ["a", "b", "c", "d", "e"])
        for (let count = 0; count < kept.bytesPerPeer / full.length; count++)
          yield* replies.replyOnce(peer, { id: makeId() }, () => Effect.succeed(full))
      expect(replies.size.bytes).toBeLessThanOrEqual(kept.bytes)
      // A newcomer does not pay for it either.
      const late = makeId()
      yield* replies.replyOnce("late", { id: late }, () => Effect.succeed(text("kept")))
      for (const [peer, known] of [
        ["small", id],
        ["late", late]
      ] as const) {
        const again = yield* replies.replyOnce(peer, { id: known }, () =>
          Effect.die("handled twice")
        )
        expect(wordOf(again ?? text(""))).toBe("kept")
      }
    })
  )

  it.effect("of one peer are not given to another that uses the same id", () =>
    Effect.gen(function* () {
      const replies = new ReplyCache()
      const id = makeId()
      const reply = (peer: string) =>
        replies
          .replyOnce(peer, { id }, () => Effect.succeed(text(`for ${peer}`)))
          .pipe(Effect.map((reply) => wordOf(reply ?? text(""))))
      expect([yield* reply("a"), yield* reply("b")]).toEqual(["for a", "for b"])
      expect([yield* reply("a"), yield* reply("b")]).toEqual(["for a", "for b"])
    })
  )

  it.effect("of a peer are limited to the newest", () =>
    Effect.gen(function* () {
      const replies = new ReplyCache()
      const ids = Array.from({ length: kept.repliesPerPeer + 1 }, makeId)
      for (const id of ids) yield* replies.replyOnce("a", { id }, () => Effect.succeed(text("!")))
      expect(replies.size).toEqual({ replies: kept.repliesPerPeer, bytes: kept.repliesPerPeer })
      const again = (id: Uint8Array) =>
        replies.replyOnce("a", { id }, () => Effect.die("handled twice"))
      expect(yield* again(ids[0]!)).toBeUndefined()
      expect(yield* again(ids[1]!)).toBeDefined()
    })
  )
})

// Messages and their receipts, from client to server over channels in memory.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Channel from "../../../src/channel/Channel.ts"
import { suites } from "../../../src/channel/Suite.ts"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { dial, probe } from "../../../src/services/Dial.ts"
import {
  dropFirst,
  MessageDecoder,
  encodeMessages,
  limits,
  makeId,
  type Message,
  type Batch
} from "../../../src/services/messages/MessageFrame.ts"
import {
  encodeReceipt,
  ReceiptDecoder,
  type Receipt
} from "../../../src/services/messages/Receipt.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import { application, type RemotePeer } from "../../../src/services/Service.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import {
  alice,
  anyPort,
  dialKeys,
  collectGarbage,
  layerFasterClock,
  serverKeys,
  suiteOf
} from "../../channel/rig.ts"
import { pause, withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import { startServer } from "../startServer.ts"

const cut = (bytes: Uint8Array, lengths: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const chunkSizes: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] as number
    chunkSizes.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunkSizes
}

const frames = (texts: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.concat([...encodeMessages(texts)].flatMap(({ chunks }) => chunks))

const chunkSizes = FastCheck.array(FastCheck.integer({ min: 1, max: 400 }), {
  minLength: 1,
  maxLength: 5
})

/** True if the bytes decode to nothing and break the stream. */
const isBrokenBy = (decoder: MessageDecoder | ReceiptDecoder, bytes: Uint8Array): boolean =>
  decoder.push(bytes).length === 0 && decoder.isBroken

it("decodes the frames before malformed bytes of the same chunk", () => {
  const [batch] = encodeMessages([Buffer.from("good")])
  const decoder = new MessageDecoder()
  const messages = decoder.push(Buffer.concat([...(batch?.chunks ?? []), Buffer.alloc(20, 0xff)]))
  expect(messages.map(({ text }) => Buffer.from(text).toString())).toEqual(["good"])
  expect(decoder.isBroken).toBe(true)
  const receipts = new ReceiptDecoder()
  const receipt = encodeReceipt({ status: "handled", count: 1 })
  expect(receipts.push(Buffer.concat([receipt, Buffer.alloc(9, 0xff)]))).toEqual([
    { status: "handled", count: 1 }
  ])
  expect(receipts.isBroken).toBe(true)
})

describe("frames", () => {
  it.prop(
    "are decoded from any chunks, each with its own ID",
    {
      texts: FastCheck.array(FastCheck.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
      chunkSizes
    },
    ({ texts, chunkSizes }) => {
      const decoder = new MessageDecoder()
      expect(decoder.isEmpty).toBe(true)
      const messages = cut(frames(texts), chunkSizes).flatMap((chunk) => decoder.push(chunk) ?? [])
      expect(messages.map(({ text }) => Buffer.from(text))).toEqual(
        texts.map((text) => Buffer.from(text))
      )
      expect(new Set(messages.map(({ id }) => Buffer.from(id).toString("hex"))).size).toBe(
        texts.length
      )
      expect(messages.every(({ id }) => id.length === 16)).toBe(true)
      expect(decoder.isEmpty).toBe(true)
    }
  )

  it.prop(
    "carry the request for a reply",
    {
      some: FastCheck.array(
        FastCheck.tuple(FastCheck.uint8Array({ maxLength: 300 }), FastCheck.boolean()),
        { maxLength: 20 }
      ),
      chunkSizes
    },
    ({ some, chunkSizes }) => {
      const encoded = some.flatMap(([text, asks]) => [
        ...encodeMessages([text], { wantsReply: asks })
      ])
      expect(encoded.map(({ wantsReply = false }) => wantsReply)).toEqual(
        some.map(([, asks]) => asks)
      )
      const decoder = new MessageDecoder()
      const messages = cut(
        Buffer.concat(encoded.flatMap(({ chunks }) => chunks)),
        chunkSizes
      ).flatMap((chunk) => decoder.push(chunk) ?? [])
      expect(messages.map(({ text, wantsReply }) => [Buffer.from(text), wantsReply])).toEqual(
        some.map(([text, asks]) => [Buffer.from(text), asks])
      )
    }
  )

  it.prop(
    "are unchanged by dropFirst, which removes those before them",
    {
      texts: FastCheck.array(FastCheck.uint8Array({ maxLength: 300 }), {
        minLength: 1,
        maxLength: 20
      }),
      asks: FastCheck.boolean(),
      at: FastCheck.nat()
    },
    ({ texts, asks, at }) => {
      const ids = texts.map(makeId)
      const [batch] = encodeMessages(texts, { wantsReply: asks, ids }) as unknown as [Batch]
      const dropped = at % (texts.length + 1)
      const rest = dropFirst(batch, dropped)
      expect([rest.count, rest.wantsReply ?? false]).toEqual([texts.length - dropped, asks])
      const messages = new MessageDecoder().push(Buffer.concat(rest.chunks)) ?? []
      expect(
        messages.map(({ id, text, wantsReply }) => [Buffer.from(id), Buffer.from(text), wantsReply])
      ).toEqual(
        texts
          .map((text, index) => [Buffer.from(ids[index] ?? []), Buffer.from(text), asks])
          .slice(dropped)
      )
    }
  )

  it("are rejected with an unused bit of the length field set", () => {
    for (const bits of [0, 0x8000_0000])
      for (let bit = 25; bit < 31; bit++) {
        const header = Buffer.alloc(20)
        header.writeUInt32BE(bits + 2 ** bit)
        expect(isBrokenBy(new MessageDecoder(), header)).toBe(true)
      }
  })

  it("of large and small messages form batches with the right counts", () => {
    const texts = [0, 10, 300_000, 20, 100_000, 100_000, 100_000].map((length, index) =>
      Buffer.alloc(length, index)
    )
    const encoded = [...encodeMessages(texts)]
    expect(encoded.reduce((sum, { count }) => sum + count, 0)).toBe(texts.length)
    for (const { chunks, size, count } of encoded) {
      const bytes = Buffer.concat(chunks)
      expect(bytes.length).toBe(size)
      expect(new MessageDecoder().push(bytes)?.length).toBe(count)
    }
    expect(new MessageDecoder().push(frames(texts))?.map(({ text }) => text.length)).toEqual(
      texts.map(({ length }) => length)
    )
  })

  it("are incomplete one byte before their end", () => {
    const frame = frames([Buffer.from("whole")])
    for (let length = 1; length < frame.length; length++) {
      const decoder = new MessageDecoder()
      expect(decoder.push(frame.subarray(0, length))).toEqual([])
      expect(decoder.isEmpty).toBe(false)
      expect(decoder.push(frame.subarray(length))?.length).toBe(1)
      expect(decoder.isEmpty).toBe(true)
    }
  })

  it("of 16 MiB are accepted; one byte more is rejected by the length field", () => {
    const header = (length: number) => {
      const bytes = Buffer.alloc(20)
      bytes.writeUInt32BE(length)
      return bytes
    }
    const longest = new MessageDecoder()
    expect(longest.push(header(limits.messageBytes))).toEqual([])
    const megabyte = Buffer.alloc(1024 * 1024, 1)
    for (let part = 0; part < 15; part++) expect(longest.push(megabyte)).toEqual([])
    expect(longest.push(megabyte)?.map(({ text }) => text.length)).toEqual([limits.messageBytes])
    expect(longest.isEmpty).toBe(true)
    expect(isBrokenBy(new MessageDecoder(), header(limits.messageBytes + 1))).toBe(true)
    expect(isBrokenBy(new MessageDecoder(), Buffer.alloc(20, 0xff))).toBe(true)
  })

  it("that arrive byte by byte take no more memory than their bytes", () => {
    const frame = frames([Buffer.alloc(400_000, 1)])
    const before = process.memoryUsage().arrayBuffers
    const decoder = new MessageDecoder()
    // As records arrive: each byte is a view of a padded record.
    for (const byte of frame.subarray(0, 20_000)) {
      const record = Buffer.alloc(16 * 1024, byte)
      decoder.push(record.subarray(3, 4))
    }
    // Without copies it would be 312 MiB.
    collectGarbage()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
    expect(decoder.push(frame.subarray(20_000))?.map(({ text }) => text.length)).toEqual([400_000])
  })
})

describe("receipts", () => {
  it.prop(
    "are decoded from any chunks",
    {
      receipts: FastCheck.array(
        FastCheck.oneof(
          FastCheck.record({
            status: FastCheck.constantFrom(
              ...(["handled", "refused", "limited", "later", "no replies", "reply lost"] as const)
            ),
            count: FastCheck.maxSafeNat()
          }),
          FastCheck.record({
            status: FastCheck.constant("reply" as const),
            count: FastCheck.maxSafeNat(),
            text: FastCheck.uint8Array({ maxLength: 600 })
          })
        )
      ),
      chunkSizes
    },
    ({ receipts, chunkSizes }) => {
      const decoder = new ReceiptDecoder()
      const bytes = Buffer.concat(receipts.map(encodeReceipt))
      expect(cut(bytes, chunkSizes).flatMap((chunk) => decoder.push(chunk) ?? [])).toEqual(receipts)
    }
  )

  it("with the longest reply are accepted; one byte more is rejected by the length field", () => {
    const text = new Uint8Array(limits.replyBytes).fill(1)
    const frame = Buffer.from(encodeReceipt({ status: "reply", count: 1, text }))
    const decoder = new ReceiptDecoder()
    expect(decoder.push(frame.subarray(0, -1))).toEqual([])
    expect(decoder.push(frame.subarray(-1))?.map((receipt) => receipt.text?.length)).toEqual([
      limits.replyBytes
    ])
    const longer = encodeReceipt({
      status: "reply",
      count: 1,
      text: new Uint8Array(limits.replyBytes + 1)
    })
    expect(isBrokenBy(new ReceiptDecoder(), longer.subarray(0, 13))).toBe(true)
  })

  it("of an unknown status are malformed", () => {
    for (let status = 7; status < 256; status++)
      expect(
        isBrokenBy(new ReceiptDecoder(), Buffer.concat([Buffer.from([status]), Buffer.alloc(8)]))
      ).toBe(true)
  })
})

/** Starts a server. */
const serving = (handle: MessageService.HandleMessages) =>
  startServer({ keys: serverKeys, services: [MessageService.service(handle)] })

const client = (address: Address, suite = suiteOf("IK")) =>
  MessageClient.connect({ address, keys: dialKeys(suite) })

const text = (word: string) => Buffer.from(word)
const textsOf = (messages: ReadonlyArray<Message>) =>
  messages.map(({ text }) => Buffer.from(text).toString())

const memory = Effect.provide(Transport.layerMemory())

describe("a session", () => {
  it.scopedLive.each(suites)(
    "$name: send completes when the handler completes, and not earlier",
    (suite) =>
      Effect.gen(function* () {
        const handled: Array<string> = []
        const gate = yield* Deferred.make<void>()
        const senders: Array<RemotePeer> = []
        const { address, events, fiber } = yield* serving((messages, sender) =>
          Effect.zipRight(
            Deferred.await(gate),
            Effect.sync(() => {
              handled.push(...textsOf(messages))
              senders.push(sender)
            })
          )
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { send } = yield* client(address, suite)
            const sending = yield* Effect.fork(send([text("one"), text("two")]))
            yield* pause(30)
            expect((yield* sending.poll)._tag).toBe("None")
            yield* Deferred.succeed(gate, undefined)
            yield* withTimeout("the receipt", Fiber.join(sending))
            expect(handled).toEqual(["one", "two"])
            yield* withTimeout("another", send([text("three")]))
            yield* withTimeout("none", send([]))
            expect(handled).toEqual(["one", "two", "three"])
          })
        )
        yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
        expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
          counted: { messages: 3 },
          error: undefined
        })
        expect(senders[0]).toMatchObject({
          suite: suite.name,
          ...(suite.hasIdentities ? { peer: "alice" } : {})
        })
        yield* withTimeout("the stop", Fiber.interrupt(fiber))
      }).pipe(memory)
  )

  it.scopedLive("a handler that waits gets every message once, one batch at a time, in order", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      let running = 0
      const { address } = yield* serving((messages) =>
        Effect.gen(function* () {
          expect(++running).toBe(1)
          yield* pause(2)
          running--
          handled.push(...textsOf(messages))
        })
      )
      const { send } = yield* client(address)
      const words = Array.from({ length: 60 }, (_, index) => `${index}`)
      // Each is written in a turn of its own, while the handler waits.
      const sending = words.map((word, index) => Effect.delay(send([text(word)]), index))
      yield* withTimeout("the receipts", Effect.all(sending, { concurrency: "unbounded" }))
      expect(handled).toEqual(words)
    }).pipe(memory)
  )

  it.scopedLive("senders that wait for room fail with the session", () =>
    Effect.gen(function* () {
      const { address, fiber } = yield* serving(() => Effect.never)
      const { send } = yield* client(address)
      const sending = yield* Effect.forEach(Array.from({ length: 60 }), () =>
        Effect.fork(Effect.either(send([Buffer.alloc(200_000)])))
      )
      yield* pause(50)
      yield* Effect.fork(Fiber.interrupt(fiber))
      for (const ended of yield* withTimeout("the ends", Fiber.join(Fiber.all(sending))))
        expect(ended._tag).toBe("Left")
    }).pipe(memory, Effect.provide(layerFasterClock(10)))
  )

  it.scopedLive("a sender waits while its server does not read, and loses nothing", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let handled = 0
      let most = 0
      const { address } = yield* serving((messages) =>
        Effect.zipRight(
          Deferred.await(gate),
          Effect.suspend(() => {
            most = Math.max(most, written - handled)
            handled += messages.length
            return pause(1)
          })
        )
      )
      const session = yield* client(address)
      const count = 100
      let written = 0
      const batches = Array.from({ length: count }, () => [
        ...encodeMessages([Buffer.alloc(200_000)])
      ]).flat()
      const writing = yield* Effect.fork(
        Effect.forEach(
          batches,
          (batch) => Effect.tap(session.sendBatch(batch), () => Effect.sync(() => written++)),
          { concurrency: "unbounded" }
        )
      )
      yield* waitUntil("the first", () => written > 0)
      yield* pause(200)
      expect(written).toBeLessThan(40)
      yield* Deferred.succeed(gate, undefined)
      yield* withTimeout("the rest", Fiber.join(writing))
      yield* withTimeout("the last", session.send([text("last")]))
      expect(handled).toBe(count + 1)
      expect(most).toBeLessThan(40)
    }).pipe(memory)
  )

  /** A server that answers the first message with these receipts, and then ends its stream or not. */
  const rogue = (receipts: ReadonlyArray<Receipt>, ends: boolean) =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const { address } = yield* transport.listen(anyPort, (connection) =>
        Effect.gen(function* () {
          const channel = yield* Channel.accept(connection, { ...serverKeys, application })
          yield* channel.read
          for (const receipt of receipts) yield* channel.write(encodeReceipt(receipt))
          if (ends) yield* channel.end
          return yield* Effect.never
        }).pipe(Effect.ignore)
      )
      return address
    })

  it.scopedLive("that the server ends before the last receipt is not believed", () =>
    Effect.gen(function* () {
      const { send } = yield* client(yield* rogue([{ status: "handled", count: 1 }], true))
      expect(
        yield* withTimeout("the end", Effect.flip(send([text("one"), text("two")])))
      ).toMatchObject({ _tag: "ChannelTampered", detail: "FIN before the last receipt" })
    }).pipe(memory, Effect.provide(layerFasterClock(10)))
  )

  it.scopedLive.each([
    ["a refusal", [{ status: "refused", count: 1 }]],
    [
      "a refusal and a receipt",
      [
        { status: "refused", count: 1 },
        { status: "handled", count: 2 }
      ]
    ]
  ] as const)("that ends with %s, and is not closed, is refused", ([, receipts]) =>
    Effect.gen(function* () {
      const { send } = yield* client(yield* rogue(receipts, false))
      expect(
        yield* withTimeout("the refusal", Effect.flip(send([text("one"), text("two")])))
      ).toMatchObject({ _tag: "NotTaken", handled: 1, status: "refused" })
    }).pipe(memory, Effect.provide(layerFasterClock(10)))
  )

  it.scopedLive("a handler that throws ends its session, and no other", () =>
    Effect.gen(function* () {
      const { address } = yield* serving((messages) => {
        if (textsOf(messages).includes("bad")) throw new Error("on purpose")
        return Effect.void
      })
      const [first, second] = [yield* client(address), yield* client(address)]
      yield* withTimeout("the end", Effect.flip(first.send([text("bad")])))
      yield* withTimeout("the other", second.send([text("good")]))
    }).pipe(memory)
  )

  it.scopedLive("a refusal is NotTaken with the number of messages handled before", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving((messages) =>
        textsOf(messages).includes("bad")
          ? new MessageService.MessageRefused({ reason: "on principle" })
          : Effect.void
      )
      const { send } = yield* client(address)
      yield* withTimeout("the good", send([text("good"), text("good")]))
      expect(yield* withTimeout("the bad", Effect.flip(send([text("bad")])))).toMatchObject({
        _tag: "NotTaken",
        handled: 2
      })
      expect((yield* withTimeout("anything after", Effect.flip(send([text("good")]))))._tag).toBe(
        "NotTaken"
      )
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
        counted: { messages: 2 },
        error: { _tag: "MessageRefused", reason: "on principle" }
      })
    }).pipe(memory)
  )

  it.scopedLive("a refusal inside a batch acknowledges the messages before it", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving((messages) => {
        const handled = textsOf(messages).indexOf("bad")
        return handled < 0
          ? Effect.void
          : new MessageService.MessageRefused({ reason: "on principle", handled })
      })
      const { send } = yield* client(address)
      yield* withTimeout("the good", send([text("good")]))
      const error = yield* withTimeout(
        "the bad",
        Effect.flip(send([text("good"), text("good"), text("bad"), text("good")]))
      )
      expect(error).toMatchObject({ _tag: "NotTaken", handled: 3, status: "refused" })
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
        counted: { messages: 3 }
      })
    }).pipe(memory)
  )

  it.scopedLive("a temporary refusal has the status later", () =>
    Effect.gen(function* () {
      const { address } = yield* serving(
        () => new MessageService.MessageRefused({ reason: "the disk is full", retry: true })
      )
      const { send } = yield* client(address)
      expect(yield* withTimeout("the refusal", Effect.flip(send([text("any")])))).toMatchObject({
        _tag: "NotTaken",
        status: "later"
      })
    }).pipe(memory)
  )

  it.scopedLive("a message that is too long is rejected before anything is sent", () =>
    Effect.gen(function* () {
      const handled: Array<number> = []
      const { address } = yield* serving((messages) =>
        Effect.sync(() => handled.push(...messages.map(({ text }) => text.length)))
      )
      const { send } = yield* client(address)
      const error = yield* Effect.flip(send([text("small"), Buffer.alloc(limits.messageBytes + 1)]))
      expect(error).toMatchObject({ _tag: "MessageTooLong", bytes: limits.messageBytes + 1 })
      yield* withTimeout("the largest", send([Buffer.alloc(limits.messageBytes)]))
      expect(handled).toEqual([limits.messageBytes])
    }).pipe(memory)
  )

  it.scopedLive("a hundred concurrent clients, each with its messages in order", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const { address, events } = yield* serving((messages) =>
        Effect.sync(() => handled.push(...textsOf(messages)))
      )
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => index),
        (index) =>
          Effect.gen(function* () {
            const { send } = yield* client(address, suiteOf("NNpsk0"))
            for (let turn = 0; turn < 3; turn++)
              yield* withTimeout("a receipt", send([text(`${index}.${turn}`)]))
          }).pipe(Effect.scoped),
        // An address may have 64 connections that are not authenticated yet.
        { concurrency: 60 }
      )
      for (let index = 0; index < 100; index++)
        expect(handled.filter((word) => word.startsWith(`${index}.`))).toEqual(
          [0, 1, 2].map((turn) => `${index}.${turn}`)
        )
      yield* waitUntil(
        "all ends",
        () => events.filter(({ _tag }) => _tag === "SessionEnded").length === 100
      )
    }).pipe(memory)
  )

  it.scopedLive("a connection lost before the receipt is an error", () =>
    Effect.gen(function* () {
      const { address } = yield* serving(() => Effect.die("the program of the server breaks down"))
      const { send } = yield* client(address)
      expect(yield* withTimeout("the news", Effect.flip(send([text("lost")])))).toMatchObject({
        _tag: "StreamTruncated"
      })
      expect(yield* withTimeout("the same news", Effect.flip(send([text("again")])))).toMatchObject(
        {
          _tag: "StreamTruncated"
        }
      )
    }).pipe(memory, Logger.withMinimumLogLevel(LogLevel.None))
  )

  it.scopedLive(
    "a draining server acknowledges the message that has begun, and closes idle sessions",
    () =>
      Effect.gen(function* () {
        const handled: Array<string> = []
        const { address, fiber } = yield* serving((messages) =>
          Effect.zipRight(
            pause(50),
            Effect.sync(() => handled.push(...textsOf(messages)))
          )
        )
        const idle = yield* client(address)
        const channel = yield* dial({ address, keys: dialKeys(suiteOf("IK")) }, "message")
        const frame = frames([text("begun before the stop")])
        yield* channel.write(frame.subarray(0, 30))
        yield* pause(30)
        const stopping = yield* Effect.fork(Fiber.interrupt(fiber))
        expect(
          yield* withTimeout("the end of the idle session", idle.channel.read.pipe(Effect.either))
        ).toBeDefined()
        yield* channel.write(frame.subarray(30))
        const receipt = yield* withTimeout("the receipt", channel.read)
        expect(receipt instanceof Uint8Array && new ReceiptDecoder().push(receipt)).toEqual([
          { status: "handled", count: 1 }
        ])
        expect(yield* withTimeout("the end", Effect.flip(channel.read))).toMatchObject({
          _tag: "ChannelClosed",
          reason: "it is shutting down"
        })
        yield* withTimeout("the stop", Fiber.join(stopping))
        expect(handled).toEqual(["begun before the stop"])
      }).pipe(memory)
  )

  const violations: ReadonlyArray<
    readonly [
      name: string,
      misbehave: (channel: Channel.Channel) => Effect.Effect<unknown, unknown>
    ]
  > = [
    [
      "FIN inside a message",
      (channel) => Effect.zipRight(channel.write(Buffer.alloc(19)), channel.end)
    ],
    ["message longer than the limit", (channel) => channel.write(Buffer.alloc(20, 0xff))],
    ["unexpected control message", (channel) => channel.sendControl(Buffer.from("?"))]
  ]
  it.scopedLive.each(violations)(
    "%s ends the session; the next one is served",
    ([detail, misbehave]) =>
      Effect.gen(function* () {
        const handled: Array<string> = []
        const { address, events } = yield* serving((messages) =>
          Effect.sync(() => handled.push(...textsOf(messages)))
        )
        const transport = yield* Transport
        const connection = yield* transport.connect(address)
        const channel = yield* Channel.connect(
          connection,
          { ...dialKeys(suiteOf("IK")), application },
          {
            opening: "message"
          }
        )
        yield* misbehave(channel)
        yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
        expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
          counted: {},
          error: { _tag: "ChannelTampered", detail }
        })
        const { send } = yield* client(address)
        yield* withTimeout("the next", send([text("next")]))
        expect(handled).toEqual(["next"])
      }).pipe(memory)
  )

  it.scopedLive("a client sees the key of a server without authenticating itself", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving(() => Effect.void)
      const keys = { serverName: "", identity: alice }
      const seen = yield* withTimeout("the key", probe({ address, keys }))
      expect(seen).toEqual(serverKeys.identities?.[0]?.publicKey)
      yield* waitUntil("the refused client", () =>
        events.some(({ _tag }) => _tag === "ConnectionRefused")
      )
      expect(events.some(({ _tag }) => _tag === "SessionStarted")).toBe(false)
    }).pipe(memory)
  )
})

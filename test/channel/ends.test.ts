// A stream that is cut at any byte is truncated; a peer that violates the protocol is reset.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Channel from "../../src/channel/Channel.ts"
import type { ChannelError } from "../../src/channel/ChannelErrors.ts"
import { limits } from "../../src/channel/limits.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none as noPadding, paddedLength } from "../../src/channel/Padding.ts"
import { encodeClose } from "../../src/channel/Close.ts"
import { encodeFin, RecordType } from "../../src/channel/ChannelRecord.ts"
import { allSuites, type Suite } from "../../src/channel/Suite.ts"
import type { Accepted } from "../../src/transports/Acceptor.ts"
import type { Connection } from "../../src/transports/Connection.ts"
import { Transport } from "../../src/transports/index.ts"
import { pause, withTimeout, waitUntil } from "../../src/testing/steps.ts"
import { runs, sample, sampled } from "../fixtures/sample.ts"
import { clientKeys, layerFasterClock, serverKeys, listenAndRead, anyPort, suiteOf } from "./rig.ts"

const text = Buffer.from("every byte of this counts")

/**
 * Cuts the outgoing stream after a number of bytes: with a reset, or with an end, as an attacker in
 * the middle can.
 */
const cutting = <C extends Connection>(
  connection: C,
  at: number,
  how: "end" | "abort"
): C & { readonly sent: () => number } => {
  let sent = 0
  let over = false
  const cut = () => {
    over = true
    if (how === "end") connection.flow.end()
    else Effect.runSync(connection.abort)
  }
  const pass = (bytes: Uint8Array): Uint8Array => {
    const passed = over ? new Uint8Array(0) : bytes.subarray(0, at - sent)
    sent += passed.length
    return passed
  }
  if (at === 0) cut()
  return {
    ...connection,
    sent: () => sent,
    write: (bytes) =>
      Effect.suspend(() => {
        const passed = pass(bytes)
        const written = passed.length === 0 ? Effect.void : connection.write(passed)
        return Effect.zipRight(
          written,
          Effect.sync(() => !over && sent >= at && cut())
        )
      }),
    flow: {
      ...connection.flow,
      write: (bytes) => {
        const passed = pass(bytes)
        const going = passed.length === 0 || connection.flow.write(passed)
        if (!over && sent >= at) cut()
        return going
      },
      end: () => !over && connection.flow.end()
    }
  }
}

interface Seen {
  readonly sent: number
  /**
   * The bytes that the other side read, and the error that ended them. Undefined without a session.
   */
  readonly got: { readonly bytes: Buffer; readonly error: ChannelError | undefined } | undefined
}

const collect = (channel: Channel.Channel) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const error = yield* Effect.gen(function* () {
      for (let item = yield* channel.read; item !== undefined; item = yield* channel.read)
        if (item instanceof Uint8Array) chunks.push(item)
    }).pipe(
      Effect.as(undefined),
      Effect.catchAll((error) => Effect.succeed(error))
    )
    return { bytes: Buffer.concat(chunks), error }
  })

/**
 * A session in which both sides send the text and FIN; the stream of one side is cut after a number
 * of bytes.
 */
const session = (suite: Suite, side: "client" | "server", at: number, how: "end" | "abort") =>
  Effect.gen(function* () {
    const transport = yield* Transport
    let atServer: Seen["got"]
    let done = false
    let serverSent = () => 0
    const { address } = yield* transport.listen(anyPort, (plain) => {
      const connection = cutting<Accepted>(
        plain,
        side === "server" ? at : Number.POSITIVE_INFINITY,
        how
      )
      serverSent = connection.sent
      return Effect.gen(function* () {
        const channel = yield* Channel.accept(connection, serverKeys)
        yield* Effect.ignore(Effect.zipRight(channel.write(text), channel.end))
        atServer = yield* collect(channel)
      }).pipe(
        Effect.ignore,
        Effect.ensuring(
          Effect.sync(() => {
            done = true
          })
        )
      )
    })
    let clientSent = () => 0
    let atClient: Seen["got"]
    yield* Effect.gen(function* () {
      const connection = cutting(
        yield* transport.connect(address),
        side === "client" ? at : Number.POSITIVE_INFINITY,
        how
      )
      clientSent = connection.sent
      const channel = yield* Channel.connect(connection, clientKeys(suite))
      yield* Effect.ignore(Effect.zipRight(channel.write(text), channel.end))
      atClient = yield* collect(channel)
    }).pipe(Effect.scoped, Effect.ignore, (running) => withTimeout("the client", running))
    yield* waitUntil("the server", () => done)
    const seen: Seen =
      side === "client"
        ? { sent: clientSent(), got: atServer }
        : { sent: serverSent(), got: atClient }
    return seen
  }).pipe(Effect.scoped)

const finFrame = 2 + 3 + 8 + 16
const closeFrame = 2 + 3 + 17 + 16

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, index) => from + index)

/** The number of bytes of hello and handshake of a side. */
const handshakeOf = (suite: Suite, side: "client" | "server"): number =>
  suite.lengths
    .filter((_, index) => (index % 2 === 0) === (side === "client"))
    .reduce((sum, length) => sum + 2 + length, side === "client" ? 8 : 0)

describe.each(["client", "server"] as const)("the stream of the %s", (side) => {
  const whole = (suite: Suite) => session(suite, side, Number.POSITIVE_INFINITY, "end")

  const everywhere = (suite: Suite, how: "end" | "abort") =>
    Effect.gen(function* () {
      const uncut = yield* whole(suite)
      expect(uncut.got?.error).toBeUndefined()
      expect(uncut.got?.bytes).toEqual(text)
      // FIN is the last record or, unless the other side has sent CLOSE first, the last but one.
      const finEnd = uncut.sent - (yield* closes(suite, side))
      let clean = 0
      let truncated = 0
      yield* Effect.forEach(
        // Sessions exist, and end, only in the second part.
        [
          ...sample(range(0, handshakeOf(suite, side)), 10),
          ...sample(range(handshakeOf(suite, side), uncut.sent + 1), 30)
        ],
        (at) =>
          Effect.map(session(suite, side, at, how), ({ got }) => {
            if (got === undefined) {
              // A reset may overtake what was sent before it.
              if (how === "end") expect(at).toBeLessThan(finEnd)
              return
            }
            expect(text.subarray(0, got.bytes.length).equals(got.bytes)).toBe(true)
            if (got.error === undefined) {
              clean++
              expect(`clean after ${Math.max(at, finEnd)}: ${got.bytes.length}`).toBe(
                `clean after ${at}: ${text.length}`
              )
            } else {
              truncated++
              // Before the server's READY a client cannot know that a session existed.
              expect(
                side === "server" ? ["StreamTruncated", "HandshakeFailed"] : ["StreamTruncated"]
              ).toContain(got.error._tag)
            }
          }),
        { concurrency: 32 }
      )
      // Shows that the test could fail: sessions existed, and both kinds of ends occurred.
      expect(truncated).toBeGreaterThan(runs(5, finFrame))
      if (how === "end") expect(clean).toBeGreaterThan(0)
    })

  /** The bytes after FIN. */
  const closes = (suite: Suite, side: "client" | "server") =>
    Effect.map(whole(suite), ({ sent }) => {
      const afterReady = 2 + 3 + 16 + (2 + 3 + text.length + 16) + finFrame
      const rest = sent - handshakeOf(suite, side) - afterReady
      expect([0, closeFrame]).toContain(rest)
      return rest
    })

  it.scopedLive.each(allSuites.map(({ name }) => name))(
    sampled("of %s is truncated by an end after each of its bytes"),
    (name) =>
      everywhere(suiteOf(name), "end").pipe(
        Effect.provide(Layer.merge(Transport.layerMemory(), layerFasterClock(10)))
      )
  )
  it.scopedLive(sampled("is truncated by a reset after each of its bytes"), () =>
    everywhere(suiteOf("IK"), "abort").pipe(
      Effect.provide(Layer.merge(Transport.layerMemory(), layerFasterClock(10)))
    )
  )
  it.scopedLive.each(["end", "abort"] as const)(
    sampled("over TCP is truncated by %s after each of its bytes"),
    (how) =>
      everywhere(suiteOf("NNpsk0"), how).pipe(
        Effect.provide(Layer.merge(Transport.layerNet, layerFasterClock(5)))
      )
  )
})

describe("an interrupted program", () => {
  it.scopedLive("truncates its channel", () =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const arrived = yield* Deferred.make<Channel.ChannelItem | undefined, unknown>()
      const ended = yield* Deferred.make<never, unknown>()
      const { address } = yield* transport.listen(anyPort, (connection) =>
        Effect.gen(function* () {
          const channel = yield* Channel.accept(connection, serverKeys)
          yield* Effect.intoDeferred(channel.read, arrived)
          return yield* Effect.dieMessage(`read ${String(yield* channel.read)}`)
        }).pipe(Effect.intoDeferred(ended))
      )
      const client = yield* Effect.gen(function* () {
        const channel = yield* Channel.connect(
          yield* transport.connect(address),
          clientKeys(suiteOf("IK"))
        )
        yield* channel.write(text)
        yield* Effect.never
      }).pipe(Effect.scoped, Effect.fork)
      expect(yield* withTimeout("the text", Deferred.await(arrived))).toEqual(text)
      yield* withTimeout("the interruption", Fiber.interrupt(client))
      expect(yield* Effect.flip(withTimeout("the end", Deferred.await(ended)))).toMatchObject({
        _tag: "StreamTruncated"
      })
    }).pipe(Effect.provide(Transport.layerNet))
  )
})

describe("an authenticated peer that violates the protocol", () => {
  type RecordToSend = readonly [type: RecordType, body?: Uint8Array]
  const data: RecordToSend = [RecordType.Data, text]
  const fin = (total: number): RecordToSend => [RecordType.Fin, encodeFin(total)]
  const close = (sent: number): RecordToSend => [
    RecordType.Close,
    encodeClose({ code: 0, sent, received: 0 })
  ]

  /** Runs a client by hand. Returns the outcomes at the server, and how the connection ended. */
  const sendRecords = (records: ReadonlyArray<RecordToSend>) =>
    Effect.gen(function* () {
      const { address, outcomes } = yield* listenAndRead()
      const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
      const { send } = yield* Channel.initiate(connection, clientKeys(suiteOf("NNpsk0")))
      let ended: string | undefined
      connection.flow.start({
        bytes: () => {},
        drained: () => {},
        end: () => {},
        lost: (code) => {
          ended = code
        }
      })
      const out = new Outbound(send, noPadding, (bytes) => connection.flow.write(bytes))
      out.record(RecordType.Ready)
      for (const [type, body] of records) out.record(type, body)
      out.flush()
      yield* waitUntil("the outcome", () => outcomes.length > 0)
      return { outcomes, ended: () => ended }
    })
  const net = Effect.provide(Transport.layerNet)

  it.scopedLive("a correct client receives an orderly end", () =>
    Effect.gen(function* () {
      const { outcomes } = yield* sendRecords([data, data, fin(2 * text.length)])
      expect(outcomes).toMatchObject([
        { _tag: "Session", error: undefined, bytes: Buffer.concat([text, text]) }
      ])
    }).pipe(net)
  )
  it.scopedLive("CLOSE with code 0 implies FIN", () =>
    Effect.gen(function* () {
      const { outcomes } = yield* sendRecords([data, close(text.length)])
      expect(outcomes).toMatchObject([{ _tag: "Session", error: undefined, bytes: text }])
    }).pipe(net)
  )
  it.scopedLive("CLOSE with code 3 is not an orderly end", () =>
    Effect.gen(function* () {
      const { outcomes } = yield* sendRecords([
        data,
        [RecordType.Close, encodeClose({ code: 3, sent: text.length, received: 0 })]
      ])
      expect(outcomes).toMatchObject([
        { _tag: "Session", error: { _tag: "ChannelClosed", reason: "it failed" }, bytes: text }
      ])
    }).pipe(net)
  )

  const broken: ReadonlyArray<
    readonly [name: string, records: ReadonlyArray<RecordToSend>, detail: string]
  > = [
    ["a second READY", [data, [RecordType.Ready]], "a second READY"],
    ["a FIN with a larger total", [data, fin(text.length + 1)], "a FIN with a wrong total"],
    ["a FIN with a smaller total", [data, fin(text.length - 1)], "a FIN with a wrong total"],
    ["a FIN with total 0", [data, fin(0)], "a FIN with a wrong total"],
    ["a CLOSE with a larger total", [data, close(text.length + 1)], "a CLOSE with a wrong total"],
    ["a CLOSE with a smaller total", [data, close(0)], "a CLOSE with a wrong total"]
  ]
  it.scopedLive.each(broken)(
    "%s: the program gets an error, and the connection is reset at once",
    ([, records, detail]) =>
      Effect.gen(function* () {
        const { outcomes, ended } = yield* sendRecords([...records, data])
        expect(outcomes).toMatchObject([
          { _tag: "Session", bytes: text, error: { _tag: "ChannelTampered", detail } }
        ])
        yield* waitUntil("the end of the connection", () => ended() === "ECONNRESET")
      }).pipe(net)
  )

  /**
   * After FIN the program has already received its end; a violation only ends the rest of the
   * channel.
   */
  const afterFin: ReadonlyArray<readonly [name: string, record: RecordToSend]> = [
    ["DATA", data],
    ["CONTROL", [RecordType.Control, text]],
    ["a second FIN", fin(text.length)]
  ]
  it.scopedLive.each(afterFin)(
    "%s after FIN is not delivered, and ends the channel",
    ([, record]) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        let error: ChannelError | undefined
        const items: Array<unknown> = []
        const { address } = yield* transport.listen(anyPort, (connection) =>
          Effect.gen(function* () {
            const channel = yield* Channel.accept(connection, serverKeys)
            for (let item = yield* channel.read; item !== undefined; item = yield* channel.read)
              items.push(item)
            error = yield* Effect.flip(
              Effect.forever(Effect.zipRight(channel.write(Buffer.from("?")), pause(1)))
            )
          }).pipe(Effect.ignore)
        )
        const connection = yield* transport.connect(address)
        const { send } = yield* Channel.initiate(connection, clientKeys(suiteOf("NNpsk0")))
        const out = new Outbound(send, noPadding, (bytes) => connection.flow.write(bytes))
        out.record(RecordType.Ready)
        for (const [type, body] of [data, fin(text.length), record]) out.record(type, body)
        out.flush()
        yield* waitUntil("the end", () => error !== undefined)
        expect(error).toMatchObject({ _tag: "ChannelTampered" })
        expect(items).toEqual([text])
      }).pipe(net)
  )
})

describe("the memory that a peer can occupy", () => {
  it.scopedLive.each(["None", "Block"] as const)(
    "is bounded for unread single bytes in records with padding %s",
    (tag) =>
      Effect.gen(function* () {
        const padding = tag === "None" ? { _tag: tag } : { _tag: tag, bytes: 65_519 }
        const transport = yield* Transport
        let held: Channel.Channel | undefined
        const { address } = yield* transport.listen(anyPort, (connection) =>
          Channel.accept(connection, serverKeys).pipe(
            Effect.tap((channel) => Effect.sync(() => (held = channel))),
            Effect.zipRight(connection.draining),
            Effect.ignore
          )
        )
        const connection = yield* transport.connect(address)
        const { send } = yield* Channel.initiate(connection, clientKeys(suiteOf("NNpsk0")))
        let going = true
        const out = new Outbound(send, padding, (bytes) => {
          going = connection.flow.write(bytes)
          return going
        })
        connection.flow.start({
          bytes: () => {},
          drained: () => (going = true),
          end: () => {},
          lost: () => {}
        })
        out.record(RecordType.Ready)
        let records = 0
        for (let rounds = 0; rounds < 50; rounds++) {
          for (let record = 0; record < 100; record++) {
            if (!going) break
            out.record(RecordType.Control, Buffer.from([7]))
            out.flush()
            records++
          }
          yield* pause(1)
        }
        const bytes = records * paddedLength(padding, 4)
        // Shows that more was sent than the channel may hold.
        expect(bytes).toBeGreaterThan(limits.unreadBytes / 16)
        expect(held).toBeDefined()
        // Bytes that the reader can take without another turn of the event loop: the channel holds
        // them, and the memory behind them. Other memory of the process is not the channel's.
        const channel = held as Channel.Channel
        const buffers = new Set<ArrayBufferLike>()
        let ready = 0
        for (; ready < records; ready++) {
          const reader = yield* Effect.fork(channel.read)
          yield* Effect.yieldNow()
          const taken = yield* reader.poll
          if (taken._tag === "None") break
          const item = yield* taken.value
          expect(item).toBeInstanceOf(Channel.Control)
          buffers.add((item as Channel.Control).body.buffer)
        }
        yield* connection.abort
        const memory = [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, 0)
        expect(ready).toBeGreaterThan(0)
        expect(ready).toBeLessThan(2000)
        expect(ready * paddedLength(padding, 4)).toBeLessThan(2 * limits.unreadBytes)
        expect(memory).toBeLessThan(2 * limits.unreadBytes)
      }).pipe(Effect.provide(Transport.layerNet), Logger.withMinimumLogLevel(LogLevel.None))
  )
})

// The handshake accepts only the right keys, and a rejected client learns nothing.
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { ChannelState } from "../../src/channel/ChannelState.ts"
import { HandshakeDriver } from "../../src/channel/HandshakeDriver.ts"
import { initiate, respond } from "../../src/channel/Handshake.ts"
import type { InitiatorKeys, ServerKeys } from "../../src/channel/HandshakeKeys.ts"
import * as Hello from "../../src/channel/Hello.ts"
import { encodeFrame } from "../../src/channel/Frame.ts"
import { limits } from "../../src/channel/limits.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none as noPadding } from "../../src/channel/Padding.ts"
import { encodeClose } from "../../src/channel/Close.ts"
import { encodeFin, RecordType } from "../../src/channel/ChannelRecord.ts"
import { allSuites, type Suite } from "../../src/channel/Suite.ts"
import type { KeyPair } from "../../src/keys/KeyPair.ts"
import { HandshakeState } from "../../src/noise/HandshakeState.ts"
import { makeMemory } from "../../src/transports/Memory.ts"
import type { Connection } from "../../src/transports/Connection.ts"
import { Transport } from "../../src/transports/index.ts"
import { pause, readAll as readRaw, withTimeout, waitUntil } from "../../src/testing/steps.ts"
import {
  prologueFields,
  alice,
  clientKeys,
  initiatorKeys,
  keysOf,
  layerFasterClock,
  respondTo,
  mallory,
  psk,
  recording,
  equalBytes,
  server,
  serverKeys,
  listenAndRead,
  suiteOf
} from "./rig.ts"

/**
 * Connects with these keys. Returns the outcome at the server, and the bytes that each side sent.
 */
const attempt = (
  keys: InitiatorKeys,
  offered: ServerKeys = serverKeys,
  checkServer: Effect.Effect<boolean, Seen> = Effect.succeed(true)
) =>
  Effect.gen(function* () {
    const { address, outcomes } = yield* listenAndRead(offered)
    const transport = yield* Transport
    const sent: Array<Uint8Array> = []
    const received: Array<Uint8Array> = []
    const result = yield* Effect.gen(function* () {
      const connection = recordInput(received)(recording(sent)(yield* transport.connect(address)))
      const channel = yield* Channel.connect(
        connection,
        keysOf(keys, () => checkServer)
      )
      yield* channel.write(Buffer.from("secret"))
      yield* channel.end
      // Reads until the server's FIN or its rejection.
      yield* channel.read
    }).pipe(Effect.scoped, Effect.either, (running) => withTimeout("the client", running))
    yield* waitUntil("the server's outcome", () => outcomes.length > 0)
    return {
      error: result._tag === "Left" ? result.left : undefined,
      outcomes,
      sent,
      received: Buffer.concat(received)
    }
  })

/** Records the incoming bytes. */
const recordInput =
  (received: Array<Uint8Array>) =>
  (connection: Connection): Connection => ({
    ...connection,
    read: Effect.tap(connection.read, (chunk) =>
      Effect.sync(() => chunk !== undefined && received.push(chunk))
    ),
    flow: {
      ...connection.flow,
      start: (sink) =>
        connection.flow.start({
          ...sink,
          bytes: (chunk) => {
            received.push(chunk)
            sink.bytes(chunk)
          }
        })
    }
  })

/** The same key in other bytes: X25519 ignores the highest bit. */
const respelled = (pair: KeyPair): KeyPair => {
  const publicKey = Buffer.from(pair.publicKey)
  publicKey[31] = (publicKey[31] as number) | 0x80
  return { ...pair, publicKey }
}

class Seen extends Data.TaggedError("Seen")<{}> {}

const accepted = {
  error: undefined,
  outcomes: [{ _tag: "Session", bytes: Buffer.from("secret"), error: undefined }]
}
const refused = (reason: string) => ({
  error: { _tag: "HandshakeFailed" },
  outcomes: [{ _tag: "Refused", reason }]
})
// Each rejection takes half a second.
const live = Effect.provide(Layer.merge(Transport.layerMemory(), layerFasterClock(10)))

describe.each(allSuites)("$name", (suite) => {
  const keys = initiatorKeys(suite)

  it.scopedLive("opens a session with the right keys", () =>
    Effect.gen(function* () {
      expect(yield* attempt(keys)).toMatchObject(accepted)
      expect(yield* attempt(keys, { ...serverKeys, suites: [suite] })).toMatchObject(accepted)
    }).pipe(live)
  )

  it.scopedLive("is rejected without an answer by a server that does not accept it", () =>
    Effect.gen(function* () {
      const others = allSuites.filter((other) => other !== suite)
      const result = yield* attempt(keys, { ...serverKeys, suites: others })
      expect(result).toMatchObject(refused(`suite ${suite.name} is not accepted here`))
      expect(result.received.length).toBe(0)
    }).pipe(live)
  )

  it.scopedLive("fails when the prologue fields differ", () =>
    Effect.gen(function* () {
      for (const other of [
        { serverName: "mail" },
        { application: "test/2" },
        { serverName: "test/1", application: "" }
      ]) {
        for (const result of [
          yield* attempt({ ...keys, ...other }),
          yield* attempt(keys, { ...serverKeys, ...other })
        ]) {
          expect(result.error).toMatchObject({ _tag: "HandshakeFailed" })
          expect(result.outcomes).toMatchObject([{ _tag: "Refused" }])
        }
        expect(yield* attempt({ ...keys, ...other }, { ...serverKeys, ...other })).toMatchObject(
          accepted
        )
      }
    }).pipe(live)
  )

  if (suite.hasSharedKey)
    it.scopedLive("fails with another shared key", () =>
      Effect.gen(function* () {
        const result = yield* attempt({ ...keys, psk: Secret.random(32) })
        expect(result.error).toMatchObject({ _tag: "HandshakeFailed" })
        expect(result.outcomes).toMatchObject([{ _tag: "Refused" }])
      }).pipe(live)
    )

  if (suite.hasServerKey)
    it.scopedLive("fails with another server key, without an answer to message 1", () =>
      Effect.gen(function* () {
        const result = yield* attempt({ ...keys, serverKey: mallory.publicKey })
        expect(result).toMatchObject(refused("decrypt failed"))
        expect(result.received.length).toBe(0)
      }).pipe(live)
    )

  if (suite.hasServerKey)
    it.scopedLive("rejects an unknown client before message 2", () =>
      Effect.gen(function* () {
        const result = yield* attempt({ ...keys, identity: mallory })
        expect(result).toMatchObject(refused("its key is not in authorized_peers"))
        expect(result.received.length).toBe(0)
      }).pipe(live)
    )

  const shows = suite.hasIdentities && !suite.hasServerKey
  if (shows)
    it.scopedLive("rejects an unknown client after message 3, without READY", () =>
      Effect.gen(function* () {
        const result = yield* attempt({ ...keys, identity: mallory })
        expect(result).toMatchObject(refused("its key is not in authorized_peers"))
        expect(result.received.length).toBe(2 + suite.lengths[1])
      }).pipe(live)
    )

  if (shows && !suite.forPairing)
    it.scopedLive("a client that rejects the server's key does not send its own", () =>
      Effect.gen(function* () {
        let authorized = 0
        const offered: ServerKeys = {
          ...serverKeys,
          authorize: (publicKey, from) => {
            authorized++
            return serverKeys.authorize(publicKey, from)
          }
        }
        const result = yield* attempt(keys, offered, Effect.fail(new Seen()))
        expect(result).toMatchObject({
          error: { _tag: "Seen" },
          outcomes: [{ _tag: "Refused", reason: "it closed the connection" }]
        })
        // Hello and message 1, which does not contain the client's key.
        expect(Buffer.concat(result.sent).length).toBe(8 + 2 + suite.lengths[0])
        expect(authorized).toBe(0)
      }).pipe(live)
    )

  if (shows && !suite.forPairing)
    it.scopedLive("checks the server's public key", () =>
      Effect.gen(function* () {
        const { address } = yield* listenAndRead()
        const connection = yield* Effect.flatMap(Transport, (transport) =>
          transport.connect(address)
        )
        let seen: Uint8Array | undefined
        const check = (publicKey: Uint8Array) =>
          Effect.sync(() => {
            seen = publicKey
            return true
          })
        yield* Channel.connect(connection, keysOf(keys, check))
        expect(equalBytes(seen, server.publicKey)).toBe(true)
      }).pipe(live)
    )

  if (suite.hasIdentities)
    it.scopedLive(
      "rejects a client's public key in a second spelling, whatever the list says",
      () =>
        Effect.gen(function* () {
          const offered = { ...serverKeys, authorize: () => ({ name: "anybody" }) }
          const result = yield* attempt({ ...keys, identity: respelled(alice) }, offered)
          expect(result).toMatchObject(refused("a public key in a form that is not canonical"))
        }).pipe(live)
    )

  if (shows)
    it.scopedLive("a client rejects the server's key in a second spelling, before any check", () =>
      Effect.gen(function* () {
        const offered = { ...serverKeys, identities: [respelled(server)] }
        const { error, sent } = yield* attempt(keys, offered)
        expect(error).toMatchObject({
          _tag: "HandshakeFailed",
          reason: "a public key in a form that is not canonical"
        })
        expect(Buffer.concat(sent).length).toBe(8 + 2 + suite.lengths[0])
      }).pipe(live)
    )

  it.scopedLive("rejects a message 1 with a payload, by its length", () =>
    Effect.gen(function* () {
      const { address, outcomes } = yield* listenAndRead()
      const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
      const hello = Hello.encode(suite)
      const state = new HandshakeState({
        protocol: suite.protocol,
        initiator: true,
        prologue: Hello.prologue(hello, prologueFields.serverName, prologueFields.application),
        psks: suite.hasSharedKey ? [psk] : [],
        ...(suite.hasIdentities ? { s: mallory } : {}),
        ...(suite.hasServerKey ? { rs: server.publicKey } : {})
      })
      const first = state.writeMessage(Buffer.from("early data"))
      if (typeof first === "string") throw new Error(first)
      yield* connection.write(Buffer.concat([hello, encodeFrame(first)]))
      yield* waitUntil("the refusal", () => outcomes.length > 0)
      expect(outcomes).toMatchObject([
        { _tag: "Refused", reason: "a handshake frame of the wrong length" }
      ])
      expect((yield* Effect.exit(withTimeout("silence", readRaw(connection))))._tag).toBe("Failure")
    }).pipe(live)
  )
})

/** A client that has completed the handshake and writes records by hand. */
const byHand = (suite: Suite, address: Parameters<Transport.Shape["connect"]>[0]) =>
  Effect.gen(function* () {
    const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
    const session = yield* Channel.initiate(connection, clientKeys(suite))
    const out = new Outbound(
      session.send,
      noPadding,
      (bytes) => connection.flow.write(bytes),
      session.preface
    )
    return { connection, session, out }
  })

describe.each(allSuites)("before READY, under $name", (suite) => {
  it.scopedLive("no session opens, not even after a complete handshake", () =>
    Effect.gen(function* () {
      let sessions = 0
      const transport = yield* Transport
      const { address } = yield* transport.listen(
        { _tag: "Tcp", host: "127.0.0.1", port: 0 },
        (connection) =>
          Channel.accept(connection, serverKeys).pipe(
            Effect.tap(() => Effect.sync(() => sessions++)),
            Effect.ignore
          )
      )
      const { out } = yield* byHand(suite, address)
      yield* pause(30)
      expect(sessions).toBe(0)
      out.record(RecordType.Ready)
      out.flush()
      yield* waitUntil("the session", () => sessions === 1)
    }).pipe(live)
  )

  it.scopedLive.each([
    ["DATA", RecordType.Data, Buffer.from("early")],
    ["FIN", RecordType.Fin, encodeFin(0)],
    ["CLOSE", RecordType.Close, encodeClose({ code: 0, sent: 0, received: 0 })],
    ["PING", RecordType.Ping, Buffer.alloc(0)],
    ["PONG", RecordType.Pong, Buffer.alloc(0)],
    ["CONTROL", RecordType.Control, Buffer.from("early")]
  ] as const)("a first record %s is refused", ([, type, body]) =>
    Effect.gen(function* () {
      const { address, outcomes } = yield* listenAndRead()
      const { out } = yield* byHand(suite, address)
      out.record(type, body)
      out.record(RecordType.Ready)
      out.flush()
      yield* waitUntil("the refusal", () => outcomes.length > 0)
      expect(outcomes).toMatchObject([{ _tag: "Refused", reason: "the first record is not READY" }])
    }).pipe(live)
  )
})

describe("the opening", () => {
  /** A server that records the opening of each channel. */
  const recordingOpenings = Effect.gen(function* () {
    const openings: Array<string> = []
    const transport = yield* Transport
    const { address } = yield* transport.listen(
      { _tag: "Tcp", host: "127.0.0.1", port: 0 },
      (connection) =>
        Channel.accept(connection, serverKeys).pipe(
          Effect.tap(({ opening }) => Effect.sync(() => openings.push(opening))),
          Effect.ignore
        )
    )
    return { address, openings }
  })

  it.scopedLive("is known to the server when the channel is open", () =>
    Effect.gen(function* () {
      const { address, openings } = yield* recordingOpenings
      const transport = yield* Transport
      const wanted = ["", "message", "tunnel größe", "x".repeat(255)]
      for (const opening of wanted) {
        const connection = yield* transport.connect(address)
        const channel = yield* Channel.connect(connection, clientKeys(suiteOf("XX")), {
          opening
        })
        expect(channel.opening).toBe(opening)
        yield* channel.ready
      }
      expect(openings).toEqual(wanted)
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive("that is not UTF-8 is U+FFFD, which requests nothing, whatever is around it", () =>
    Effect.gen(function* () {
      const { address, openings } = yield* recordingOpenings
      const transport = yield* Transport
      for (const body of ["\xff", "message\xff", "\xed\xa0\x80", "\xe2\x82"]) {
        const connection = yield* transport.connect(address)
        const { send } = yield* Channel.initiate(connection, clientKeys(suiteOf("NNpsk0")))
        const out = new Outbound(send, noPadding, (bytes) => connection.flow.write(bytes))
        const before = openings.length
        out.record(RecordType.Ready, Buffer.from(body, "latin1"))
        out.flush()
        yield* waitUntil("the opening", () => openings.length > before)
      }
      expect(openings).toEqual(["\ufffd", "\ufffd", "\ufffd", "\ufffd"])
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive("is rejected in the READY of a server", () =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const { address } = yield* transport.listen(
        { _tag: "Tcp", host: "127.0.0.1", port: 0 },
        (connection) =>
          // A client's READY in place of the server's.
          Effect.zipRight(
            Effect.sync(() => {
              const { flow, peer, markResponsive } = connection
              new HandshakeDriver(
                flow,
                respond({ address: peer, send: flow.write, markResponsive }, serverKeys),
                {
                  done: (session) => {
                    if (typeof session === "string") throw new Error(session)
                    const core = new ChannelState(
                      connection,
                      session,
                      { padding: noPadding, opening: "message" },
                      () => core.sendReady()
                    )
                    core.start()
                  },
                  defect: () => {}
                }
              ).start()
            }),
            connection.draining
          )
      )
      const connection = yield* transport.connect(address)
      const channel = yield* Channel.connect(connection, clientKeys(suiteOf("XX")))
      expect(yield* Effect.flip(channel.ready)).toMatchObject({
        reason: "a READY of a server that is not empty"
      })
      yield* connection.abort
    }).pipe(Effect.provide(Transport.layerMemory()))
  )
})

describe("the first record of the server", () => {
  it.scopedLive("is READY, even when the client sends PING at once", () =>
    Effect.gen(function* () {
      const { address } = yield* listenAndRead()
      const received: Array<Uint8Array> = []
      const transport = yield* Transport
      const connection = recordInput(received)(yield* transport.connect(address))
      const { send, receive } = yield* Channel.initiate(connection, clientKeys(suiteOf("NNpsk0")))
      received.length = 0
      let together = Buffer.alloc(0)
      const out = new Outbound(send, noPadding, (bytes) => {
        together = Buffer.concat([together, bytes])
        return true
      })
      out.record(RecordType.Ready)
      out.record(RecordType.Ping)
      out.flush()
      connection.flow.start({ bytes: () => {}, drained: () => {}, end: () => {}, lost: () => {} })
      connection.flow.write(together)
      yield* waitUntil("two records", () => Buffer.concat(received).length >= 42)
      const types = [0, 21].map((at) => {
        const plaintext = receive.decryptWithAd(
          new Uint8Array(0),
          Buffer.concat(received).subarray(at + 2, at + 21)
        )
        return typeof plaintext === "string" ? plaintext : plaintext[0]
      })
      expect(types).toEqual([RecordType.Ready, RecordType.Pong])
    }).pipe(live)
  )
})

it.each(allSuites.filter(({ lengths }) => lengths.length === 2))(
  "$name: marks a valid first message as responsive, and its replay not",
  (suite) => {
    const hello = Hello.encode(suite)
    const first = (key: Secret) => {
      const message = new HandshakeState({
        protocol: suite.protocol,
        initiator: true,
        prologue: Hello.prologue(hello, prologueFields.serverName, prologueFields.application),
        psks: suite.hasSharedKey ? [key] : [],
        ...(suite.hasIdentities ? { s: alice } : {}),
        ...(suite.hasServerKey ? { rs: server.publicKey } : {})
      }).writeMessage(new Uint8Array(0))
      if (typeof message === "string") throw new Error(message)
      return Buffer.concat([hello, encodeFrame(message)])
    }
    const sent = first(psk)
    expect(respondTo(sent)).toMatchObject({ responsive: true, answered: 2 + suite.lengths[1] })
    expect(respondTo(sent)).toMatchObject({ responsive: false, answered: 2 + suite.lengths[1] })
    expect(respondTo(first(psk)).responsive).toBe(true)
    const broken = first(psk)
    broken.writeUInt8(broken.readUInt8(60 - 15) ^ 1, 60 - 15)
    expect(respondTo(broken).responsive).toBe(false)
  }
)

describe.each(allSuites)("the payload of message 2 of $name", (suite) => {
  // The frame has the length that the client expects, and room for ten bytes.
  const roomy = { ...suite, lengths: [suite.lengths[0], suite.lengths[1] + 10] as const }

  const answered = (expected: Suite, payload: string) => {
    const sent: Array<Uint8Array> = []
    const steps = initiate({ ...initiatorKeys(suite), suite: expected }, (bytes) =>
      sent.push(bytes)
    )
    steps.next()
    const hello = Hello.encode(suite)
    const responder = new HandshakeState({
      protocol: suite.protocol,
      initiator: false,
      prologue: Hello.prologue(hello, prologueFields.serverName, prologueFields.application),
      psks: suite.hasSharedKey ? [psk] : [],
      ...(suite.hasIdentities ? { s: server } : {})
    })
    expect(responder.readMessage(Buffer.concat(sent).subarray(hello.length + 2))).toHaveLength(0)
    const second = responder.writeMessage(Buffer.from(payload))
    if (typeof second === "string") throw new Error(second)
    const frame = Buffer.from(encodeFrame(second))
    steps.next(frame.subarray(0, 2))
    return steps.next(frame.subarray(2))
  }

  it("must be empty", () => {
    expect(answered(suite, "").value).toBeInstanceOf(HandshakeState)
    expect(answered(roomy, "early data")).toEqual({
      done: true,
      value: "a handshake payload that is not empty"
    })
  })
})

describe("deadlines", () => {
  const seconds = (duration: string) => Number(/^(\d+) seconds$/.exec(duration)?.[1])
  const [firstByte, whole] = [seconds(limits.firstByteDeadline), seconds(limits.handshakeDeadline)]

  /** Connects a raw client. Returns the bytes that it receives. */
  const connectRaw = Effect.gen(function* () {
    const { address, outcomes } = yield* listenAndRead()
    const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
    const closed = yield* Effect.fork(Effect.exit(connection.read))
    const after = (millis: number) => Effect.zipRight(TestClock.adjust(millis), pause(10))
    const isClosed = Effect.map(closed.poll, (exit) => exit._tag === "Some")
    yield* pause(10)
    return { connection, outcomes, after, isClosed }
  })
  const test = Effect.provide(Transport.layerMemory())

  it.scoped("closes a silent connection after 5 seconds", () =>
    Effect.gen(function* () {
      const { outcomes, after, isClosed } = yield* connectRaw
      yield* after(firstByte * 1000 - 1)
      expect(yield* isClosed).toBe(false)
      yield* after(1)
      yield* after(limits.refusalQuantumMillis)
      expect(yield* isClosed).toBe(true)
      expect(outcomes).toMatchObject([{ _tag: "Refused", reason: "no data received" }])
    }).pipe(test)
  )

  it.scoped("does not answer a valid client after that deadline", () =>
    Effect.gen(function* () {
      const { connection, outcomes, after, isClosed } = yield* connectRaw
      yield* after(firstByte * 1000 + 20)
      const suite = suiteOf("NNpsk0")
      const hello = Hello.encode(suite)
      const first = new HandshakeState({
        protocol: suite.protocol,
        initiator: true,
        prologue: Hello.prologue(hello, prologueFields.serverName, prologueFields.application),
        psks: [psk]
      }).writeMessage(new Uint8Array(0))
      if (typeof first === "string") throw new Error(first)
      expect(respondTo(Buffer.concat([hello, encodeFrame(first)])).answered).toBe(
        2 + suite.lengths[1]
      )
      yield* connection.write(Buffer.concat([hello, encodeFrame(first)]))
      yield* pause(20)
      // An answer would have ended the read.
      expect(yield* isClosed).toBe(false)
      yield* after(limits.refusalQuantumMillis)
      expect(yield* isClosed).toBe(true)
      expect(outcomes).toMatchObject([{ _tag: "Refused", reason: "no data received" }])
    }).pipe(test)
  )

  it.scoped("closes a slow handshake after 10 seconds", () =>
    Effect.gen(function* () {
      const { connection, outcomes, after, isClosed } = yield* connectRaw
      for (const byte of Hello.encode(suiteOf("IK")).subarray(0, 4)) {
        yield* connection.write(Buffer.from([byte]))
        yield* after((whole * 1000 - 100) / 4)
      }
      expect(yield* isClosed).toBe(false)
      yield* after(100)
      yield* after(limits.refusalQuantumMillis)
      expect(yield* isClosed).toBe(true)
      expect(outcomes).toMatchObject([{ _tag: "Refused", reason: "timed out" }])
    }).pipe(test)
  )

  it.scoped("accepts a client that is just fast enough", () =>
    Effect.gen(function* () {
      const network = makeMemory()
      const { outcomes, address } = yield* Effect.provideService(
        listenAndRead(),
        Transport,
        network
      )
      const connection = yield* network.connect(address)
      // The first byte within 5 seconds; the rest after 9.
      let first = true
      const slow: Connection = {
        ...connection,
        write: (bytes) => {
          if (!first) return connection.write(bytes)
          first = false
          return connection
            .write(bytes.subarray(0, 1))
            .pipe(
              Effect.zipRight(Effect.sleep("9 seconds")),
              Effect.zipRight(connection.write(bytes.subarray(1)))
            )
        }
      }
      const client = yield* Effect.fork(
        Effect.gen(function* () {
          const channel = yield* Channel.connect(slow, clientKeys(suiteOf("IK")))
          yield* channel.end
        })
      )
      yield* pause(10)
      for (let second = 0; second < 9; second++)
        yield* Effect.zipRight(TestClock.adjust("1 second"), pause(5))
      yield* withTimeout("the client", Fiber.join(client))
      yield* waitUntil("the session", () => outcomes.length > 0)
      expect(outcomes).toMatchObject([{ _tag: "Session", error: undefined }])
    })
  )

  it.scoped("closes at the next multiple of 500 ms, whatever the reason", () =>
    Effect.gen(function* () {
      for (const late of [0, 1, 499, 500, 777]) {
        const { connection, outcomes, after, isClosed } = yield* connectRaw
        yield* after(late)
        yield* connection.write(Buffer.alloc(8 + 2 + 96, 0xa5))
        yield* pause(20)
        const quantum = limits.refusalQuantumMillis
        yield* after(quantum - (late % quantum) - 1)
        expect(yield* isClosed).toBe(false)
        yield* after(1)
        expect(yield* isClosed).toBe(true)
        expect(outcomes).toMatchObject([{ _tag: "Refused", reason: "not the Sealwire protocol" }])
      }
    }).pipe(test)
  )

  it.scoped("a client without an answer fails after 10 seconds", () =>
    Effect.gen(function* () {
      const network = makeMemory()
      const { address } = yield* network.listen(
        { _tag: "Tcp", host: "127.0.0.1", port: 0 },
        ({ draining }) => draining
      )
      const connection = yield* network.connect(address)
      const client = yield* Effect.fork(
        Effect.flip(Channel.connect(connection, clientKeys(suiteOf("IK"))))
      )
      yield* pause(10)
      yield* TestClock.adjust(limits.handshakeDeadline)
      expect(yield* withTimeout("the client", Fiber.join(client))).toMatchObject({
        _tag: "HandshakeFailed",
        reason: "timed out"
      })
    })
  )
})

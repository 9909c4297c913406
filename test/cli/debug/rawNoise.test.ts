// Raw Noise over the memory transport, in whole writes and in single bytes.
import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Secret } from "../../../src/bytes/Secret.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import {
  limits,
  requiredKeys,
  open,
  type RawNoise,
  type RawNoiseOptions
} from "../../../src/cli/debug/RawNoise.ts"
import { generate } from "../../../src/keys/KeyPair.ts"
import { HandshakeState } from "../../../src/noise/HandshakeState.ts"
import { patterns } from "../../../src/noise/Pattern.ts"
import { fromPattern } from "../../../src/noise/Protocol.ts"
import { tcp } from "../../../src/transports/Address.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { makeMemory } from "../../../src/transports/Memory.ts"
import { advanceUntilDone, withTimeout } from "../../../src/testing/steps.ts"

const none = new Uint8Array(0)

/** Opens a connection for the scope and returns both ends. */
const pair = (chunkBytes?: number) =>
  Effect.gen(function* () {
    const { connect, listen } = makeMemory(chunkBytes === undefined ? {} : { chunkBytes })
    const came = yield* Deferred.make<Connection>()
    const { address } = yield* listen(tcp("127.0.0.1", 0), (connection) =>
      Effect.zipRight(Deferred.succeed(came, connection), connection.draining)
    )
    const near = yield* connect(address)
    return [near, yield* Deferred.await(came)] as const
  })

/** The options of both sides of a pattern. */
const sides = (pattern: string): readonly [RawNoiseOptions, RawNoiseOptions] => {
  const protocol = fromPattern(pattern)
  const [a, b] = [generate(), generate()]
  const shared = {
    hello: "none" as const,
    protocol,
    prologue: Buffer.from("prologue"),
    psks: keys(protocol.psks)
  }
  return [
    {
      ...shared,
      initiator: true,
      staticKey: a,
      ...(requiredKeys(protocol, true).remoteStatic ? { remoteStatic: b.publicKey } : {})
    },
    {
      ...shared,
      initiator: false,
      staticKey: b,
      ...(requiredKeys(protocol, false).remoteStatic ? { remoteStatic: a.publicKey } : {})
    }
  ]
}
const keys = (count: number) => Array.from({ length: count }, () => Secret.random(32))

/** Runs the handshake and returns both sides. */
const meet = (pattern: string, chunkBytes?: number) =>
  Effect.gen(function* () {
    const [near, far] = yield* pair(chunkBytes)
    const [mine, theirs] = sides(pattern)
    const [initiator, responder] = yield* withTimeout(
      "the handshake",
      Effect.all([open(near, mine), open(far, theirs)], { concurrency: 2 })
    )
    return { initiator, responder, near, far }
  })

/** Sends a message and expects the peer to receive it. */
const passes = (from: RawNoise, to: RawNoise, message: Uint8Array) =>
  Effect.gen(function* () {
    const sending = yield* Effect.fork(from.send(message))
    const received = yield* withTimeout(`${message.length} bytes`, to.receive)
    yield* withTimeout("the write", Fiber.join(sending))
    expect(Buffer.from(received ?? "none").equals(message)).toBe(true)
  })

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flip(withTimeout("a refusal", effect))

/** Returns the defect of an effect. */
const fault = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  )

const modified = [...patterns.keys(), "NNpsk0", "IKpsk2", "XXpsk3", "Kpsk0", "XXpsk0+psk3"]

describe("every pattern", () => {
  it("has patterns to test", () => expect(modified.length).toBeGreaterThan(40))

  it.scoped.each(modified)(
    "%s: gives both sides one hash, and carries messages in its directions",
    (pattern) =>
      Effect.gen(function* () {
        const { initiator, responder } = yield* meet(pattern)
        expect(Buffer.from(initiator.handshakeHash).equals(responder.handshakeHash)).toBe(true)
        expect(
          [initiator.payloads, responder.payloads].flat().every(({ length }) => length === 0)
        ).toBe(true)
        yield* passes(initiator, responder, Buffer.from("there"))
        if (fromPattern(pattern).pattern.oneWay) {
          expect(yield* fault(responder.send(none))).toBeInstanceOf(TypeError)
          return
        }
        yield* passes(responder, initiator, Buffer.from("and back"))
      })
  )

  it.scoped.each(["NN", "IK", "XX", "X"])(
    "%s provides the static key of a peer that has one",
    (pattern) =>
      Effect.gen(function* () {
        const [near, far] = yield* pair()
        const [mine, theirs] = sides(pattern)
        const [initiator, responder] = yield* Effect.all([open(near, mine), open(far, theirs)], {
          concurrency: 2
        })
        const has = (role: boolean) => requiredKeys(mine.protocol, role).staticKey
        expect(initiator.remoteStatic).toEqual(has(false) ? theirs.staticKey?.publicKey : undefined)
        expect(responder.remoteStatic).toEqual(has(true) ? mine.staticKey?.publicKey : undefined)
      })
  )
})

describe.each([
  ["whole", undefined],
  ["in single bytes", 1]
])("messages that arrive %s", (_, chunkBytes) => {
  it.scoped("of every length arrive in order, both ways", () =>
    Effect.gen(function* () {
      const { initiator, responder } = yield* meet("XXpsk3", chunkBytes)
      for (const length of [0, 1, 100, limits.messageBytes - 1, limits.messageBytes]) {
        yield* passes(initiator, responder, randomBytes(length))
        yield* passes(responder, initiator, randomBytes(length))
      }
    })
  )

  it.scoped("end with undefined, and the other direction stays open", () =>
    Effect.gen(function* () {
      const { initiator, responder } = yield* meet("NN", chunkBytes)
      yield* initiator.send(Buffer.from("last"))
      yield* initiator.end
      expect(yield* withTimeout("the message", responder.receive)).toEqual(Buffer.from("last"))
      expect(yield* withTimeout("the end", responder.receive)).toBeUndefined()
      yield* passes(responder, initiator, Buffer.from("still here"))
    })
  )

  it.scoped("decrypt after both sides have rekeyed a direction, and not after one has", () =>
    Effect.gen(function* () {
      const { initiator, responder } = yield* meet("NN", chunkBytes)
      for (let round = 0; round < 3; round++) {
        yield* passes(initiator, responder, randomBytes(10))
        yield* initiator.rekey("send")
        yield* responder.rekey("receive")
        yield* passes(responder, initiator, randomBytes(10))
      }
      yield* responder.rekey("send")
      yield* responder.send(none)
      expect((yield* failure(initiator.receive))._tag).toBe("ChannelTampered")
    })
  )
})

it.scoped("rejects a message that is too long, and sends the next one", () =>
  Effect.gen(function* () {
    const { initiator, responder } = yield* meet("NN")
    expect(yield* fault(initiator.send(Buffer.alloc(limits.messageBytes + 1)))).toBeInstanceOf(
      RangeError
    )
    yield* passes(initiator, responder, Buffer.from("next"))
  })
)

describe("an invalid peer", () => {
  it.scoped.each([
    ["a frame that does not open", encodeFrame(randomBytes(40)), "ChannelTampered"],
    ["a frame too short for a tag", encodeFrame(randomBytes(15)), "ChannelTampered"],
    ["an empty frame", encodeFrame(none), "ChannelTampered"],
    ["half a length", Buffer.from([0]), "StreamTruncated"],
    ["a length without its frame", Buffer.from([0, 16]), "StreamTruncated"],
    [
      "a frame without its last byte",
      encodeFrame(randomBytes(65_535)).subarray(0, -1),
      "StreamTruncated"
    ]
  ] as const)("%s ends it", ([, bytes, tag]) =>
    Effect.gen(function* () {
      const { initiator, far } = yield* meet("NN")
      const writing = yield* Effect.fork(Effect.zipRight(far.write(bytes), far.end))
      expect((yield* failure(initiator.receive))._tag).toBe(tag)
      // The end that follows is not an orderly end.
      expect((yield* failure(initiator.receive))._tag).toBe(tag)
      yield* Fiber.interrupt(writing)
    })
  )

  it.scoped("that repeats a message fails", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair()
      const [mine, theirs] = sides("NN")
      const written: Array<Uint8Array> = []
      const tapped: Connection = {
        ...near,
        write: (bytes) =>
          Effect.zipRight(
            Effect.sync(() => written.push(bytes)),
            near.write(bytes)
          )
      }
      const [initiator, responder] = yield* Effect.all([open(tapped, mine), open(far, theirs)], {
        concurrency: 2
      })
      yield* initiator.send(Buffer.from("once"))
      yield* near.write(written.at(-1) ?? none)
      expect(yield* withTimeout("the first", responder.receive)).toEqual(Buffer.from("once"))
      expect((yield* failure(responder.receive))._tag).toBe("ChannelTampered")
    })
  )

  it.scoped("that sends against the direction of a one-way pattern fails", () =>
    Effect.gen(function* () {
      const { initiator, far } = yield* meet("N")
      yield* far.write(encodeFrame(randomBytes(20)))
      expect(yield* failure(initiator.receive)).toMatchObject({ _tag: "ChannelTampered" })
    })
  )

  it.scoped("that is cut off is reported", () =>
    Effect.gen(function* () {
      const { initiator, far } = yield* meet("NN")
      yield* far.abort
      expect(yield* failure(initiator.receive)).toMatchObject({
        _tag: "StreamTruncated",
        code: "ECONNRESET"
      })
      expect(yield* failure(initiator.send(none))).toMatchObject({ _tag: "StreamTruncated" })
    })
  )
})

describe("a handshake", () => {
  /** Returns the error of the responder after receiving only these bytes. */
  const against = (pattern: string, bytes: Uint8Array) =>
    Effect.gen(function* () {
      const [near, far] = yield* pair()
      const writing = yield* Effect.fork(Effect.zipRight(near.write(bytes), near.end))
      const refused = yield* failure(open(far, sides(pattern)[1]))
      yield* Fiber.interrupt(writing)
      return refused
    })

  it.scoped.each([
    ["nothing", none, "it closed the connection"],
    ["half a length", Buffer.from([0]), "it closed the connection"],
    ["a cut message", encodeFrame(randomBytes(48)).subarray(0, -1), "it closed the connection"],
    ["too short a message", encodeFrame(randomBytes(31)), "too short"],
    ["an empty message", encodeFrame(none), "too short"],
    ["a message that does not open", encodeFrame(randomBytes(48)), "decrypt failed"],
    ["the longest message", encodeFrame(randomBytes(65_535)), "decrypt failed"]
  ] as const)("of %s is refused", ([, bytes, reason]) =>
    Effect.gen(function* () {
      expect(yield* against("NNpsk0", bytes)).toMatchObject({ _tag: "HandshakeFailed", reason })
    })
  )

  it.scoped("with a low-order point fails", () =>
    Effect.gen(function* () {
      expect(yield* against("NK", encodeFrame(Buffer.alloc(48)))).toMatchObject({
        reason: "low-order point"
      })
    })
  )

  it.scoped("returns the payloads of the peer", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair()
      const [{ protocol, prologue = none, staticKey }, theirs] = sides("XX")
      const state = new HandshakeState({
        protocol,
        initiator: true,
        prologue,
        ...(staticKey === undefined ? {} : { s: staticKey })
      })
      const write = (text: string) =>
        near.write(encodeFrame(state.writeMessage(Buffer.from(text)) as Uint8Array))
      const responding = yield* Effect.fork(open(far, theirs))
      yield* write("for anybody")
      const second = (yield* withTimeout("message 2", near.read)) ?? none
      expect(state.readMessage(second.subarray(2))).toEqual(Buffer.alloc(0))
      yield* write("for you")
      const { payloads } = yield* withTimeout("the handshake", Fiber.join(responding))
      expect(payloads.map((bytes) => Buffer.from(bytes).toString())).toEqual([
        "for anybody",
        "for you"
      ])
    })
  )

  it.scoped.each(["XX", "NX", "NN"])(
    "of %s with a peer without the expected key fails",
    (pattern) =>
      Effect.gen(function* () {
        const [near, far] = yield* pair()
        const [mine, theirs] = sides(pattern)
        yield* Effect.fork(open(far, theirs))
        const refused = yield* failure(open(near, { ...mine, remoteStatic: generate().publicKey }))
        expect(refused).toMatchObject({
          _tag: "HandshakeFailed",
          reason: expect.stringContaining("static key")
        })
      })
  )

  it.scoped("with another static key than expected stops before this side sends its own", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair()
      const [mine, theirs] = sides("XX")
      const responding = yield* Effect.fork(open(far, theirs))
      yield* failure(open(near, { ...mine, remoteStatic: generate().publicKey }))
      yield* near.end
      expect(yield* failure(Fiber.join(responding))).toMatchObject({
        reason: "it closed the connection"
      })
    })
  )

  it.scoped("without a required key throws", () =>
    Effect.gen(function* () {
      const [near] = yield* pair()
      for (const pattern of ["XX", "NK", "NNpsk0"])
        expect(
          yield* fault(
            open(near, { hello: "none", protocol: fromPattern(pattern), initiator: true })
          )
        ).toBeInstanceOf(TypeError)
    })
  )

  it.scoped("with a silent peer ends at its deadline", () =>
    Effect.gen(function* () {
      const [near] = yield* pair()
      const opening = yield* Effect.fork(Effect.flip(open(near, sides("NN")[0])))
      expect(yield* advanceUntilDone("the deadline", opening)).toMatchObject({
        _tag: "HandshakeFailed",
        reason: "timed out"
      })
    })
  )
})

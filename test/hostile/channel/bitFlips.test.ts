// Changes every bit of hello and handshake: no session opens.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect, it as effectIt } from "@effect/vitest"
import type { Secret } from "../../../src/bytes/Secret.ts"
import * as Channel from "../../../src/channel/Channel.ts"
import type { PrologueFields } from "../../../src/channel/HandshakeKeys.ts"
import * as Hello from "../../../src/channel/Hello.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import { allSuites, type Suite } from "../../../src/channel/Suite.ts"
import { HandshakeState } from "../../../src/noise/HandshakeState.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { application } from "../../../src/services/Service.ts"
import {
  prologueFields,
  alice,
  respondTo,
  clientKeys,
  layerFasterClock,
  psk,
  server as serverPair,
  serverKeys,
  anyPort
} from "../../channel/rig.ts"
import { it } from "../../cli/Sealwire.ts"
import { sample, sampled } from "../../fixtures/sample.ts"
import { withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import { startTarget, sharedKey, connectAttacker } from "./TargetServer.ts"

/** Flips one bit of the outgoing stream. */
const flipping = <C extends Connection>(connection: C, bit: number | undefined): C => {
  let at = 0
  const changed = (bytes: Uint8Array): Uint8Array => {
    const copy = Buffer.from(bytes)
    const index = bit === undefined ? -1 : (bit >> 3) - at
    at += bytes.length
    if (bit !== undefined && index >= 0 && index < copy.length)
      copy.writeUInt8(copy.readUInt8(index) ^ (1 << (bit & 7)), index)
    return copy
  }
  return {
    ...connection,
    write: (bytes) => Effect.suspend(() => connection.write(changed(bytes))),
    flow: { ...connection.flow, write: (bytes) => connection.flow.write(changed(bytes)) }
  }
}

/** Runs a handshake with one flipped bit. Returns the sides that have a session. */
const handshake = (suite: Suite, side: "client" | "server", bit: number | undefined) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    let served: boolean | undefined
    const { address } = yield* transport.listen(anyPort, (connection) =>
      Channel.accept(flipping(connection, side === "server" ? bit : undefined), serverKeys).pipe(
        Effect.flatMap((channel) => Effect.zipRight(channel.end, channel.read)),
        Effect.isSuccess,
        Effect.map((success) => {
          served = success
        })
      )
    )
    const connected = yield* Effect.gen(function* () {
      const connection = flipping(
        yield* transport.connect(address),
        side === "client" ? bit : undefined
      )
      const channel = yield* Channel.connect(connection, clientKeys(suite))
      yield* channel.end
      yield* channel.read
    }).pipe(Effect.scoped, Effect.isSuccess, (running) => withTimeout("the client", running))
    yield* waitUntil("the server", () => served !== undefined)
    return { served, connected }
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Transport.layerMemory())))

const flipped = (bytes: Uint8Array, bit: number): Buffer => {
  const changed = Buffer.from(bytes)
  changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return changed
}

/** Hello and message 1. */
const firstOf = (suite: Suite, names: PrologueFields, psk: Secret): Buffer => {
  const hello = Hello.encode(suite)
  const message = new HandshakeState({
    protocol: suite.protocol,
    initiator: true,
    prologue: Hello.prologue(hello, names.serverName, names.application),
    psks: suite.hasSharedKey ? [psk] : [],
    ...(suite.hasIdentities ? { s: alice } : {}),
    ...(suite.hasServerKey ? { rs: serverPair.publicKey } : {})
  }).writeMessage(new Uint8Array(0))
  if (typeof message === "string") throw new Error(message)
  return Buffer.concat([hello, encodeFrame(message)])
}

/**
 * The number of bytes of hello and handshake of a side. READY is a record; streams.test.ts tests
 * those.
 */
const bytesOf = (suite: Suite, side: "client" | "server"): number =>
  suite.lengths
    .filter((_, index) => (index % 2 === 0) === (side === "client"))
    .reduce((sum, length) => sum + 2 + length, side === "client" ? 8 : 0)

const bitsOf = (bytes: number): ReadonlyArray<number> =>
  Array.from({ length: bytes * 8 }, (_, bit) => bit)

describe.each(allSuites)("$name in process", (suite) => {
  if (suite.lengths.length === 2)
    effectIt.effect(
      sampled("rejects any flipped bit of hello and message 1 without an answer"),
      () =>
        Effect.gen(function* () {
          const first = firstOf(suite, prologueFields, psk)
          expect(first.length).toBe(bytesOf(suite, "client"))
          const answer = (bytes: Uint8Array) => {
            const { session, answered } = respondTo(bytes)
            return [typeof session, answered]
          }
          expect(answer(first)).toEqual(["object", 2 + suite.lengths[1]])
          for (const bit of sample(bitsOf(first.length), 150))
            expect(answer(flipped(first, bit))).toEqual(["string", 0])
        })
    )

  const sides = suite.lengths.length === 2 ? (["server"] as const) : (["client", "server"] as const)
  effectIt.scopedLive.each(sides)(
    sampled("rejects any flipped bit of the handshake of the %s"),
    (side) =>
      Effect.gen(function* () {
        expect(yield* handshake(suite, side, undefined)).toEqual({ served: true, connected: true })
        const deceived = yield* Effect.filter(
          sample(bitsOf(bytesOf(suite, side)), 60),
          // With different hashes the next message of either side fails, so no session opens.
          (bit) =>
            Effect.map(
              handshake(suite, side, bit),
              ({ served, connected }) => served === true || connected
            ),
          { concurrency: 64 }
        )
        expect(deceived).toEqual([])
      }).pipe(Effect.provide(layerFasterClock(10)))
  )
})

describe("the command", () => {
  it(
    sampled("answers no flipped hello and message 1, opens no session, and keeps serving"),
    async ({ box }) => {
      const { server, port, events, sendHonestly } = await startTarget(box)
      await sendHonestly("before")
      const first = () => firstOf(allSuites[0], { serverName: "", application }, sharedKey)
      // The unchanged message is answered, so the changed ones could have been.
      const honestFirst = await connectAttacker(box, port)
      honestFirst.socket.write(first())
      await new Promise((answered) => honestFirst.socket.once("data", answered))
      honestFirst.socket.destroy()

      expect(first().length).toBe(58)
      const bits = sample(bitsOf(58), 120)
      const outcomes = await Promise.all(
        bits.map(async (bit) => {
          // Stays below the limit of connections per source.
          const { socket, outcome } = await connectAttacker(box, port, `127.0.0.${2 + (bit % 16)}`)
          socket.write(flipped(first(), bit))
          return outcome
        })
      )
      expect(outcomes.map(({ bytes }) => bytes)).toEqual(outcomes.map(() => 0))
      await server.until("every refusal", () => events("connection-refused").length >= bits.length)
      expect(events("session-started").length).toBe(1)
      await sendHonestly("after")
    }
  )
})

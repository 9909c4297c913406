// PROTOCOL.md section 15: the handshakes, records and rekeys of every suite, in both directions.
import { describe, expect, it } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { RecordType } from "../../src/channel/ChannelRecord.ts"
import { encodeClose } from "../../src/channel/Close.ts"
import { encodeFin } from "../../src/channel/ChannelRecord.ts"
import { encodeFrame } from "../../src/channel/Frame.ts"
import * as Hello from "../../src/channel/Hello.ts"
import { Inbound } from "../../src/channel/Inbound.ts"
import { protocolLimits } from "../../src/channel/limits.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none, type Padding } from "../../src/channel/Padding.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import { fromPrivate, type KeyPair } from "../../src/keys/KeyPair.ts"
import { CipherState } from "../../src/noise/CipherState.ts"
import { HandshakeState } from "../../src/noise/HandshakeState.ts"
import { isNoiseError } from "../../src/noise/NoiseError.ts"
import { fromHex, toHex, wire, type SuiteVector } from "../vectors/wire.ts"

const nothing = new Uint8Array(0)

const keyPair = (secret: string): KeyPair => fromPrivate(new Secret(fromHex(secret)))

const suiteOf = (vector: SuiteVector) => {
  const suite = allSuites.find(({ id }) => id === vector.suite)
  if (suite === undefined) throw new Error(`no suite ${vector.suite}`)
  return suite
}

const prologueOf = (vector: SuiteVector) =>
  Hello.prologue(Hello.encode(suiteOf(vector)), vector["server name"], vector.application)

/** One side of the vector's handshake, with its fixed ephemeral. */
const handshake = (vector: SuiteVector, side: "client" | "server"): HandshakeState => {
  const suite = suiteOf(vector)
  const own = vector[`${side} static`]
  const serverStatic = vector["server static"]
  return new HandshakeState({
    protocol: suite.protocol,
    initiator: side === "client",
    prologue: prologueOf(vector),
    e: keyPair(vector[`${side} ephemeral`]),
    psks: vector.psk === null ? [] : [new Secret(fromHex(vector.psk))],
    ...(own === null ? {} : { s: keyPair(own) }),
    ...(side === "client" && suite.hasServerKey && serverStatic !== null
      ? { rs: keyPair(serverStatic).publicKey }
      : {})
  })
}

/** Writes or reads each frame in turn; returns the frames that this side wrote. */
const run = (vector: SuiteVector, side: "client" | "server") => {
  const state = handshake(vector, side)
  const frames = vector["handshake frames"].map((expected) => {
    if (state.myTurn) {
      const message = state.writeMessage(nothing)
      if (isNoiseError(message)) throw new Error(message)
      return toHex(encodeFrame(message))
    }
    const payload = state.readMessage(fromHex(expected).subarray(2))
    if (isNoiseError(payload)) throw new Error(payload)
    expect(payload.length).toBe(0)
    return expected
  })
  const keys = state.split()
  if (typeof keys === "string") throw new Error(keys)
  return { frames, keys, hash: toHex(state.handshakeHash) }
}

const text = "Hello Server!"
const message = Buffer.concat([
  Buffer.from([0, 0, 0, text.length]),
  fromHex("000102030405060708090a0b0c0d0e0f"),
  Buffer.from(text)
])
const receipt = fromHex("000000000000000001")

interface RecordVector {
  readonly type: RecordType
  readonly body: Uint8Array
  readonly padding?: Padding
}

/** The records of one side, by the labels of the vector: pairing (suite 6) has no DATA. */
const recordsOf = (vector: SuiteVector, side: "client" | "server"): ReadonlyArray<RecordVector> => {
  const isPairing = vector.suite === 6
  const sent = message.length
  const received = receipt.length
  const opening = side === "client" && !isPairing ? "message" : ""
  const records: Readonly<Record<string, RecordVector>> = {
    READY: { type: RecordType.Ready, body: Buffer.from(opening) },
    DATA: { type: RecordType.Data, body: side === "client" ? message : receipt },
    PING: { type: RecordType.Ping, body: nothing, padding: { _tag: "Block", bytes: 64 } },
    PONG: { type: RecordType.Pong, body: nothing },
    FIN: { type: RecordType.Fin, body: encodeFin(sent) },
    CLOSE: { type: RecordType.Close, body: encodeClose({ code: 0, sent, received }) }
  }
  return vector[`${side} records`].map(([label]) => {
    const record = records[/^[A-Z]+/.exec(label)?.[0] ?? ""]
    if (record === undefined) throw new Error(`unknown record: ${label}`)
    return record
  })
}

/** Seals one record with the cipher and its counter as they are. */
const seal = (cipher: CipherState, type: RecordType, body: Uint8Array, padding = none): string => {
  const written: Array<Uint8Array> = []
  const outbound = new Outbound(cipher, padding, (bytes) => {
    written.push(Buffer.from(bytes))
    return true
  })
  if (type === RecordType.Data) outbound.data(body)
  else outbound.record(type, body)
  outbound.flush()
  return toHex(Buffer.concat(written))
}

it("has vectors for every suite", () => {
  expect(new Set(wire.suites.map(({ suite }) => suite))).toEqual(
    new Set(allSuites.map(({ id }) => id))
  )
})

describe.each(wire.suites.map((vector, index) => ({ vector, index })))(
  "suite $vector.suite (vector $index)",
  ({ vector }) => {
    it("is the Noise protocol of the paper, with hello and prologue byte for byte", () => {
      const suite = suiteOf(vector)
      expect(suite.protocol.name).toBe(vector.noise)
      expect(toHex(Hello.encode(suite))).toBe(vector.hello)
      expect(Hello.decode(fromHex(vector.hello))).toBe(suite)
      expect(toHex(prologueOf(vector))).toBe(vector.prologue)
    })

    it.each(["client", "server"] as const)("the %s writes and reads its handshake", (side) => {
      const { frames, hash } = run(vector, side)
      expect(frames).toEqual(vector["handshake frames"])
      expect(hash).toBe(vector["handshake hash"])
    })

    it.each(["client", "server"] as const)("the %s writes its records", (side) => {
      const cipher = run(vector, side).keys.send
      const written = recordsOf(vector, side).map(({ type, body, padding }) =>
        seal(cipher, type, body, padding)
      )
      expect(written).toEqual(vector[`${side} records`].map(([, frame]) => frame))
    })

    it.each(["client", "server"] as const)("the records of the %s are read", (side) => {
      const { keys } = run(vector, side === "client" ? "server" : "client")
      const inbound = new Inbound(keys.receive)
      const read: Array<readonly [number, string]> = []
      for (const [, frame] of vector[`${side} records`])
        expect(
          inbound.push(fromHex(frame), ({ type, body }) => read.push([type, toHex(body)]))
        ).toBeUndefined()
      expect(read).toEqual(recordsOf(vector, side).map(({ type, body }) => [type, toHex(body)]))
    })

    it("the first rekey yields the key of the vector", () => {
      const old = new CipherState(fromHex(vector["client to server key"]))
      old.setNonce(BigInt(protocolLimits.recordsPerKey))
      old.rekey()
      const next = new CipherState(fromHex(vector["client to server key after 65536 records"]))
      next.setNonce(BigInt(protocolLimits.recordsPerKey))
      const frame = vector["client record number 65536 (from 0): PING"]
      expect(seal(old, RecordType.Ping, nothing)).toBe(frame)
      expect(seal(next, RecordType.Ping, nothing)).toBe(frame)
    })
  }
)

it("rekeys after 65,536 records on both sides, counted from READY", () => {
  const [vector] = wire.suites as readonly [SuiteVector]
  const written: Array<Uint8Array> = []
  const outbound = new Outbound(run(vector, "client").keys.send, none, (bytes) => {
    written.push(Buffer.from(bytes))
    return true
  })
  for (const { type, body } of recordsOf(vector, "client").slice(0, 1)) outbound.record(type, body)
  for (let count = 1; count <= protocolLimits.recordsPerKey; count++) {
    outbound.record(RecordType.Ping)
    outbound.flush()
  }
  const bytes = Buffer.concat(written)
  expect(toHex(bytes.subarray(-21))).toBe(vector["client record number 65536 (from 0): PING"])
  let read = 0
  expect(
    new Inbound(run(vector, "server").keys.receive).push(bytes, () => void read++)
  ).toBeUndefined()
  expect(read).toBe(protocolLimits.recordsPerKey + 1)
})

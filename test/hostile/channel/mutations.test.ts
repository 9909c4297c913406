// Ten thousand mutated handshake messages and records: none is accepted, nothing crashes, memory
// stays bounded.
import { randomInt } from "node:crypto"
import { describe, expect, it } from "vitest"
import * as Hello from "../../../src/channel/Hello.ts"
import { Inbound } from "../../../src/channel/Inbound.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import { Outbound } from "../../../src/channel/Outbound.ts"
import { none as noPadding } from "../../../src/channel/Padding.ts"
import { RecordType } from "../../../src/channel/ChannelRecord.ts"
import { allSuites } from "../../../src/channel/Suite.ts"
import { Secret } from "../../../src/bytes/Secret.ts"
import { CipherState } from "../../../src/noise/CipherState.ts"
import { HandshakeState } from "../../../src/noise/HandshakeState.ts"
import { prologueFields, alice, respondTo, psk, server } from "../../channel/rig.ts"

const MiB = 1024 * 1024

/** Mutates bytes: flips bits, inserts or removes bytes, repeats a part, or swaps two. */
const mutated = (bytes: Uint8Array): Uint8Array => {
  const before = Buffer.from(bytes)
  const at = randomInt(before.length)
  const end = at + 1 + randomInt(Math.min(16, before.length - at))
  const parts = [before.subarray(0, at), before.subarray(at, end), before.subarray(end)] as const
  const changes: ReadonlyArray<() => Buffer> = [
    () => {
      const copy = Buffer.from(before)
      copy.writeUInt8(copy.readUInt8(at) ^ (1 << randomInt(8)), at)
      return copy
    },
    () => {
      const copy = Buffer.from(before)
      for (let index = at; index < end; index++) copy[index] = randomInt(256)
      return copy
    },
    () => Buffer.concat([parts[0], parts[2], Buffer.alloc(16)]),
    () => Buffer.concat([parts[0], parts[1], parts[1], parts[2]]),
    () => Buffer.concat([parts[0], Buffer.from(parts[1]).reverse(), parts[2]]),
    () => Buffer.concat([parts[2], parts[1], parts[0]]),
    () => Buffer.alloc(before.length, randomInt(256))
  ]
  for (;;) {
    const after = (changes[randomInt(changes.length)] as () => Buffer)()
    // A difference after the message only does not change it.
    if (!after.subarray(0, before.length).equals(before)) return after
  }
}

describe("handshake messages", () => {
  const rounds = 10_000
  // The suites whose message 1 proves a key; in XX that is message 3, which bitFlips tests.
  it.each(allSuites.filter(({ hasSharedKey, hasServerKey }) => hasSharedKey || hasServerKey))(
    "of $name: no mutation is answered",
    async (suite) => {
      const messages = Array.from({ length: 20 }, () => {
        const hello = Hello.encode(suite)
        const message = new HandshakeState({
          protocol: suite.protocol,
          initiator: true,
          prologue: Hello.prologue(hello, prologueFields.serverName, prologueFields.application),
          psks: suite.hasSharedKey ? [psk] : [],
          ...(suite.hasIdentities ? { s: alice } : {}),
          ...(suite.hasServerKey ? { rs: server.publicKey } : {})
        }).writeMessage(new Uint8Array(0))
        if (typeof message === "string") throw new Error(message)
        return Buffer.concat([hello, encodeFrame(message)])
      })
      const treat = async (bytes: Uint8Array) => {
        // An exception would be a crash.
        const { answered } = respondTo(bytes)
        return answered
      }
      for (const message of messages) expect(await treat(message)).toBe(2 + suite.lengths[1])
      let answered = 0
      let before = 0
      for (let round = 0; round < rounds / 4; round++) {
        if (round === 500) before = process.memoryUsage().rss
        answered += await treat(mutated(messages[round % messages.length] as Buffer))
      }
      expect(answered).toBe(0)
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * MiB)
    }
  )
})

describe("records", () => {
  it("no mutation is accepted", () => {
    const key = Secret.random(32).expose()
    const wires = [1, 20, 300, 5000].map((length) => {
      let wire: Uint8Array = Buffer.alloc(0)
      const out = new Outbound(new CipherState(key), noPadding, (bytes) => {
        wire = bytes
        return true
      })
      out.record(RecordType.Control, Buffer.alloc(Math.min(length, 4096), 7))
      out.flush()
      return wire
    })
    const taken = (wire: Uint8Array): number => {
      let records = 0
      const inbound = new Inbound(new CipherState(key))
      const broken = inbound.push(wire, () => records++)
      // The error is final: a valid record that follows is not read.
      if (broken !== undefined && wires[0] !== undefined) inbound.push(wires[0], () => records++)
      return records
    }
    for (const wire of wires) expect(taken(wire)).toBe(1)
    let records = 0
    let before = 0
    for (let round = 0; round < 10_000; round++) {
      if (round === 1000) before = process.memoryUsage().rss
      records += taken(mutated(wires[round % wires.length] as Uint8Array))
    }
    expect(records).toBe(0)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MiB)
  })
})

// Outbound and Inbound without a connection: Inbound opens the frames of Outbound in chunks of any
// size, and nothing else.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import { Inbound } from "../../src/channel/Inbound.ts"
import { encodeFrame } from "../../src/channel/Frame.ts"
import { limits, protocolLimits } from "../../src/channel/limits.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none as noPadding, paddedLength, type Padding } from "../../src/channel/Padding.ts"
import {
  encodeFin,
  encodeHeader,
  headerBytes,
  RecordType,
  type ChannelRecord
} from "../../src/channel/ChannelRecord.ts"
import { CipherState, tagLen } from "../../src/noise/CipherState.ts"
import { cipherPair } from "./rig.ts"

const none = new Uint8Array(0)

/** An Outbound, and the bytes that it has written. */
const outbound = (cipher: CipherState, padding: Padding = noPadding) => {
  const handed: Array<Uint8Array> = []
  return {
    out: new Outbound(cipher, padding, (bytes) => handed.push(bytes) > 0),
    handed,
    wire: () => Buffer.concat(handed)
  }
}

/** The records of an Inbound, and the violation that ended it. */
const opened = (cipher: CipherState, chunks: Iterable<Uint8Array>) => {
  const inbound = new Inbound(cipher)
  const records: Array<ChannelRecord> = []
  let broken: string | undefined
  for (const chunk of chunks) broken = inbound.push(chunk, (record) => records.push(record))
  return { records, broken }
}

/** Splits bytes into chunks of these lengths, repeatedly. */
const cut = (bytes: Uint8Array, lengths: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] as number
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}

type Act = { readonly data: number } | { readonly control: number } | "flush" | "ping"

const acts: FastCheck.Arbitrary<ReadonlyArray<Act>> = FastCheck.array(
  FastCheck.oneof(
    { weight: 5, arbitrary: FastCheck.record({ data: FastCheck.nat(300) }) },
    {
      weight: 1,
      arbitrary: FastCheck.record({ data: FastCheck.integer({ min: 60_000, max: 200_000 }) })
    },
    {
      weight: 2,
      arbitrary: FastCheck.record({
        control: FastCheck.integer({ min: 1, max: protocolLimits.controlBytes })
      })
    },
    FastCheck.constantFrom<Act>("flush", "ping")
  ),
  { minLength: 1, maxLength: 12 }
)

const paddings: FastCheck.Arbitrary<Padding> = FastCheck.oneof(
  FastCheck.constantFrom<Padding>({ _tag: "None" }, { _tag: "Padme" }),
  FastCheck.integer({ min: 1, max: 5000 }).map((bytes): Padding => ({ _tag: "Block", bytes }))
)

let filler = 0
const filled = (length: number): Uint8Array => Buffer.alloc(length, ++filler & 0xff)

describe("Outbound", () => {
  it.prop(
    "is opened by Inbound in order, in chunks of any size",
    {
      acts,
      padding: paddings,
      pieces: FastCheck.array(
        FastCheck.oneof(
          FastCheck.integer({ min: 1, max: 40 }),
          FastCheck.integer({ min: 1, max: 100_000 })
        ),
        {
          minLength: 1,
          maxLength: 5
        }
      )
    },
    ({ acts, padding, pieces }) => {
      const [send, receive] = cipherPair()
      const { out, wire } = outbound(send, padding)
      /** The stream, with the other records as marks in it. */
      const expected: Array<string> = []
      for (const act of acts) {
        if (act === "flush") out.flush()
        else if (act === "ping") {
          out.record(RecordType.Ping)
          expected.push("<ping>")
        } else if ("data" in act) {
          const bytes = filled(act.data)
          out.data(bytes)
          expected.push(Buffer.from(bytes).toString("latin1"))
        } else {
          const body = filled(act.control)
          out.record(RecordType.Control, body)
          expected.push(`<${Buffer.from(body).toString("latin1")}>`)
        }
      }
      out.flush()
      expect(out.pendingBytes).toBe(0)

      const { records, broken } = opened(receive, cut(wire(), pieces))
      expect(broken).toBeUndefined()
      const got = records.map(({ type, body }) => {
        const text = Buffer.from(body).toString("latin1")
        return type === RecordType.Data ? text : type === RecordType.Ping ? "<ping>" : `<${text}>`
      })
      expect(got.join("") === expected.join("")).toBe(true)
    },
    { fastCheck: { numRuns: 60 } }
  )

  it("packs the writes of one turn into the fewest records, at most eight per write", () => {
    const [send, receive] = cipherPair()
    const { out, handed, wire } = outbound(send)
    for (let part = 0; part < 1000; part++) out.data(filled(100))
    expect(handed.length).toBe(0)
    out.flush()
    expect(opened(receive, [wire()]).records.map(({ body }) => body.length)).toEqual([
      protocolLimits.bodyBytes,
      100_000 - 65_516
    ])

    handed.length = 0
    out.data(filled(20 * protocolLimits.bodyBytes))
    // Before any flush: the pending bytes are bounded.
    expect(handed.map(({ length }) => length)).toEqual(
      [8, 8, 4].map((records) => records * (2 + protocolLimits.messageBytes))
    )
    expect(out.pendingBytes).toBe(0)
  })

  it("keeps less than a full write until the flush", () => {
    const [send] = cipherPair()
    const { out } = outbound(send)
    for (let part = 0; part < 10_000; part++) {
      out.data(filled(977))
      expect(out.pendingBytes).toBeLessThan(limits.recordsPerWrite * protocolLimits.bodyBytes)
    }
  })

  it.prop(
    "pads each record to the length of its policy",
    { padding: paddings, length: FastCheck.integer({ min: 1, max: protocolLimits.bodyBytes }) },
    ({ padding, length }) => {
      const { out, wire } = outbound(cipherPair()[0], padding)
      out.data(filled(length))
      out.flush()
      expect(wire().length).toBe(2 + paddedLength(padding, headerBytes + length) + tagLen)
      expect(wire().readUInt16BE(0)).toBe(wire().length - 2)
    },
    { fastCheck: { numRuns: 50 } }
  )

  it("sends nothing for an empty write", () => {
    const { out, wire } = outbound(cipherPair()[0])
    out.data(none)
    out.flush()
    expect(wire().length).toBe(0)
  })
})

describe("rekey", () => {
  // 21 bytes a record: header and tag.
  const pings = (cipher: CipherState, count: number): ReadonlyArray<Buffer> => {
    const { out, handed } = outbound(cipher)
    for (let record = 0; record < count; record++) {
      out.record(RecordType.Ping)
      out.flush()
    }
    return handed.map((bytes) => Buffer.from(bytes))
  }

  it("happens after every 65,536 records, on both sides", { timeout: 30_000 }, () => {
    const key = Secret.random(32).expose()
    const wire = pings(new CipherState(key), 2 * protocolLimits.recordsPerKey + 3)
    const all = opened(new CipherState(key), wire)
    expect([all.broken, all.records.length]).toEqual([
      undefined,
      2 * protocolLimits.recordsPerKey + 3
    ])

    // Opens the last record of the first key and the first of the second by hand.
    const byHand = new CipherState(key)
    byHand.setNonce(65_535n)
    expect(byHand.decryptWithAd(none, (wire[65_535] as Buffer).subarray(2))).toEqual(
      Buffer.from([RecordType.Ping, 0, 0])
    )
    // n is not reset.
    expect(byHand.n).toBe(65_536n)
    const stale = new CipherState(key)
    stale.setNonce(65_536n)
    expect(stale.decryptWithAd(none, (wire[65_536] as Buffer).subarray(2))).toBe("decrypt failed")
    byHand.rekey()
    expect(byHand.decryptWithAd(none, (wire[65_536] as Buffer).subarray(2))).toEqual(
      Buffer.from([RecordType.Ping, 0, 0])
    )
  })
})

describe("Inbound", () => {
  /** A valid frame with this plaintext. */
  const sealed = (cipher: CipherState, plaintext: Uint8Array): Uint8Array => {
    const message = cipher.encryptWithAd(none, plaintext)
    if (typeof message === "string") throw new Error(message)
    return encodeFrame(message)
  }
  const plaintext = (type: number, length: number, body: Uint8Array): Uint8Array => {
    const bytes = Buffer.concat([Buffer.alloc(headerBytes), body])
    encodeHeader(bytes, 0, type as RecordType, length)
    return bytes
  }

  const malformed: ReadonlyArray<readonly [name: string, bytes: Uint8Array]> = [
    ["a type that is none", plaintext(0, 0, none)],
    ["a type from the future", plaintext(17, 1, filled(1))],
    ["a READY that is too long", plaintext(RecordType.Ready, 256, filled(256))],
    ["a DATA without one", plaintext(RecordType.Data, 0, none)],
    ["a DATA that is longer than its record", plaintext(RecordType.Data, 11, filled(10))],
    ["a FIN of seven bytes", plaintext(RecordType.Fin, 7, filled(7))],
    ["a FIN of nine bytes", plaintext(RecordType.Fin, 9, filled(9))],
    ["a CLOSE of sixteen bytes", plaintext(RecordType.Close, 16, filled(16))],
    ["a PING with a body", plaintext(RecordType.Ping, 1, filled(1))],
    ["a PONG with a body", plaintext(RecordType.Pong, 1, filled(1))],
    ["a CONTROL without one", plaintext(RecordType.Control, 0, none)],
    ["a CONTROL that is too long", plaintext(RecordType.Control, 4097, filled(4097))]
  ]

  it.each(malformed)("ends at %s and reads nothing after it", (_, bytes) => {
    for (const pieces of [[1], [7], [100_000]]) {
      const [send, receive] = cipherPair()
      const before = sealed(send, plaintext(RecordType.Data, 4, Buffer.from("good")))
      const wire = Buffer.concat([
        before,
        sealed(send, bytes),
        sealed(send, plaintext(RecordType.Ping, 0, none))
      ])
      const { records, broken } = opened(receive, cut(wire, pieces))
      expect(records).toEqual([{ type: RecordType.Data, body: Buffer.from("good") }])
      expect(broken).toBe("a malformed record")
    }
  })

  it("ends at a frame of fewer than 19 bytes, whole or in pieces", () => {
    for (let length = 0; length < headerBytes + tagLen; length++)
      for (const pieces of [[1], [2], [100]]) {
        const { records, broken } = opened(
          cipherPair()[1],
          cut(encodeFrame(Buffer.alloc(length)), pieces)
        )
        expect([records.length, broken]).toEqual([0, "a frame that is too short"])
      }
  })

  it("detects any changed bit of a frame", () => {
    const key = Secret.random(32).expose()
    const { out, wire } = outbound(new CipherState(key), { _tag: "Block", bytes: 32 })
    out.record(RecordType.Fin, encodeFin(1))
    out.flush()
    expect(opened(new CipherState(key), [wire()]).records.length).toBe(1)
    const frame = wire()
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const changed = Buffer.concat([frame, Buffer.alloc(65_535)])
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      const { records, broken } = opened(new CipherState(key), [changed])
      expect(records.length).toBe(0)
      // A frame longer than the input would wait for the rest; here the rest is present.
      expect(broken).toBeDefined()
    }
  })

  it("waits for the rest of an incomplete frame", () => {
    const key = Secret.random(32).expose()
    const { out, wire } = outbound(new CipherState(key))
    out.record(RecordType.Ping)
    out.flush()
    for (let length = 0; length < wire().length; length++)
      expect(opened(new CipherState(key), [wire().subarray(0, length)])).toEqual({
        records: [],
        broken: undefined
      })
  })
})

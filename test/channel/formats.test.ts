// The formats of the channel: hello, suites, records, padding.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { readFileSync } from "node:fs"
import * as Close from "../../src/channel/Close.ts"
import * as Hello from "../../src/channel/Hello.ts"
import { protocolLimits } from "../../src/channel/limits.ts"
import { paddedLength, parse, type Padding } from "../../src/channel/Padding.ts"
import * as ChannelRecord from "../../src/channel/ChannelRecord.ts"
import {
  allSuites,
  credentialsOf,
  pairingSuite,
  suiteFor,
  suiteNamed,
  suites
} from "../../src/channel/Suite.ts"
import { HandshakeState } from "../../src/noise/HandshakeState.ts"
import { alice, psk, server } from "./rig.ts"

const none = new Uint8Array(0)

describe("the list of suites", () => {
  it("is the table of PROTOCOL.md section 2", () => {
    const paper = readFileSync(new URL("../../src/channel/PROTOCOL.md", import.meta.url), "utf8")
    const rows = [...paper.matchAll(/^\| (\d+) \| `(Noise_\w+)` \|.*\| ([\d, ]+) \|$/gm)]
    expect(rows.map(([, id, name, lengths]) => [Number(id), name, lengths])).toEqual(
      allSuites.map(({ id, protocol, lengths }) => [id, protocol.name, lengths.join(", ")])
    )
  })
  it("has distinct ids and names, and one suite for pairing", () => {
    expect(new Set(allSuites.map(({ id }) => id)).size).toBe(allSuites.length)
    expect(new Set(allSuites.map(({ name }) => name)).size).toBe(allSuites.length)
    expect(allSuites.filter((suite) => !suites.includes(suite))).toEqual([pairingSuite])
  })

  it.each(allSuites)("$name: has the message lengths of its Noise protocol", (suite) => {
    const state = (initiator: boolean) =>
      new HandshakeState({
        protocol: suite.protocol,
        initiator,
        prologue: none,
        psks: suite.hasSharedKey ? [psk] : [],
        ...(suite.hasIdentities ? { s: initiator ? alice : server } : {}),
        ...(suite.hasServerKey && initiator ? { rs: server.publicKey } : {})
      })
    const [init, resp] = [state(true), state(false)]
    const lengths: Array<number> = []
    while (!init.finished) {
      const [from, to] = init.myTurn ? [init, resp] : [resp, init]
      const message = from.writeMessage(none)
      if (typeof message === "string") throw new Error(message)
      expect(to.readMessage(message)).toEqual(Buffer.alloc(0))
      lengths.push(message.length)
    }
    expect(lengths).toEqual(suite.lengths)
  })

  it.each(suites)("$name is selected by its keys", (suite) =>
    expect(
      suiteFor(credentialsOf(suite.hasIdentities, suite.hasSharedKey), suite.hasServerKey)
    ).toBe(suite)
  )
  it.each(["identity", "sharedKey", "both"] as const)("%s selects a suite of servers", (held) => {
    for (const hasServerKey of [false, true]) expect(suites).toContain(suiteFor(held, hasServerKey))
  })
})

describe("the hello", () => {
  it("is the eight bytes of PROTOCOL.md section 3", () =>
    expect(allSuites.map((suite) => Buffer.from(Hello.encode(suite)).toString("hex"))).toEqual(
      allSuites.map(({ id }) => `534c575201${id.toString(16).padStart(2, "0")}0000`)
    ))

  it.each(allSuites)(
    "of $name is decoded, and a changed bit makes it invalid or another suite",
    (suite) => {
      const hello = Hello.encode(suite)
      expect(Hello.decode(hello)).toBe(suite)
      expect(Hello.firstMessageLength(hello)).toBe(suite.lengths[0])
      for (let bit = 0; bit < hello.length * 8; bit++) {
        const changed = Buffer.from(hello)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        const other = Hello.decode(changed)
        expect(other).not.toBe(suite)
        // The suite byte then names another suite; the prologue differs, so the handshake fails.
        expect(other === undefined || bit >> 3 === 5).toBe(true)
        expect(Hello.prologue(changed, "", "")).not.toEqual(Hello.prologue(hello, "", ""))
      }
    }
  )

  it.prop(
    "with any other bytes is invalid",
    { hello: FastCheck.uint8Array({ maxLength: 16 }) },
    ({ hello }) => {
      expect(Hello.decode(hello)).toBeUndefined()
    }
  )

  it("of an unknown suite is followed by the length of the shortest message 1", () =>
    expect(Hello.firstMessageLength(Buffer.alloc(8, 0xff))).toBe(32))

  it("the prologue is that of PROTOCOL.md section 4", () => {
    const hello = Hello.encode(suiteNamed("NNpsk0"))
    expect(Hello.prologue(hello, "näme", "a/1")).toEqual(
      Buffer.concat([Buffer.from("sealwire noise v1\0"), hello, Buffer.from("\0\x05näme\0\x03a/1")])
    )
    // No two pairs of names have the same prologue.
    expect(Hello.prologue(hello, "ab", "c")).not.toEqual(Hello.prologue(hello, "a", "bc"))
  })
})

/** Each type with the valid lengths of its body. */
const bodies: ReadonlyArray<
  readonly [name: string, type: ChannelRecord.RecordType, least: number, most: number]
> = [
  ["READY", ChannelRecord.RecordType.Ready, 0, 255],
  ["DATA", ChannelRecord.RecordType.Data, 1, protocolLimits.bodyBytes],
  ["FIN", ChannelRecord.RecordType.Fin, 8, 8],
  ["CLOSE", ChannelRecord.RecordType.Close, 17, 17],
  ["PING", ChannelRecord.RecordType.Ping, 0, 0],
  ["PONG", ChannelRecord.RecordType.Pong, 0, 0],
  ["CONTROL", ChannelRecord.RecordType.Control, 1, protocolLimits.controlBytes]
]

const plaintext = (type: number, length: number, held = length, fill = 0x5a): Buffer => {
  const bytes = Buffer.alloc(ChannelRecord.headerBytes + held, fill)
  ChannelRecord.encodeHeader(bytes, 0, type as ChannelRecord.RecordType, length)
  return bytes
}

describe("records", () => {
  it("have the type numbers of PROTOCOL.md section 6", () =>
    expect(bodies.map(([, type]) => type)).toEqual([1, 2, 3, 4, 5, 6, 16]))

  it.each(bodies)("%s: accepts exactly the valid body lengths", (_, type, least, most) => {
    for (const length of [0, 1, 7, 8, 9, 16, 17, 18, 4095, 4096, 4097, 65_515, 65_516]) {
      const decoded = ChannelRecord.decode(plaintext(type, length))
      if (length < least || length > most) expect(decoded).toBeUndefined()
      else {
        expect(decoded?.type).toBe(type)
        expect(decoded?.body.length).toBe(length)
        expect(decoded?.body.every((byte) => byte === 0x5a)).toBe(true)
      }
    }
  })

  it.prop(
    "are decoded as they were encoded, with any padding",
    {
      type: FastCheck.constantFrom(ChannelRecord.RecordType.Data, ChannelRecord.RecordType.Control),
      body: FastCheck.uint8Array({ minLength: 1, maxLength: 4096 }),
      padding: FastCheck.nat(300)
    },
    ({ type, body, padding }) => {
      const bytes = plaintext(type, body.length, body.length + padding, 0)
      bytes.set(body, ChannelRecord.headerBytes)
      expect(ChannelRecord.decode(bytes)).toEqual({ type, body: Buffer.from(body) })
    }
  )

  it("of unknown type are malformed", () => {
    const known = new Set<number>(bodies.map(([, type]) => type))
    for (let type = 0; type < 256; type++)
      for (const length of [0, 1, 8, 17])
        if (!known.has(type)) expect(ChannelRecord.decode(plaintext(type, length))).toBeUndefined()
  })

  it("with a shorter body than announced are malformed", () => {
    for (let held = 0; held < 100; held++)
      expect(
        ChannelRecord.decode(plaintext(ChannelRecord.RecordType.Data, 100, held))
      ).toBeUndefined()
    expect(ChannelRecord.decode(plaintext(ChannelRecord.RecordType.Data, 100))).toBeDefined()
    for (let length = 0; length < ChannelRecord.headerBytes; length++)
      expect(
        ChannelRecord.decode(plaintext(ChannelRecord.RecordType.Ready, 0).subarray(0, length))
      ).toBeUndefined()
  })

  it.prop(
    "FIN and CLOSE encode their totals",
    { sent: FastCheck.maxSafeNat(), received: FastCheck.maxSafeNat(), code: FastCheck.nat(255) },
    ({ sent, received, code }) => {
      expect(ChannelRecord.decodeFin(ChannelRecord.encodeFin(sent))).toBe(sent)
      const close = { code: code as Close.CloseCode, sent, received }
      expect(Close.encodeClose(close).length).toBe(17)
      expect(Close.decodeClose(Close.encodeClose(close))).toEqual(close)
    }
  )
})

describe("padding", () => {
  const lengths = FastCheck.integer({
    min: ChannelRecord.headerBytes,
    max: protocolLimits.recordBytes
  })

  it.prop(
    "never shortens a record, and never exceeds the maximum",
    { length: lengths, block: FastCheck.integer({ min: 1, max: protocolLimits.recordBytes }) },
    ({ length, block }) => {
      const all: ReadonlyArray<Padding> = [
        { _tag: "None" },
        { _tag: "Block", bytes: block },
        { _tag: "Padme" }
      ]
      for (const padding of all) {
        expect(paddedLength(padding, length)).toBeGreaterThanOrEqual(length)
        expect(paddedLength(padding, length)).toBeLessThanOrEqual(protocolLimits.recordBytes)
      }
      const blocked = paddedLength({ _tag: "Block", bytes: block }, length)
      expect(blocked === protocolLimits.recordBytes || blocked % block === 0).toBe(true)
      expect(blocked - length).toBeLessThan(block)
      expect(paddedLength({ _tag: "None" }, length)).toBe(length)
    }
  )

  it("padme adds at most 12 %, is monotonic, and leaves few distinct lengths", () => {
    const seen = new Set<number>()
    let before = 0
    let worst = 0
    for (let length = ChannelRecord.headerBytes; length <= protocolLimits.recordBytes; length++) {
      const now = paddedLength({ _tag: "Padme" }, length)
      if (now < before) expect(`${length} to ${now}`).toBe(`at least ${before}`)
      worst = Math.max(worst, now / length)
      seen.add(now)
      before = now
    }
    expect(worst).toBeGreaterThan(1.05)
    expect(worst).toBeLessThanOrEqual(1.12)
    // O(log log L) bits: of 65,517 lengths a few hundred remain.
    expect(seen.size).toBeLessThan(256)
  })

  // PURBs, PETS 2019: the lengths of its algorithm 1.
  it.each([
    [9, 10],
    [200, 208],
    [1000, 1024],
    [65_519, 65_519]
  ])("padme makes %i to %i", (length, expected) =>
    expect(paddedLength({ _tag: "Padme" }, length)).toBe(expected)
  )

  it("is parsed from none, block:N or padme", () => {
    expect(parse("none")).toEqual({ _tag: "None" })
    expect(parse("padme")).toEqual({ _tag: "Padme" })
    for (const bytes of [1, 256, protocolLimits.recordBytes])
      expect(parse(`block:${bytes}`)).toEqual({ _tag: "Block", bytes })
    for (const wrong of [
      "",
      "block",
      "block:",
      "block:0",
      "block:65520",
      "block:-1",
      "block:1.5",
      "block:1e3",
      "PADME",
      " none"
    ])
      expect(parse(wrong)).toBeUndefined()
  })
})

describe("CLOSE", () => {
  it("has the codes of PROTOCOL.md section 8", () =>
    expect(Close.CloseCode).toEqual({
      Done: 0,
      Exhausted: 1,
      GoingAway: 2,
      Failed: 3,
      Refused: 4,
      NotOffered: 5
    }))

  it("is a code and two totals, sent before received", () => {
    const close = { code: Close.CloseCode.Refused, sent: 258, received: 2 ** 40 }
    const body = Close.encodeClose(close)
    expect(Buffer.from(body).toString("hex")).toBe("0400000000000001020000010000000000")
    expect(Close.decodeClose(body)).toEqual(close)
  })

  it("with an unknown code counts as failed", () =>
    expect(Close.reasonOf(77 as Close.CloseCode)).toBe("it failed (code 77)"))
})

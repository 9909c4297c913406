// KnownPeers: what a client records of a server's keys, and that every other byte of the file stays.
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import * as Address from "../../src/transports/Address.ts"
import * as KnownPeers from "../../src/peers/KnownPeers.ts"
import type { ServerKey } from "../../src/peers/KnownPeers.ts"
import { formatKnown, parseKnown } from "../../src/peers/Peers.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const folder = sharedFolder()
const file = path.join(folder, "known_peers")

const now = Date.UTC(2026, 0, 1)
const [sooner, later] = [Date.UTC(2026, 5, 1), Date.UTC(2027, 0, 1)]
const keyOf = (byte: number) => Buffer.alloc(32, byte)
const key = (byte: number) => PublicKey.encode(keyOf(byte))
const address = "mail.example:8080"

/** The file after a server that showed the first key has announced these. */
const learned = (
  text: string,
  keys: ReadonlyArray<ServerKey>,
  shown = keys[0]?.publicKey ?? keyOf(0)
) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now)
    writeFileSync(file, text, { mode: 0o600 })
    const result = yield* KnownPeers.learn(file, address, shown, keys)
    return { result, text: readFileSync(file, "utf8") }
  })

const [one, two, three] = [
  { publicKey: keyOf(1) },
  { publicKey: keyOf(2) },
  { publicKey: keyOf(3) }
]

interface Case {
  readonly name: string
  readonly text: string
  readonly keys: ReadonlyArray<ServerKey>
  readonly shown?: Uint8Array
  readonly after: string
  /** Why a key was not added. */
  readonly because?: string
}

const pinned = `${address} ${key(1)} mail\n`
const cases: ReadonlyArray<Case> = [
  {
    name: "adds the next key under the server's name",
    text: pinned,
    keys: [one, two],
    after: `${pinned}${address} ${key(2)} mail\n`
  },
  {
    name: "after the switch, adds the new key and dates the old one",
    text: pinned,
    keys: [two, { ...one, retires: later }],
    shown: one.publicKey,
    after: `retiring="2027-01-01" ${pinned}${address} ${key(2)} mail\n`
  },
  {
    name: "adds a retiring key with its date",
    text: pinned,
    keys: [one, { ...two, retires: later + 1000 }],
    after: `${pinned}retiring="2027-01-01T00:00:01Z" ${address} ${key(2)} mail\n`
  },
  { name: "writes no known key again", text: pinned, keys: [one], after: pinned },
  {
    name: "removes no key",
    text: `${pinned}${address} ${key(3)} mail\n`,
    keys: [one, two],
    after: `${pinned}${address} ${key(3)} mail\n${address} ${key(2)} mail\n`
  },
  {
    name: "moves a date to earlier",
    text: `${pinned}retiring="2027-01-01" ${address} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: sooner }],
    after: `${pinned}retiring="2026-06-01" ${address} ${key(2)} mail\n`
  },
  {
    name: "neither moves a date to later nor removes one",
    text: `${pinned}retiring="2026-06-01" ${address} ${key(2)} mail\nretiring="2026-06-01" ${address} ${key(3)} mail\n`,
    keys: [one, { ...two, retires: later }, three],
    after: `${pinned}retiring="2026-06-01" ${address} ${key(2)} mail\nretiring="2026-06-01" ${address} ${key(3)} mail\n`
  },
  {
    name: "keeps a revoked key revoked, whichever server had it",
    text: `${pinned}revoked ${address} ${key(2)} mail\nrevoked else:1 ${key(3)} other\n`,
    keys: [one, { ...two, retires: later }, three],
    after: `${pinned}revoked ${address} ${key(2)} mail\nrevoked else:1 ${key(3)} other\n`
  },
  {
    name: "adds no key that a retiring key announces",
    text: `retiring="2027-01-01" ${pinned}`,
    keys: [one, two],
    after: `retiring="2027-01-01" ${pinned}`,
    because: "retiring"
  },
  {
    name: "sets no date that a retiring key announces: a thief could lock the real server out",
    text: `retiring="2027-01-01" ${pinned}${address} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: sooner }],
    after: `retiring="2027-01-01" ${pinned}${address} ${key(2)} mail\n`
  },
  {
    name: "ignores a date in the past",
    text: `${pinned}${address} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: now - 1000 }],
    after: `${pinned}${address} ${key(2)} mail\n`
  },
  {
    name: "ignores an announcement under a key that is revoked meanwhile",
    text: `revoked ${pinned}${address} ${key(3)} mail\n`,
    keys: [one, two],
    after: `revoked ${pinned}${address} ${key(3)} mail\n`
  },
  {
    name: "ignores an announcement under the key of another server",
    text: `else:1 ${key(1)} other\n`,
    keys: [one, two],
    after: `else:1 ${key(1)} other\n`
  }
]

describe("KnownPeers.learn", () => {
  it.effect.each(cases)("$name", ({ text, keys, shown, after, because }) =>
    Effect.gen(function* () {
      const done = yield* learned(text, keys, shown)
      expect(done.text).toBe(after)
      expect(done.result === undefined).toBe(after === text && because === undefined)
      if (because !== undefined) expect(done.result).toMatchObject({ added: [], left: 1, because })
    })
  )

  it.effect("fills up to 16 keys per address", () =>
    Effect.gen(function* () {
      const text = Array.from(
        { length: 15 },
        (_, index) => `${address} ${key(index + 1)} mail\n`
      ).join("")
      const done = yield* learned(text, [one, { publicKey: keyOf(101) }, { publicKey: keyOf(102) }])
      expect(done.result).toMatchObject({ left: 1, added: [{ publicKey: keyOf(101) }] })
      expect(done.text).toBe(`${text}${address} ${key(101)} mail\n`)
    })
  )

  const comments = FastCheck.constantFrom("", "# a comment", '\t# revoked "x', "   ")
  const others = FastCheck.integer({ min: 10, max: 250 }).map(
    (byte) => `host-${byte}:1 ${key(byte)} host-${byte}`
  )
  const lines = FastCheck.uniqueArray(FastCheck.oneof(comments, others), { maxLength: 8 })
  it.effect.prop(
    "keeps every other byte, whatever the position of the line and the line ends",
    {
      above: lines,
      below: lines,
      newline: FastCheck.constantFrom("\n", "\r\n"),
      options: FastCheck.boolean()
    },
    ({ above, below, newline, options }) =>
      Effect.gen(function* () {
        const given = options ? `retiring="2027-01-01"` : ""
        const own = formatKnown(address, keyOf(1), "mail", given)
        const text = [
          ...above,
          own,
          ...below.filter((line) => line.startsWith("#") || !above.includes(line))
        ]
          .map((line) => `${line}${newline}`)
          .join("")
        const done = yield* learned(text, [two, { ...one, retires: sooner }], one.publicKey)
        const dated = text.replace(
          own,
          formatKnown(address, keyOf(1), "mail", `retiring="2026-06-01"`)
        )
        expect(done.text).toBe(options ? dated : `${dated}${address} ${key(2)} mail${newline}`)
        expect(Either.isRight(parseKnown(file, done.text))).toBe(true)
      }),
    { fastCheck: { numRuns: 40 } }
  )
})

describe("KnownPeers.lookUp", () => {
  const lookUp = (text: string, options: Partial<KnownPeers.LookUp> = {}) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      writeFileSync(file, text, { mode: 0o600 })
      const known = yield* KnownPeers.lookUp(file, { address, ...options })
      return known.map(({ publicKey }) => publicKey[0])
    })

  const several =
    `retiring="2027-01-01" ${pinned}${address} ${key(2)} mail\n` +
    `retiring="2025-01-01" ${address} ${key(3)} mail\nrevoked ${address} ${key(4)} mail\n`

  it.effect("returns keys without an end first, and no retired or revoked one", () =>
    Effect.gen(function* () {
      expect(yield* lookUp(several)).toEqual([2, 1])
      expect(yield* lookUp(several, { address: "other:1", peer: "mail" })).toEqual([2, 1])
    })
  )

  it.effect("takes a public key as it is, unless it is revoked", () =>
    Effect.gen(function* () {
      expect(yield* lookUp("", { peer: key(9) })).toEqual([9])
      // Another key is revoked.
      expect(yield* lookUp(several, { peer: key(9) })).toEqual([9])
      expect(yield* Effect.flip(lookUp(several, { peer: key(4) }))).toMatchObject({
        _tag: "ServerKeyWithdrawn",
        reason: "revoked",
        where: `${file}:4`
      })
    })
  )

  it.effect("fails for an unknown server, and returns nothing if a new key is acceptable", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(lookUp(""))
      expect(unknown).toMatchObject({ _tag: "ServerUnknown", wanted: address, withdrawn: [] })
      expect(unknown.message).not.toContain("--")
      expect(yield* lookUp("", { acceptNew: true })).toEqual([])
      expect(yield* Effect.flip(lookUp("", { acceptNew: true, peer: "nobody" }))).toMatchObject({
        _tag: "ServerUnknown",
        wanted: "nobody"
      })
    })
  )
})

describe("KnownPeers.pin", () => {
  const pin = (text: string, byte: number, at = address) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      writeFileSync(file, text, { mode: 0o600 })
      yield* KnownPeers.checkPinnable(file, at, keyOf(byte))
      const { name } = yield* KnownPeers.pin(file, at, keyOf(byte))
      return { name, text: readFileSync(file, "utf8") }
    })

  it.effect("writes the key once, under a name made from the address", () =>
    Effect.gen(function* () {
      const first = yield* pin("", 1)
      const name = "mail.example-8080"
      expect(first).toEqual({ name, text: `${address} ${key(1)} ${name}\n` })
      expect(yield* pin(first.text, 1)).toEqual(first)
    })
  )

  it.effect(
    "refuses another key, a retired or revoked key, and an address that is not valid in a line",
    () =>
      Effect.gen(function* () {
        const changed = yield* Effect.flip(pin(pinned, 2))
        expect(changed).toMatchObject({ _tag: "ServerKeyChanged", where: `${file}:1` })
        expect(changed.message).not.toContain("--")
        expect(yield* Effect.flip(pin(`revoked ${pinned}`, 1))).toMatchObject({
          _tag: "ServerKeyWithdrawn"
        })
        const spaced = KnownPeers.addressOf(Address.unix("/tmp/a b"))
        expect(yield* Effect.flip(pin("", 1, spaced))).toMatchObject({ _tag: "PeersInvalid" })
        expect(readFileSync(file, "utf8")).toBe("")
      })
  )
})

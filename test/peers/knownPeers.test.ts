// KnownPeers: what a client records of a server's keys, and that every other byte of the file stays.
import { readFileSync, statSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import { runs } from "../fixtures/sample.ts"
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
/** The option of a key that was retired at the time of the tests. */
const gone = `retiring="2026-01-01"`
const cases: ReadonlyArray<Case> = [
  {
    name: "adds the next key under the server's name",
    text: pinned,
    keys: [one, two],
    after: `${pinned}announced ${address} ${key(2)} mail\n`
  },
  {
    name: "after the switch, adds the new key and dates the old one",
    text: pinned,
    keys: [two, { ...one, retires: later }],
    shown: one.publicKey,
    after: `retiring="2027-01-01" ${pinned}announced ${address} ${key(2)} mail\n`
  },
  {
    name: "adds a retiring key with its date",
    text: pinned,
    keys: [one, { ...two, retires: later + 1000 }],
    after: `${pinned}retiring="2027-01-01T00:00:01Z",announced ${address} ${key(2)} mail\n`
  },
  { name: "writes no known key again", text: pinned, keys: [one], after: pinned },
  {
    name: "retires a key that is missing at once",
    text: `${pinned}${address} ${key(3)} mail\nannounced ${address} ${key(4)} mail\n`,
    keys: [one, two],
    after: `${pinned}${gone} ${address} ${key(3)} mail\n${gone},announced ${address} ${key(4)} mail\nannounced ${address} ${key(2)} mail\n`
  },
  {
    name: "a single key is a complete set too",
    text: `${pinned}announced ${address} ${key(3)} mail\n`,
    keys: [one],
    after: `${pinned}${gone},announced ${address} ${key(3)} mail\n`
  },
  {
    name: "retires a key before its date, and no key again that has retired",
    text: `${pinned}retiring="2027-01-01" ${address} ${key(2)} mail\nretiring="2020-01-01" ${address} ${key(3)} mail\n`,
    keys: [one],
    after: `${pinned}${gone} ${address} ${key(2)} mail\nretiring="2020-01-01" ${address} ${key(3)} mail\n`
  },
  {
    name: "leaves the keys of another name and of another address as they are",
    text: `${pinned}${address} ${key(3)} spare\nelse:1 ${key(4)} other\n`,
    keys: [one],
    after: `${pinned}${address} ${key(3)} spare\nelse:1 ${key(4)} other\n`
  },
  {
    name: "adds no key that the address has under another name",
    text: `${pinned}${address} ${key(3)} spare\n`,
    keys: [one, { ...three, retires: later }],
    after: `${pinned}${address} ${key(3)} spare\n`
  },
  {
    name: "restores an announced key that another announcement had left out",
    text: `${pinned}retiring="2025-01-01",announced ${address} ${key(2)} mail\nannounced,retiring="2025-01-01" ${address} ${key(3)} mail\n`,
    keys: [one, two, { ...three, retires: later }],
    after: `${pinned}announced ${address} ${key(2)} mail\nannounced,retiring="2027-01-01" ${address} ${key(3)} mail\n`
  },
  {
    name: "moves the date of an announced key to later, or removes it",
    text: `${pinned}retiring="2026-06-01",announced ${address} ${key(2)} mail\nannounced,retiring="2026-06-01" ${address} ${key(3)} mail\n`,
    keys: [one, { ...two, retires: later }, three],
    after: `${pinned}retiring="2027-01-01",announced ${address} ${key(2)} mail\nannounced ${address} ${key(3)} mail\n`
  },
  {
    name: "restores no key that the user has pinned, and moves none of its dates to later",
    text: `${pinned}retiring="2025-01-01" ${address} ${key(2)} mail\nretiring="2026-06-01" ${address} ${key(3)} mail\n`,
    keys: [one, two, { ...three, retires: later }],
    after: `${pinned}retiring="2025-01-01" ${address} ${key(2)} mail\nretiring="2026-06-01" ${address} ${key(3)} mail\n`
  },
  {
    name: "moves a date to earlier",
    text: `${pinned}retiring="2027-01-01" ${address} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: sooner }],
    after: `${pinned}retiring="2026-06-01" ${address} ${key(2)} mail\n`
  },
  {
    name: "neither moves a date of a pinned key to later nor removes one",
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
    name: "takes a key with a date in the past for one that is missing",
    text: `${pinned}${address} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: now - 1000 }, { ...three, retires: now }],
    after: `${pinned}${gone} ${address} ${key(2)} mail\n`
  },
  {
    name: "moves the own date of a key that retires to earlier",
    text: `retiring="2027-01-01" ${pinned}${address} ${key(2)} mail\n`,
    keys: [two, { ...one, retires: sooner }],
    shown: one.publicKey,
    after: `retiring="2026-06-01" ${pinned}${address} ${key(2)} mail\n`
  },
  {
    name: "ignores an announcement under a key that is revoked for another address",
    text: `${pinned}revoked else:1 ${key(1)} other\n`,
    keys: [one, two],
    after: `${pinned}revoked else:1 ${key(1)} other\n`
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

  const linesOf = (count: number, options: string) =>
    Array.from({ length: count }, (_, index) => `${options}${address} ${key(index + 1)} mail\n`)
  const announced = [...Array(4).keys()].map((index) => ({ publicKey: keyOf(101 + index) }))
  const added = (byte: number) => `announced ${address} ${key(byte)} mail\n`

  it.effect("fills up to 16 keys per address", () =>
    Effect.gen(function* () {
      const [first = "", ...others] = linesOf(15, "")
      const done = yield* learned([first, ...others].join(""), [one, ...announced.slice(0, 2)])
      expect(done.result).toMatchObject({ left: 1, added: [{ publicKey: keyOf(101) }] })
      expect(done.text).toBe(
        `${first}${others.map((line) => `${gone} ${line}`).join("")}${added(101)}`
      )
    })
  )

  it.effect("makes place for new keys by removing retired ones that it had added itself", () =>
    Effect.gen(function* () {
      const [first = "", ...others] = linesOf(16, "")
      const old = others.map((line) => `retiring="2025-01-01",announced ${line}`)
      const spared = `revoked,announced ${others[0]}`
      const text = [first, spared, ...old.slice(1)].join("")
      const done = yield* learned(text, [one, ...announced.slice(0, 3)])
      expect(done.result).toMatchObject({ left: 0, added: [{}, {}, {}] })
      expect(done.text).toBe(
        [first, spared, ...old.slice(4), added(101), added(102), added(103)].join("")
      )
    })
  )

  it.effect("makes no place by removing what the user has pinned, or what is valid", () =>
    Effect.gen(function* () {
      const [first = "", ...others] = linesOf(16, "")
      const retired = others.map((line) => `retiring="2025-01-01" ${line}`)
      const pins = yield* learned([first, ...retired].join(""), [one, ...announced.slice(0, 2)])
      expect(pins.result).toMatchObject({ left: 2, added: [], because: "full" })
      expect(pins.text).toBe([first, ...retired].join(""))

      const valid = others.map((line) => `announced ${line}`)
      const missing = yield* learned([first, ...valid].join(""), [one, ...announced.slice(0, 2)])
      expect(missing.result).toMatchObject({ left: 2, added: [], retired: others.map(() => ({})) })
      expect(missing.text).toBe(
        [first, ...others.map((line) => `${gone},announced ${line}`)].join("")
      )
      // The next announcement has place.
      const next = yield* learned(missing.text, [one, ...announced.slice(0, 2)])
      expect(next.result).toMatchObject({ left: 0, added: [{}, {}] })
    })
  )

  it.effect(
    "reports valid keys that a server under a retiring key leaves out, and changes nothing",
    () =>
      Effect.gen(function* () {
        const theirs = `announced ${address} ${key(3)} mail\nretiring="2025-01-01" ${address} ${key(4)} mail\n`
        const text = `retiring="2027-01-01" ${pinned}${theirs}${address} ${key(5)} spare\n`
        const own = { ...one, retires: later }
        expect(yield* learned(text, [own], one.publicKey)).toMatchObject({
          text,
          result: { disputed: [{}], added: [], retiring: [], retired: [], left: 0 }
        })
        expect((yield* learned(text, [three, own], one.publicKey)).result).toBeUndefined()
      })
  )

  it.effect("neither locks nor writes a file in which nothing is to change", () =>
    Effect.gen(function* () {
      yield* learned(pinned, [one])
      // A lock is a file in the folder, and a new content is a new file.
      const changedAt = () => statSync(folder, { bigint: true }).mtimeNs
      const before = changedAt()
      expect(yield* KnownPeers.learn(file, address, one.publicKey, [one])).toBeUndefined()
      expect(changedAt()).toBe(before)
      expect(yield* KnownPeers.learn(file, address, one.publicKey, [one, two])).toBeDefined()
      expect(changedAt()).not.toBe(before)
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
        expect(done.text).toBe(
          options ? dated : `${dated}announced ${address} ${key(2)} mail${newline}`
        )
        expect(Either.isRight(parseKnown(file, done.text))).toBe(true)
      }),
    { fastCheck: { numRuns: runs(15, 100) } }
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

  it.effect("returns no key that is revoked for another address", () =>
    Effect.gen(function* () {
      expect(yield* lookUp(`${several}revoked else:1 ${key(2)} other\n`)).toEqual([1])
      // A date belongs to one address.
      expect(yield* lookUp(`${several}retiring="2025-01-01" else:1 ${key(2)} other\n`)).toEqual([
        2, 1
      ])
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

describe("an address in another spelling", () => {
  const spelled = "MAIL.example.:08080"
  const put = (text: string) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      writeFileSync(file, text, { mode: 0o600 })
    })
  const text = () => readFileSync(file, "utf8")

  it.effect("is the same address for every use", () =>
    Effect.gen(function* () {
      yield* put(`${spelled} ${key(1)} mail\n`)
      for (const one of [address, spelled, "Mail.Example:8080"]) {
        expect(yield* KnownPeers.lookUp(file, { address: one })).toMatchObject([{ address }])
        expect(yield* KnownPeers.find(file, one)).toMatchObject({ address, line: 1 })
        const refused = yield* Effect.flip(KnownPeers.pin(file, one, keyOf(2)))
        expect(refused).toMatchObject({ _tag: "ServerKeyChanged", where: `${file}:1` })
        expect(yield* KnownPeers.pin(file, one, keyOf(1))).toMatchObject({ address, name: "mail" })
      }
      expect(text()).toBe(`${spelled} ${key(1)} mail\n`)
      yield* KnownPeers.learn(file, spelled, keyOf(1), [{ ...two }, { ...one, retires: later }])
      expect(text()).toBe(
        `retiring="2027-01-01" ${spelled} ${key(1)} mail\nannounced ${address} ${key(2)} mail\n`
      )
      expect(yield* KnownPeers.lookUp(file, { address: spelled })).toMatchObject([
        { line: 2 },
        { line: 1 }
      ])
    })
  )

  it.effect("is pinned in the canonical one", () =>
    Effect.gen(function* () {
      yield* put("")
      yield* KnownPeers.pin(file, spelled, keyOf(1))
      expect(text()).toBe(`${address} ${key(1)} mail.example-8080\n`)
    })
  )

  it.effect("with another key under another name makes the file invalid", () =>
    Effect.gen(function* () {
      yield* put(`${address} ${key(1)} mail\n${spelled} ${key(2)} MAIL\n`)
      const error = yield* Effect.flip(KnownPeers.lookUp(file, { address }))
      expect(error.message).toBe(
        `${file}:2:1: the same address as ${address} on line 1, with another key; one of the two is not the server's: remove it`
      )
      // What is revoked is no longer believed, and one name is one server.
      yield* put(`revoked ${address} ${key(1)} mail\n${spelled} ${key(2)} MAIL\n`)
      expect(yield* KnownPeers.lookUp(file, { address })).toMatchObject([{ line: 2 }])
      yield* put(`${address} ${key(1)} mail\n${spelled} ${key(2)} mail\n`)
      expect(yield* KnownPeers.lookUp(file, { address })).toMatchObject([{}, {}])
    })
  )

  it.effect("with the same key counts once, and the strictest line holds", () =>
    Effect.gen(function* () {
      const both = (options: string) =>
        `${address} ${key(1)} mail\n${options}${spelled} ${key(1)} MAIL\n`
      yield* put(both(""))
      expect(yield* KnownPeers.lookUp(file, { address })).toMatchObject([{ line: 1 }])
      for (const options of ["revoked ", `retiring="2025-01-01" `]) {
        yield* put(both(options))
        expect(yield* Effect.flip(KnownPeers.lookUp(file, { address }))).toMatchObject({
          _tag: "ServerUnknown"
        })
      }
      yield* put(both(`retiring="2027-01-01" `))
      expect(yield* KnownPeers.learn(file, address, keyOf(1), [one, two])).toMatchObject({
        added: [],
        because: "retiring"
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

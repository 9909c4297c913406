// What a client takes over of what a server says of its keys: that, and no other byte of known_peers.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import * as KnownServer from "../../src/cli/connection/KnownServer.ts"
import { formatKnown, parseKnown } from "../../src/peers/Peers.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import type { ServerKey } from "../../src/services/KeyAnnouncement.ts"

const before = process.env.XDG_CONFIG_HOME
const config = mkdtempSync(path.join(tmpdir(), "sealwire-known-"))
const file = path.join(config, "sealwire/known_peers")
beforeAll(() => {
  process.env.XDG_CONFIG_HOME = config
  mkdirSync(path.dirname(file), { mode: 0o700 })
})
afterAll(() => {
  if (before === undefined) delete process.env.XDG_CONFIG_HOME
  else process.env.XDG_CONFIG_HOME = before
  rmSync(config, { recursive: true })
})

const now = Date.UTC(2026, 0, 1)
const [sooner, later] = [Date.UTC(2026, 5, 1), Date.UTC(2027, 0, 1)]
const keyOf = (byte: number) => Buffer.alloc(32, byte)
const key = (byte: number) => PublicKey.encode(keyOf(byte))
const here = "mail.example:8080"

/** What stands in the file after a server that showed the first key has said these. */
const learned = (
  text: string,
  keys: ReadonlyArray<ServerKey>,
  shown = keys[0]?.publicKey ?? keyOf(0)
) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now)
    writeFileSync(file, text, { mode: 0o600 })
    const result = yield* KnownServer.learn(here, shown, keys)
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
  /** Why a key was not added, where the person is told. */
  readonly because?: string
}

const pinned = `${here} ${key(1)} mail\n`
const cases: ReadonlyArray<Case> = [
  {
    name: "a next key is added under the name",
    text: pinned,
    keys: [one, two],
    after: `${pinned}${here} ${key(2)} mail\n`
  },
  {
    name: "after the switch the old one gets its date, and the new one is there",
    text: pinned,
    keys: [two, { ...one, retires: later }],
    shown: one.publicKey,
    after: `retiring="2027-01-01" ${pinned}${here} ${key(2)} mail\n`
  },
  {
    name: "one that retires is added with its date",
    text: pinned,
    keys: [one, { ...two, retires: later + 1000 }],
    after: `${pinned}retiring="2027-01-01T00:00:01Z" ${here} ${key(2)} mail\n`
  },
  { name: "nothing that is known is written again", text: pinned, keys: [one], after: pinned },
  {
    name: "no key is removed",
    text: `${pinned}${here} ${key(3)} mail\n`,
    keys: [one, two],
    after: `${pinned}${here} ${key(3)} mail\n${here} ${key(2)} mail\n`
  },
  {
    name: "a date moves to sooner",
    text: `${pinned}retiring="2027-01-01" ${here} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: sooner }],
    after: `${pinned}retiring="2026-06-01" ${here} ${key(2)} mail\n`
  },
  {
    name: "and never to later, nor away",
    text: `${pinned}retiring="2026-06-01" ${here} ${key(2)} mail\nretiring="2026-06-01" ${here} ${key(3)} mail\n`,
    keys: [one, { ...two, retires: later }, three],
    after: `${pinned}retiring="2026-06-01" ${here} ${key(2)} mail\nretiring="2026-06-01" ${here} ${key(3)} mail\n`
  },
  {
    name: "a revoked key stays revoked, whoever had it",
    text: `${pinned}revoked ${here} ${key(2)} mail\nrevoked else:1 ${key(3)} other\n`,
    keys: [one, { ...two, retires: later }, three],
    after: `${pinned}revoked ${here} ${key(2)} mail\nrevoked else:1 ${key(3)} other\n`
  },
  {
    name: "a key that retires, as is known here, brings no other in",
    text: `retiring="2027-01-01" ${pinned}`,
    keys: [one, two],
    after: `retiring="2027-01-01" ${pinned}`,
    because: "retiring"
  },
  {
    name: "nor does it date another: who has stolen it would shut the good one out",
    text: `retiring="2027-01-01" ${pinned}${here} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: sooner }],
    after: `retiring="2027-01-01" ${pinned}${here} ${key(2)} mail\n`
  },
  {
    name: "a day that is past is not believed, whoever says it",
    text: `${pinned}${here} ${key(2)} mail\n`,
    keys: [one, { ...two, retires: now - 1000 }],
    after: `${pinned}${here} ${key(2)} mail\n`
  },
  {
    name: "nor does one that is withdrawn meanwhile",
    text: `revoked ${pinned}${here} ${key(3)} mail\n`,
    keys: [one, two],
    after: `revoked ${pinned}${here} ${key(3)} mail\n`
  },
  {
    name: "nor one that another server is known by",
    text: `else:1 ${key(1)} other\n`,
    keys: [one, two],
    after: `else:1 ${key(1)} other\n`
  }
]

describe("what a server says of its keys", () => {
  it.effect.each(cases)("$name", ({ text, keys, shown, after, because }) =>
    Effect.gen(function* () {
      const done = yield* learned(text, keys, shown)
      expect(done.text).toBe(after)
      expect(done.result === undefined).toBe(after === text && because === undefined)
      if (because !== undefined) expect(done.result).toMatchObject({ added: [], left: 1, because })
    })
  )

  it.effect("fills no more than sixteen places", () =>
    Effect.gen(function* () {
      const text = Array.from(
        { length: 15 },
        (_, index) => `${here} ${key(index + 1)} mail\n`
      ).join("")
      const done = yield* learned(text, [one, { publicKey: keyOf(101) }, { publicKey: keyOf(102) }])
      expect(done.result).toMatchObject({ left: 1, added: [{ publicKey: keyOf(101) }] })
      expect(done.text).toBe(`${text}${here} ${key(101)} mail\n`)
    })
  )

  const comments = FastCheck.constantFrom("", "# a comment", '\t# revoked "x', "   ")
  const others = FastCheck.integer({ min: 10, max: 250 }).map(
    (byte) => `host-${byte}:1 ${key(byte)} host-${byte}`
  )
  const lines = FastCheck.uniqueArray(FastCheck.oneof(comments, others), { maxLength: 8 })
  it.effect.prop(
    "keeps every other byte, wherever the line stands and however lines end",
    {
      above: lines,
      below: lines,
      newline: FastCheck.constantFrom("\n", "\r\n"),
      options: FastCheck.boolean()
    },
    ({ above, below, newline, options }) =>
      Effect.gen(function* () {
        const given = options ? `retiring="2027-01-01"` : ""
        const own = formatKnown(here, keyOf(1), "mail", given)
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
          formatKnown(here, keyOf(1), "mail", `retiring="2026-06-01"`)
        )
        expect(done.text).toBe(options ? dated : `${dated}${here} ${key(2)} mail${newline}`)
        expect(Either.isRight(parseKnown(file, done.text))).toBe(true)
      }),
    { fastCheck: { numRuns: 40 } }
  )
})

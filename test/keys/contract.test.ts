// One contract over every way of keeping keys. A provider is tested by standing in this list.
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import * as Hex from "../../src/bytes/Hex.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { ClassicGcmKey, ClassicKey, kinds } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import * as ProtectedKey from "../../src/keys/ProtectedKey.ts"
import { providers } from "../../src/keys/providers.ts"
import * as Keyring from "./Keyring.ts"

const folder = mkdtempSync(path.join(tmpdir(), "sealwire-keys-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let count = 0

interface Harness {
  readonly name: string
  /** A store that keeps this content, or nothing. */
  readonly holding: (content?: string) => Layer.Layer<KeyStore>
  readonly missing: "KeyFileMissing" | "KeyUnavailable"
  readonly creates: boolean
  /** How often a property is tried, where that starts a process each time. */
  readonly numRuns?: number
  /** What has to be installed first; its tests are skipped until then. */
  readonly lacks?: string | undefined
  /** What has to run while it is tested; gives what ends it. */
  readonly start?: () => Promise<() => Promise<void>>
}

/** A file of its own with that content, or a name where none is. */
const fileWith = (content: string | undefined, under = folder): string => {
  const file = path.join(under, `key-${count++}`)
  if (content !== undefined) writeFileSync(file, content, { mode: 0o600 })
  return file
}

const descriptors: Array<number> = []
afterAll(() => {
  for (const descriptor of descriptors) closeSync(descriptor)
})

const credentials = path.join(folder, "credentials")
mkdirSync(credentials)
process.env.CREDENTIALS_DIRECTORY = credentials

let keyring: Keyring.Keyring | undefined

const harnesses: ReadonlyArray<Harness> = [
  {
    name: "file",
    holding: (content) => KeyStore.layerReference(`file:${fileWith(content)}`),
    missing: "KeyFileMissing",
    creates: true
  },
  {
    name: "env",
    holding: (content) => {
      const name = `SEALWIRE_TEST_${count++}`
      if (content !== undefined) process.env[name] = content
      return KeyStore.layerReference(`env:${name}`)
    },
    missing: "KeyUnavailable",
    creates: false
  },
  {
    name: "fd",
    holding: (content) => {
      if (content === undefined) return KeyStore.layerReference("fd:999999")
      const descriptor = openSync(fileWith(content), "r")
      descriptors.push(descriptor)
      return KeyStore.layerReference(`fd:${descriptor}`)
    },
    missing: "KeyUnavailable",
    creates: false
  },
  {
    name: "exec",
    holding: (content) => KeyStore.layerReference(`exec:${content === undefined ? "true" : `cat '${fileWith(content)}'`}`),
    missing: "KeyUnavailable",
    creates: false,
    numRuns: 10
  },
  {
    name: "cred",
    holding: (content) => KeyStore.layerReference(`cred:${path.basename(fileWith(content, credentials))}`),
    missing: "KeyUnavailable",
    creates: false
  },
  {
    name: "keyring",
    lacks: Keyring.lacks,
    start: async () => {
      keyring = await Keyring.start()
      Object.assign(process.env, keyring.env)
      return keyring.close
    },
    holding: (content) => {
      const account = `key-${count++}`
      if (content !== undefined && keyring !== undefined) Keyring.store(keyring, "sealwire", account, content)
      return KeyStore.layerReference(`keyring:sealwire/${account}`)
    },
    missing: "KeyUnavailable",
    creates: true,
    numRuns: 2
  },
  { name: "memory", holding: (content) => KeyStore.layerMemory(content), missing: "KeyUnavailable", creates: true }
]

it("every provider stands in the list", () => {
  expect(providers.length).toBeGreaterThan(0)
  for (const { scheme } of providers) expect(harnesses.map(({ name }) => name)).toContain(scheme)
})

const secretOf = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) =>
  bytes.slice(0, 16).some((byte) => byte !== 0)
)

const load = Effect.flatMap(KeyStore, (store) => store.load(ClassicKey))

const passphrase = Passphrase.secretOf("x")
let protectedText = ""
beforeAll(async () => {
  const secret = new Secret(Buffer.alloc(32, 9))
  protectedText = await ProtectedKey.protect(ClassicKey, secret, passphrase, { log2N: 15, r: 8, p: 1 })
})

const contract = ({ holding, missing, creates, numRuns = 30, start }: Harness) => {
  if (start !== undefined) beforeAll(start)

  const textOf = (secret: Uint8Array) => Bech32.encode(ClassicKey.prefix, secret)
  const rejection = (content: string) => Effect.flip(load).pipe(Effect.provide(holding(content)))

  it.effect.prop(
    "gives the key that is kept, in every text form",
    { secret: secretOf, upper: FastCheck.boolean() },
    ({ secret, upper }) =>
      Effect.gen(function* () {
        const hex = Hex.encode(secret)
        for (const text of [textOf(secret), `# mine\n\n  ${textOf(secret)}  \r\n`, upper ? hex.toUpperCase() : `${hex}\n`]) {
          const key = yield* Effect.provide(load, holding(text))
          expect(Buffer.concat([key.key.expose(), key.iv.expose()])).toEqual(Buffer.from(secret))
        }
      }),
    { fastCheck: { numRuns } }
  )

  it.effect("says when nothing is there", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(load).pipe(Effect.provide(holding())))._tag).toBe(missing)
    })
  )

  it.live("opens a key that a passphrase protects", () =>
    Effect.gen(function* () {
      const { key } = yield* load.pipe(
        Effect.provideService(Passphrase, Passphrase.always(passphrase)),
        Effect.provide(holding(protectedText))
      )
      expect(key.expose()).toEqual(Buffer.alloc(16, 9))
      const refused = yield* Effect.flip(Effect.provide(load, holding(protectedText)))
      expect([refused._tag, refused.message]).toEqual([
        "KeyUnavailable",
        expect.stringContaining("it is protected by a passphrase")
      ])
    })
  )

  it.effect("refuses, each by its reason", () =>
    Effect.gen(function* () {
      const good = textOf(Secret.random(32).expose())
      const cases = [
        ["wrong kind", Bech32.encode(ClassicGcmKey.prefix, Secret.random(32).expose())],
        ["damaged", good.replace(/.$/, (last) => (last === "Q" ? "P" : "Q"))],
        ["damaged", `${good}\n${good}`],
        ["wrong length", Bech32.encode(ClassicKey.prefix, Secret.random(31).expose())],
        ["wrong length", "hello"],
        ["wrong length", "# only a comment"],
        ["wrong length", `${good}\n`.padEnd(KeyText.maxKeyText + 1, "#")],
        ["wrong length", "#\n".repeat(40_000)],
        ["all zero", "0".repeat(64)],
        ["all zero", "0".repeat(32) + "1".repeat(32)]
      ] as const
      for (const [reason, content] of cases) {
        const error = yield* rejection(content)
        expect([error._tag, error._tag === "KeyRejected" && error.reason]).toEqual(["KeyRejected", reason])
        expect(error.message).not.toContain(content.slice(-20))
        expect(error.message).not.toContain("\n")
      }
    })
  )

  it.effect("creates one key, once, that loads again", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore
      if (!creates) {
        expect((yield* Effect.flip(store.create(ClassicKey)))._tag).toBe("KeyNotCreated")
        expect(yield* store.createIfMissing(ClassicKey)).toBe(false)
        return
      }
      for (const kind of [ClassicKey]) {
        expect(yield* store.createIfMissing(kind)).toBe(true)
        const first = yield* store.load(kind)
        expect(yield* store.createIfMissing(kind)).toBe(false)
        expect((yield* Effect.flip(store.create(kind)))._tag).toBe("KeyExists")
        expect((yield* store.load(kind)).key.equals(first.key)).toBe(true)
      }
    }).pipe(Effect.provide(holding()))
  )

  it.effect("never creates over something", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore
      expect((yield* Effect.flip(store.create(ClassicKey)))._tag).toBe(creates ? "KeyExists" : "KeyNotCreated")
    }).pipe(Effect.provide(holding("not a key")))
  )
}

for (const harness of harnesses)
  describe.skipIf(harness.lacks !== undefined)(
    `${harness.name}${harness.lacks === undefined ? "" : ` (first: ${harness.lacks})`}`,
    () => contract(harness)
  )

describe("kinds", () => {
  it("have prefixes of their own", () => {
    expect(kinds.length).toBeGreaterThan(0)
    expect(new Set(kinds.map(({ prefix }) => prefix)).size).toBe(kinds.length)
    for (const { prefix } of kinds) expect(prefix).toBe(prefix.toUpperCase())
  })
  it.prop(
    "a text form with one character changed is refused",
    { secret: secretOf, at: FastCheck.nat(), to: FastCheck.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") },
    ({ secret, at, to }) => {
      for (const kind of kinds) {
        const line = Bech32.encode(kind.prefix, secret)
        const place = at % line.length
        if (line[place] === to) continue
        const typo = `${line.slice(0, place)}${to}${line.slice(place + 1)}`
        expect(Either.isLeft(KeyText.decode(kind, Buffer.from(typo)))).toBe(true)
        const lost = `${line.slice(0, place)}${line.slice(place + 1)}`
        expect(Either.isLeft(KeyText.decode(kind, Buffer.from(lost)))).toBe(true)
      }
    }
  )
  it.prop("a text form opens as its own kind alone", { secret: secretOf }, ({ secret }) => {
    for (const kind of kinds)
      for (const other of kinds)
        expect(Either.isRight(KeyText.decode(other, Buffer.from(KeyText.encode(kind, new Secret(secret)))))).toBe(kind === other)
  })
})

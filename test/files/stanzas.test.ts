// Stanzas: the order of recipients, a key of another kind inside one, and the bounds of scrypt.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Secret } from "../../src/bytes/Secret.ts"
import type { Header } from "../../src/files/Header.ts"
import { Recipients } from "../../src/files/Recipients.ts"
import { unwrap, wrap } from "../../src/files/Stanzas.ts"
import { FileKey, kinds } from "../../src/keys/KeyKind.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import * as ProtectedKey from "../../src/keys/ProtectedKey.ts"
import { cheapestScrypt as cheap } from "../fixtures/scrypt.ts"
import { withPassphrase } from "./inMemory.ts"

const passphrase = Passphrase.fromText("x")
const headerKey = Secret.random(32)

const passphraseHeader = (payload: Uint8Array): Header => ({
  kind: "passphrase",
  stanzas: [payload],
  rekeyed: false
})

describe("a stanza for a passphrase", () => {
  it.effect.each(kinds.map((kind) => [kind.name, kind] as const))(
    "that holds a %s opens only if that is a file key",
    ([, kind]) =>
      Effect.gen(function* () {
        const payload = yield* Effect.promise(() =>
          ProtectedKey.wrap(kind, headerKey, passphrase, cheap)
        )
        const opened = yield* Effect.either(
          withPassphrase("x")(unwrap(passphraseHeader(payload), {}, "file"))
        )
        if (kind === FileKey)
          expect(opened).toMatchObject({ right: { sender: undefined, reader: undefined } })
        else
          expect(opened).toMatchObject({
            left: {
              _tag: "KeyRejected",
              reason: "wrong kind",
              detail: `holds a key of another kind: ${kind.name}`
            }
          })
      })
  )

  it.effect.each([
    ["log2N", { ...cheap, log2N: 14 }],
    ["log2N", { ...cheap, log2N: 21 }],
    ["r", { ...cheap, r: 9 }],
    ["p", { ...cheap, p: 2 }]
  ] as const)(
    "with %s out of the bounds of files is rejected before scrypt runs",
    ([name, scrypt]) =>
      Effect.gen(function* () {
        const payload = Buffer.alloc(99, 1)
        payload.set([1, scrypt.log2N, scrypt.r, scrypt.p])
        const error = yield* Effect.flip(
          withPassphrase("x")(unwrap(passphraseHeader(payload), {}, "file"))
        )
        expect(error).toMatchObject({ _tag: "FileTampered" })
        expect(String(error)).toContain(`asks scrypt for ${name} =`)
      })
  )

  it.effect("is not written with parameters that no reader accepts", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.provideService(
          wrap(Recipients.Passphrase({ reference: "file" }), headerKey, false),
          Passphrase,
          // Valid for keys, not for files.
          { ...Passphrase.always(passphrase), scrypt: { ...cheap, p: 2 } }
        )
      )
      expect(error).toMatchObject({ _tag: "PassphraseRefused" })
      expect(error.message).toContain("asks scrypt for p = 2")
    })
  )
})

describe("the stanzas of recipients", () => {
  const readers = [0, 1, 2].map(() => KeyPair.generate())
  const publicKeys = readers.map((reader) => reader.publicKey)
  const sender = KeyPair.generate()

  /** The order of the stanzas, by the index of the recipient that opens each. */
  const orderOf = ({ kind, stanzas }: Header) =>
    Effect.forEach(stanzas, (stanza) =>
      Effect.gen(function* () {
        for (const [index, identity] of readers.entries()) {
          // The others are placeholders: their number is bound by the prologue.
          const header = { kind, rekeyed: false, stanzas: [stanza, stanza, stanza] }
          const opened = yield* Effect.either(
            unwrap(header, { identity: Effect.succeed(identity) }, "file")
          )
          if (opened._tag === "Right") return index
        }
        return -1
      })
    )

  it.effect.each(["Recipients", "Anonymous"] as const)(
    "%s come in every order, each equally often",
    (tag) =>
      Effect.gen(function* () {
        const to =
          tag === "Recipients"
            ? Recipients.Recipients({ publicKeys, sender })
            : Recipients.Anonymous({ publicKeys })
        const counts = new Map<string, number>()
        for (let round = 0; round < 120; round++) {
          const order = (yield* orderOf(yield* wrap(to, headerKey, false))).join("")
          counts.set(order, (counts.get(order) ?? 0) + 1)
        }
        expect([...counts.keys()].toSorted()).toEqual(["012", "021", "102", "120", "201", "210"])
        // 20 of 120 are expected; fewer than 4 have a probability below one in a million.
        for (const count of counts.values()) expect(count).toBeGreaterThanOrEqual(4)
      })
  )

  it.effect("name the sender and the reader where there is one", () =>
    Effect.gen(function* () {
      const identity = readers[1] as KeyPair.KeyPair
      const keys = { identity: Effect.succeed(identity) }
      const named = yield* wrap(Recipients.Recipients({ publicKeys, sender }), headerKey, false)
      expect(yield* unwrap(named, keys, "file")).toMatchObject({
        sender: sender.publicKey,
        reader: identity.publicKey
      })
      const anonymous = yield* wrap(Recipients.Anonymous({ publicKeys }), headerKey, false)
      expect(yield* unwrap(anonymous, keys, "file")).toMatchObject({
        sender: undefined,
        reader: identity.publicKey
      })
    })
  )

  it.effect("are opened only after the check of their kind, which may fail", () =>
    Effect.gen(function* () {
      const header = yield* wrap(Recipients.Anonymous({ publicKeys }), headerKey, false)
      let loaded = false
      const error = yield* Effect.flip(
        unwrap(
          header,
          {
            check: (kind) => Effect.fail(`no ${kind}`),
            identity: Effect.sync(() => {
              loaded = true
              return readers[0] as KeyPair.KeyPair
            })
          },
          "file"
        )
      )
      expect([error, loaded]).toEqual(["no anonymous", false])
    })
  )
})

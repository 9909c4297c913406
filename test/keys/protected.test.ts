// Protected keys: the format, its bounds, and the errors.
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import * as KeyFile from "../../src/keys/KeyFile.ts"
import { ClassicKey, Identity, kinds, SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { limits } from "../../src/keys/limits.ts"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import * as ProtectedKey from "../../src/keys/ProtectedKey.ts"
import { sharedFolder } from "../fixtures/folder.ts"
import { cheapestScrypt } from "../fixtures/scrypt.ts"

/** Too cheap for a key that is loaded: `unwrap` accepts it, the bounds of `decode` do not. */
const tooCheapScrypt = { log2N: 4, r: 8, p: 1 }
const anyScrypt: ProtectedKey.Bounds = { log2N: [1, 20], r: [1, 16], p: [1, 4] }
const prefix = "SEALWIRE-PROTECTED-KEY-"

const found = (text: string) => {
  const it = ProtectedKey.find(Buffer.from(text))
  if (it === undefined) throw new Error("no protected key")
  return it
}
const refusalOf = <A>(either: Either.Either<A, KeyText.Rejection>) =>
  Either.getOrThrow(Either.flip(either))
const open = (text: string, passphrase: string) =>
  ProtectedKey.unwrap(
    Either.getOrThrow(ProtectedKey.decode(payloadOf(text), anyScrypt)),
    Passphrase.fromText(passphrase)
  )
const lineOf = (text: string): string => KeyText.keyLines(Buffer.from(text))?.[0] ?? ""
const payloadOf = (text: string): Buffer => Buffer.from(Bech32.decode(lineOf(text))?.bytes ?? [])
const withByte = (payload: Buffer, at: number, byte: number): string => {
  const changed = Buffer.from(payload)
  changed[at] = byte
  return Bech32.encode(prefix, changed)
}

let text = ""
let cheapText = ""
beforeAll(async () => {
  text = await ProtectedKey.wrapAsText(
    SharedKey,
    new Secret(Buffer.alloc(32, 7)),
    Passphrase.fromText("secret"),
    cheapestScrypt
  )
  cheapText = await ProtectedKey.wrapAsText(
    SharedKey,
    new Secret(Buffer.alloc(32, 7)),
    Passphrase.fromText("secret"),
    tooCheapScrypt
  )
})

describe("the format", () => {
  // Made from the specification alone, with Python's hashlib.scrypt, cryptography's AESGCM and an
  // independent bech32.
  it.for([
    [
      SharedKey,
      Buffer.from(Array.from({ length: 32 }, (_, index) => index + 1)),
      "pa\u0308sswort \u{1f511}",
      "SEALWIRE-PROTECTED-KEY-1QY8SSQ4Q5X328F9956N632D24WK2MT40CRQU9S7YCHRV0JXFET9C22V0PJ6WE8JTW5CNTVMUY8WRCU4DD55RRDP6P2FSL94NL32U86JN23Y6ZRUAS07QACF0SDF2QCJMXASRMNNL2RUSF8CD2QW33TNAVKH89MJP4SHZGNKL"
    ],
    [
      Identity,
      Buffer.from(Array.from({ length: 32 }, (_, index) => index + 33)),
      "correct horse",
      "SEALWIRE-PROTECTED-KEY-1QYGQJQGQQQQQQQQQQQQQQQQQQQQQQQQQQQQSYQCYQ5RQWZQFPG9N8HXNF02UXX6WP97PR9JS8PMNV3GMXYGHQJ9YRQFHC77PFYDM5U94WRR0JEWTQZYESP93S2V7PDUPJU8MMDQ0DLX2SGXFX5J35G8GP68ZS6QZX7J9N"
    ]
  ] as const)(
    "unwraps keys of another implementation",
    async ([kind, secret, passphrase, line]) => {
      const protectedKey = Either.getOrThrow(found(line))
      const opened = Either.getOrThrow(
        await ProtectedKey.unwrap(protectedKey, Passphrase.fromText(passphrase))
      )
      expect(opened.kind).toBe(kind)
      expect(Buffer.from(opened.secret.expose())).toEqual(secret)
    }
  )

  it("round-trips every kind and does not reveal it", async () => {
    expect(kinds.length).toBeGreaterThan(0)
    for (const kind of kinds) {
      const secret = Secret.random(kind.length)
      const text = await ProtectedKey.wrapAsText(
        kind,
        secret,
        Passphrase.fromText("päss"),
        tooCheapScrypt
      )
      expect(text).toMatch(/^# passphrase-protected key; .*\nSEALWIRE-PROTECTED-KEY-1[A-Z0-9]+\n$/)
      expect(text.toLowerCase()).not.toContain(kind.name)
      expect(text.length).toBeLessThan(KeyText.maxKeyText)
      const opened = Either.getOrThrow(await open(text, "pa\u0308ss"))
      expect([opened.kind, opened.secret.equals(secret)]).toEqual([kind, true])
    }
  })

  it("has a fresh salt, nonce and ciphertext each time", async () => {
    const again = await ProtectedKey.wrapAsText(
      SharedKey,
      new Secret(Buffer.alloc(32, 7)),
      Passphrase.fromText("secret"),
      tooCheapScrypt
    )
    const [one, two] = [payloadOf(cheapText), payloadOf(again)]
    for (const [from, to] of [
      [4, 20],
      [20, 32],
      [32, 64]
    ] as const)
      expect(one.subarray(from, to).equals(two.subarray(from, to))).toBe(false)
  })
})

describe("a protected key is rejected", () => {
  it("with a secret of another length than its kind has", async () => {
    for (const length of [31, 33]) {
      const passphrase = Passphrase.fromText("secret")
      const wrapped = await ProtectedKey.wrapAsText(
        SharedKey,
        Secret.random(length),
        passphrase,
        tooCheapScrypt
      )
      expect(refusalOf(await open(wrapped, "secret"))).toEqual({
        reason: "wrong length",
        detail: `has ${length} bytes; shared keys have 32`
      })
    }
  })
  it("with the wrong passphrase", async () => {
    for (const wrong of ["Secret", ""])
      expect(refusalOf(await open(cheapText, wrong))).toEqual({
        reason: "wrong passphrase",
        detail: "the passphrase is wrong"
      })
  })

  it("with a changed byte and a correct checksum", async () => {
    const payload = payloadOf(cheapText)
    // Salt, nonce, ciphertext, tag.
    for (const at of [4, 31, 32, payload.length - 1])
      expect(
        refusalOf(await open(withByte(payload, at, (payload[at] ?? 0) ^ 1), "secret")).reason
      ).toBe("wrong passphrase")
    // p: within bounds, and bound to the ciphertext.
    expect(refusalOf(await open(withByte(payload, 3, 2), "secret")).reason).toBe("wrong passphrase")
  })

  it("with a changed character, by its checksum", () => {
    const line = lineOf(text)
    for (let at = prefix.length + 1; at < line.length; at++) {
      const typo = line.slice(0, at) + (line[at] === "Q" ? "P" : "Q") + line.slice(at + 1)
      expect(refusalOf(found(typo))).toMatchObject({ reason: "damaged" })
    }
  })

  it("with scrypt parameters out of bounds, before scrypt runs", () => {
    const payload = payloadOf(text)
    for (const [at, name] of [
      [1, "log2N"],
      [2, "r"],
      [3, "p"]
    ] as const) {
      const [least, most] = limits.scrypt[name]
      for (const value of [0, least - 1, most + 1, 255])
        expect(refusalOf(found(withByte(payload, at, value)))).toEqual({
          reason: "parameters",
          detail: `asks scrypt for ${name} = ${value}; from ${least} to ${most} is allowed`
        })
      for (const value of [least, most])
        expect(Either.isRight(found(withByte(payload, at, value)))).toBe(true)
    }
  })

  it("with another version, when it is too short, or beside another key", () => {
    const payload = payloadOf(text)
    expect(refusalOf(found(withByte(payload, 0, 2))).detail).toContain("version 2")
    for (const length of [4, 32, 48])
      expect(refusalOf(found(Bech32.encode(prefix, payload.subarray(0, length)))).reason).toBe(
        "wrong length"
      )
    expect(refusalOf(found(`${text}${text}`)).detail).toContain("holds 2 lines that could be keys")
    expect(
      refusalOf(found(`${text}${KeyText.encode(SharedKey, Secret.random(32))}`)).detail
    ).toContain("holds 2 lines")
    expect(ProtectedKey.find(Buffer.from(text.padEnd(KeyText.maxKeyText + 1, "#")))).toBeUndefined()
  })
})

describe("a key store", () => {
  const load = Effect.flatMap(KeyStore, (store) => store.load(SharedKey))
  const from = (content: string) => Effect.provide(load, KeyStore.layerMemory(content))

  it.live("unwraps one with the provided passphrase", () =>
    Effect.gen(function* () {
      const key = yield* Effect.provideService(
        from(text),
        Passphrase,
        Passphrase.always(Passphrase.fromText("secret"))
      )
      expect(key.expose()).toEqual(Buffer.alloc(32, 7))
    })
  )

  it.live("without a passphrase source fails", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(from(text))).message).toBe(
        "no key from memory: it is protected by a passphrase, and none was given; provide the service Passphrase"
      )
    })
  )

  it.live("requests no other passphrase when the first has opened a key that is invalid", () =>
    Effect.gen(function* () {
      const passphrase = Passphrase.fromText("secret")
      const wrapped = yield* Effect.promise(() =>
        ProtectedKey.wrapAsText(SharedKey, Secret.random(31), passphrase, cheapestScrypt)
      )
      let requests = 0
      const source = {
        ...Passphrase.always(passphrase),
        maxAttempts: 3,
        request: () => Effect.sync(() => (requests++, passphrase))
      }
      const error = yield* Effect.flatMap(KeyStore, (store) => store.load(SharedKey)).pipe(
        Effect.provide(KeyStore.layerMemory(wrapped)),
        Effect.provideService(Passphrase, source),
        Effect.flip
      )
      expect([error, requests]).toMatchObject([{ reason: "wrong length" }, 1])
    })
  )

  it.live("requests a passphrase maxAttempts times", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [string, number]> = []
      const source = (maxAttempts: number): Passphrase.Shape => ({
        ...Passphrase.always(Passphrase.fromText("")),
        maxAttempts,
        request: (reference, attempt) =>
          Effect.sync(() => {
            asked.push([reference, attempt])
            return Passphrase.fromText(attempt === 3 ? "secret" : "wrong")
          })
      })
      yield* Effect.provideService(from(text), Passphrase, source(3))
      expect(asked).toEqual([
        ["memory", 1],
        ["memory", 2],
        ["memory", 3]
      ])
      const error = yield* Effect.flip(Effect.provideService(from(text), Passphrase, source(2)))
      expect(error).toMatchObject({
        _tag: "KeyRejected",
        reason: "wrong passphrase",
        message: "key refused: memory: the passphrase is wrong"
      })
      expect(asked).toHaveLength(5)
    })
  )

  it.live("names the wrong kind after unwrapping, and rejects zeros", () =>
    Effect.gen(function* () {
      const given = Passphrase.always(Passphrase.fromText("x"))
      const of = (kind: typeof Identity | typeof SharedKey, byte: number) =>
        Effect.promise(() =>
          ProtectedKey.wrapAsText(
            kind,
            new Secret(Buffer.alloc(32, byte)),
            Passphrase.fromText("x"),
            cheapestScrypt
          )
        )
      const complaint = (content: string) =>
        Effect.map(
          Effect.flip(Effect.provideService(from(content), Passphrase, given)),
          (error) => error.message
        )
      expect(yield* complaint(yield* of(Identity, 1))).toBe(
        "key refused: memory: is an identity; a shared key is needed"
      )
      expect(yield* complaint(yield* of(SharedKey, 0))).toContain(
        "a shared key of all zeros is not valid"
      )
    })
  )
})

describe("a key file", () => {
  const folder = sharedFolder()
  const given = (passphrase: string) =>
    Effect.provideService(Passphrase, {
      ...Passphrase.always(Passphrase.fromText(passphrase)),
      scrypt: cheapestScrypt
    })
  const complaint = <A, E extends Error>(effect: Effect.Effect<A, E>) =>
    Effect.map(Effect.flip(effect), ({ message }) => message)
  const at = (name: string, content: string | Uint8Array) => {
    const file = path.join(folder, name)
    writeFileSync(file, content)
    chmodSync(file, 0o600)
    return file
  }

  it.live(
    "is protected and unprotected in place; comments stay, and no temporary file is left",
    () =>
      Effect.gen(function* () {
        const secret = Secret.random(32)
        const plain = KeyText.encode(SharedKey, secret)
        const own = at("own", `# mine\n\n#second\n${plain}# below\n`)
        const real = at("real", plain)
        const link = path.join(folder, "link")
        symlinkSync(real, link)
        const [pem, raw] = [at("pem", KeyPair.encodePrivatePem(secret)), at("raw", secret.expose())]
        const cases = [
          [own, SharedKey, "# mine\n#second\n", `# mine\n#second\n${plain}`],
          [link, SharedKey, "", plain],
          [pem, Identity, "", KeyText.encode(Identity, secret)],
          [raw, ClassicKey, "", Buffer.from(secret.expose()).toString("latin1")]
        ] as const
        const names = readdirSync(folder).toSorted()
        for (const [file, kind, comments, again] of cases) {
          expect(yield* given("x")(KeyFile.protect(file))).toBe(kind)
          expect(readFileSync(file, "utf8")).toMatch(
            new RegExp(`^${comments}# passphrase-protected key; [^\n]*\n${prefix}1[A-Z0-9]+\n$`)
          )
          expect(statSync(file).mode & 0o777).toBe(0o600)
          expect(yield* complaint(given("x")(KeyFile.protect(file)))).toContain(
            "has a passphrase already; remove it before you set another"
          )
          expect(yield* given("x")(KeyFile.unprotect(file))).toBe(kind)
          expect(readFileSync(file, "latin1")).toBe(again)
          expect(yield* complaint(given("x")(KeyFile.unprotect(file)))).toContain(
            "has no passphrase"
          )
        }
        expect(readdirSync(folder).toSorted()).toEqual(names)
      })
  )

  it.live("is unprotected without the comment that an earlier version wrote above it", () =>
    Effect.gen(function* () {
      const plain = KeyText.encode(SharedKey, Secret.random(32))
      const file = at("earlier", `# mine\n${plain}`)
      yield* given("x")(KeyFile.protect(file))
      const comment =
        "# protected key: opens with its passphrase; to take the passphrase off: sealwire keys unprotect FILE"
      writeFileSync(file, readFileSync(file, "utf8").replace(/^# passphrase-.*$/m, comment))
      yield* given("x")(KeyFile.unprotect(file))
      expect(readFileSync(file, "utf8")).toBe(`# mine\n${plain}`)
    })
  )

  it.live("stays protected after a wrong passphrase", () =>
    Effect.gen(function* () {
      const file = at("stays", text)
      expect(yield* complaint(given("y")(KeyFile.unprotect(file)))).toContain(
        "the passphrase is wrong"
      )
      expect(readFileSync(file, "utf8")).toBe(text)
    })
  )

  it.live("is unchanged when it cannot be protected", () =>
    Effect.gen(function* () {
      const good = KeyText.encode(SharedKey, Secret.random(32))
      const file = at("left", good)
      expect(yield* complaint(given("")(KeyFile.protect(file)))).toBe(
        `no new passphrase for ${file}: it is empty; choose another`
      )
      expect(
        yield* complaint(given("x".repeat(limits.passphraseBytes + 1))(KeyFile.protect(file)))
      ).toContain("it is longer than 1024 bytes")
      expect(yield* complaint(KeyFile.protect(file))).toBe(
        `no new passphrase for ${file}: none was given; provide the service Passphrase`
      )
      expect(readFileSync(file, "utf8")).toBe(good)
      const damaged = at(
        "damaged",
        good.replace(/.\n$/, (end) => (end === "Q\n" ? "P\n" : "Q\n"))
      )
      expect(yield* complaint(given("x")(KeyFile.protect(damaged)))).toContain(
        "the checksum of this shared key is wrong"
      )
      expect(yield* complaint(given("x")(KeyFile.protect(at("none", "hello"))))).toContain(
        "holds no Sealwire key"
      )
      expect(yield* complaint(given("x")(KeyFile.protect(path.join(folder, "missing"))))).toContain(
        "no key at"
      )
      mkdirSync(path.join(folder, "folder"))
      expect(yield* complaint(given("x")(KeyFile.protect(path.join(folder, "folder"))))).toContain(
        "is not a regular file"
      )
      chmodSync(file, 0o644)
      expect(yield* complaint(given("x")(KeyFile.protect(file)))).toContain(
        "others can read or change it"
      )
    })
  )
})

import { createHash, generateKeyPairSync, randomBytes, randomUUID } from "node:crypto"
import { describe, expect, it } from "vitest"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { excerpt, quoted, shown } from "../../src/bytes/excerpt.ts"
import { mayBeSecret } from "../../src/bytes/mayBeSecret.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { likelyForms, ordinary, secretForms } from "../fixtures/secrets.ts"

describe("text that may be a secret", () => {
  it.for(Object.entries(secretForms))("is recognised: %s", async ([, make]) => {
    for (let count = 0; count < 200; count++) {
      const secret = await make()
      for (const text of [
        secret,
        `alice=${secret}`,
        `file:${secret}`,
        `./${secret}`,
        `/run/keys/${secret}`,
        ` ${secret}\n`
      ])
        expect([text, mayBeSecret(text)]).toEqual([text, true])
    }
  })

  it.for(["an identity", "a shared key", "a protected key", "an identity of age"])(
    "is recognised when it is truncated: %s",
    async (form) => {
      const secret = (await secretForms[form]?.()) ?? ""
      const start = secret.indexOf("1") + 1 + 6
      for (let length = start; length <= secret.length; length++)
        expect([length, mayBeSecret(secret.slice(0, length))]).toEqual([length, true])
    }
  )

  it.for(likelyForms)("is recognised mostly: %s", ([, make, share]) => {
    for (const before of ["", "alice=", "file:", "./"]) {
      let misses = 0
      for (let count = 0; count < 2000; count++) if (!mayBeSecret(before + make())) misses++
      expect([before, misses, misses / 2000 <= share]).toEqual([before, misses, true])
    }
  })

  it("is recognised when base64 is in lines", () => {
    for (let count = 0; count < 500; count++)
      for (const size of [22, 40]) {
        const lines = randomBytes(32)
          .toString("base64")
          .match(new RegExp(`.{1,${size}}`, "g"))
        for (const end of ["\n", "\r\n"]) {
          const text = lines?.join(end) ?? ""
          expect([text, mayBeSecret(text)]).toEqual([text, true])
        }
      }
  })

  it("is recognised as a key or a vector for openssl", () => {
    const hex = () => randomBytes(16).toString("hex")
    expect(mayBeSecret(`exec:openssl enc -d -aes-128-ctr -K ${hex()} -in k`)).toBe(true)
    expect(mayBeSecret(`exec:openssl enc -d -aes-128-ctr -iv ${hex()} -in k`)).toBe(true)
  })

  it("is recognised when a port follows", () => {
    for (const words of ["correct horse battery staple", "velvet-orbit-canyon-maple-drift-ember"])
      expect(mayBeSecret(`${words}:8080`)).toBe(true)
  })

  it("is recognised when a shell has split a PEM, by each long line", () => {
    for (let count = 0; count < 200; count++) {
      const pem = generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" })
      const [, body = ""] = pem.toString().split("\n")
      expect([body, mayBeSecret(body)]).toEqual([body, true])
    }
  })
})

describe("ordinary text", () => {
  it.for(ordinary.map((text) => [text] as const))("is no secret: %s", ([text]) => {
    expect(mayBeSecret(text)).toBe(false)
    expect(quoted(text)).toBe(`"${text}"`)
    expect(shown(text)).toBe(text)
  })

  it("is no secret: public keys and fingerprints", () => {
    for (let count = 0; count < 500; count++) {
      const key = randomBytes(32)
      const text = PublicKey.encode(key)
      const fingerprint = PublicKey.fingerprint(key)
      for (const shown of [text, text.toUpperCase(), fingerprint, `alice ${text} ${fingerprint}`])
        expect([shown, mayBeSecret(shown)]).toEqual([shown, false])
      expect(mayBeSecret(Bech32.encode("age", key))).toBe(false)
    }
  })

  it("is no secret: identifiers of every kind", () => {
    const names = [
      () => randomUUID(),
      () => `/srv/data/${randomUUID()}/${randomUUID()}.json`,
      () => randomBytes(10).toString("base64url"),
      () => `2001:db8:${(randomBytes(12).toString("hex").match(/..../g) ?? []).join(":")}`,
      () => `[2001:db8:${(randomBytes(12).toString("hex").match(/..../g) ?? []).join(":")}]:8080`,
      () => `/nix/store/${randomBytes(20).toString("hex")}-sealwire-0.1.0/bin/sealwire`,
      // Hexadecimal that has the form of bech32.
      () => `f1${randomBytes(19).toString("hex").replace(/[1b]/g, "0")}`,
      () => `F1${randomBytes(15).toString("hex").replace(/[1b]/g, "0")}`.toUpperCase()
    ]
    for (let count = 0; count < 500; count++)
      for (const make of names) {
        const text = make()
        expect([text, mayBeSecret(text)]).toEqual([text, false])
      }
  })

  it("is no secret: short digests and identifiers in hexadecimal", () => {
    for (let count = 0; count < 500; count++)
      for (const algorithm of ["md5", "sha1"])
        expect(mayBeSecret(createHash(algorithm).update(randomBytes(8)).digest("hex"))).toBe(false)
  })
})

it("messages state the length in place of a secret", () => {
  const secret = "a".repeat(4) + "0123456789abcdef".repeat(4)
  expect(shown(secret)).toBe("(68 characters that may be a key; not repeated)")
  expect(quoted(secret)).toBe(shown(secret))
  expect(excerpt(secret)).toBe(shown(secret))
  expect(excerpt("x ".repeat(30))).toBe("this")
})

it.each(["a", "aB3", "0f", "a ", "-", "ab:", "a/", "a\n", "abandon "])(
  "a long text of %j is examined in a moment",
  (part) => {
    const begun = performance.now()
    for (let count = 0; count < 20; count++) mayBeSecret(part.repeat(50_000))
    // Without a bound each call took seconds.
    expect(performance.now() - begun).toBeLessThan(10_000)
  }
)

// The text forms of keys: what each kind accepts, and why it rejects the rest.
import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { ClassicGcmKey, ClassicKey, FileKey, Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import type { KeyKind } from "../../src/keys/KeyKind.ts"
import { encodePrivatePem, encodePublicPem, generate } from "../../src/keys/KeyPair.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"

const secret = Secret.random(32)
const hex = Buffer.from(secret.expose()).toString("hex")
const rejection = (kind: KeyKind<unknown>, content: string | Uint8Array) =>
  Either.match(KeyText.decode(kind, Buffer.from(content)), {
    onLeft: ({ reason, detail }) => `${reason}: ${detail}`,
    onRight: (key) => (Buffer.compare(key.expose(), secret.expose()) === 0 ? "read" : "other key")
  })
const line = (kind: KeyKind<unknown>, bytes: Uint8Array = secret.expose()) =>
  Bech32.encode(kind.prefix, bytes)

describe("a key", () => {
  it("is read as text, with comments, blank lines, and either end of line", () => {
    for (const text of [line(SharedKey), `# mine\r\n\r\n  ${line(SharedKey)} \r\n`])
      expect(rejection(SharedKey, text)).toBe("read")
    expect(rejection(SharedKey, line(SharedKey).toLowerCase())).toBe("read")
  })

  it("is read as raw bytes or hexadecimal only where its kind has that form", () => {
    expect(rejection(ClassicKey, secret.expose())).toBe("read")
    expect(rejection(ClassicKey, hex)).toBe("read")
    for (const kind of [SharedKey, FileKey, Identity, ClassicGcmKey]) {
      expect(rejection(kind, hex)).toContain("wrong length: is not")
      expect(rejection(kind, Buffer.alloc(32, 0x61))).toContain("wrong length: is not")
    }
    expect(rejection(ClassicKey, hex.slice(2))).toContain("wrong length: has 62 bytes")
  })

  it("of another kind, or a public key, is named", () => {
    expect(rejection(SharedKey, line(FileKey))).toBe(
      "wrong kind: is a file key; a shared key is needed"
    )
    expect(rejection(FileKey, encodePrivatePem(secret))).toBe(
      "wrong kind: is an identity; a file key is needed"
    )
    const { publicKey } = generate()
    for (const text of [PublicKey.encode(publicKey), encodePublicPem(publicKey)])
      for (const kind of [Identity, SharedKey])
        expect(rejection(kind, text)).toBe(
          `wrong kind: is a public key; ${KeyText.withArticle(kind)} is needed`
        )
  })

  it("with a changed character, or beside another, is damaged", () => {
    const changed = line(SharedKey).replace(/.$/, (last) => (last === "Q" ? "P" : "Q"))
    expect(rejection(SharedKey, changed)).toContain("damaged: the checksum")
    expect(rejection(SharedKey, `${line(SharedKey)}\n${line(SharedKey)}\n`)).toContain(
      "damaged: holds 2 lines"
    )
  })

  it("has exactly its length", () => {
    for (const length of [1, 31, 33, 64])
      expect(rejection(SharedKey, line(SharedKey, Buffer.alloc(length, 7)))).toContain(
        "wrong length"
      )
    expect(rejection(ClassicKey, Buffer.alloc(4096, 0xe9))).toBe(
      "wrong length: has 4096 bytes; a classic key has 32"
    )
    expect(rejection(ClassicKey, Buffer.alloc(4097, 0xe9))).toBe(
      "wrong length: is longer than the 4096 bytes a key may have"
    )
    expect(rejection(SharedKey, `${line(SharedKey)}\n${"#".repeat(4096)}`)).toContain("is longer")
  })

  it("is not all zero, nor in the part that encrypts", () => {
    const ivOnly = Buffer.concat([Buffer.alloc(16), Buffer.alloc(16, 1)])
    const keyOnly = Buffer.concat([Buffer.alloc(16, 1), Buffer.alloc(16)])
    expect(rejection(ClassicKey, Buffer.alloc(32))).toContain("all zero")
    expect(rejection(ClassicKey, ivOnly)).toContain("all zero")
    expect(rejection(ClassicKey, keyOnly)).toBe("other key")
    expect(rejection(SharedKey, line(SharedKey, Buffer.alloc(32)))).toContain("all zero")
    expect(rejection(SharedKey, line(SharedKey, ivOnly))).toBe("other key")
  })
})

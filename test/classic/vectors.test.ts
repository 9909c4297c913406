// Published vectors, and vectors of other programs. An empty list fails.
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { hkdfSync } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as HmacCbc from "../../src/classic/Aes128CbcHmacSha256.ts"
import * as Gcm from "../../src/classic/Aes256Gcm.ts"
import * as Cbc from "../../src/classic/InsecureAes128Cbc.ts"

const hex = (text: string) => Buffer.from(text, "hex")
const read = (file: string) =>
  readFileSync(path.join(import.meta.dirname, "../vectors", file), "utf8")

/** Vectors in another project's repository, read in place and never copied. */
const reference = path.resolve(import.meta.dirname, "../../../shared/vectors/reference")
interface Wycheproof<T> {
  readonly testGroups: ReadonlyArray<{
    readonly keySize: number
    readonly ivSize: number
    readonly tagSize: number
    readonly tests: ReadonlyArray<T>
  }>
}

it("aes-128-cbc: the message of the original C++ pair", () => {
  const key = hex("d132e6dc58223e4b68118df9725a16f6")
  const iv = hex("f4a4176db5c3825404bcd5d67df8de9b")
  expect(Cbc.encrypt(key, iv, Buffer.from("Hello Server!"))).toEqual(
    hex("aa2ce453438ce0ea54e75c5d8d125eb0")
  )
})

describe("aes-128-cbc: openssl enc", () => {
  const { vectors } = JSON.parse(read("classic-openssl-enc.json")) as {
    vectors: ReadonlyArray<{
      key_file: string
      plaintext: string
      ciphertext: string
      cxx_server_can_read: boolean
    }>
  }
  it("has 22 vectors", () => expect(vectors.length).toBe(22))
  it.each(vectors.map((vector) => [vector.plaintext.length / 2, vector] as const))(
    "%i bytes",
    (length, vector) => {
      const key = hex(vector.key_file).subarray(0, 16)
      const iv = hex(vector.key_file).subarray(16)
      expect(Cbc.encrypt(key, iv, hex(vector.plaintext))).toEqual(hex(vector.ciphertext))
      expect(Cbc.decrypt(key, iv, hex(vector.ciphertext))).toEqual(hex(vector.plaintext))
      expect(length <= (Cbc.InsecureAes128Cbc.originLimit ?? 0)).toBe(vector.cxx_server_can_read)
    }
  )
})

describe("aes-128-cbc: padding", () => {
  const key = Buffer.alloc(16, 1)
  const iv = Buffer.alloc(16, 2)
  it("accepts every correct padding and no other last byte", () => {
    // Encrypting whole blocks adds a full block of padding; removing it leaves any padding we
    // choose.
    const sealed = (padded: Uint8Array) => Cbc.encrypt(key, iv, padded).subarray(0, padded.length)
    for (let count = 1; count <= 16; count++) {
      const good = Buffer.concat([Buffer.alloc(32 - count, 0xaa), Buffer.alloc(count, count)])
      expect(Cbc.decrypt(key, iv, sealed(good))).toEqual(Buffer.alloc(32 - count, 0xaa))
      for (let back = 2; back <= count; back++) {
        const bad = Buffer.from(good)
        bad[32 - back] = 0xbb
        expect(Cbc.decrypt(key, iv, sealed(bad))).toBeUndefined()
      }
    }
    for (const last of [0, 17, 18, 127, 128, 240, 255])
      expect(Cbc.decrypt(key, iv, sealed(Buffer.alloc(32, last)))).toBeUndefined()
  })
})

describe("RFC 7518 appendix B", () => {
  interface Vector {
    readonly alg: string
    readonly key: string
    readonly iv: string
    readonly aad: string
    readonly plaintext: string
    readonly ciphertext: string
    readonly tag: string
  }
  const vector = (JSON.parse(read("rfc7518-appendix-b.json")) as ReadonlyArray<Vector>).find(
    ({ alg }) => alg === "A128CBC-HS256"
  )
  it("B.1, both ways", () => {
    if (vector === undefined) throw new Error("B.1 is missing from the file")
    const [key, iv, aad, plaintext, ciphertext, tag] = [
      vector.key,
      vector.iv,
      vector.aad,
      vector.plaintext,
      vector.ciphertext,
      vector.tag
    ].map(hex) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer]
    expect(HmacCbc.encrypt(key, iv, aad, plaintext)).toEqual({ ciphertext, tag })
    expect(HmacCbc.decrypt(key, iv, aad, ciphertext, tag)).toEqual(plaintext)
    expect(HmacCbc.decrypt(key, iv, aad, ciphertext, tag.subarray(0, 8))).toBeUndefined()
    expect(HmacCbc.decrypt(key, iv, Buffer.alloc(0), ciphertext, tag)).toBeUndefined()
  })
})

it("HKDF-SHA-256: RFC 5869 appendix A", () => {
  const cases = read("rfc-5869-HKDF-SHA256.txt")
    .split(/(?=COUNT = )/)
    .map(
      (block) =>
        new Map(
          [...block.matchAll(/^(\w+) *= ?(.*)$/gm)].map((match) => [match[1] ?? "", match[2] ?? ""])
        )
    )
    .filter((fields) => fields.has("OKM"))
  expect(cases.length).toBe(3)
  for (const fields of cases) {
    const field = (name: string) => hex(fields.get(name) ?? "")
    const okm = field("OKM")
    expect(
      Buffer.from(hkdfSync("sha256", field("IKM"), field("salt"), field("info"), okm.length))
    ).toEqual(okm)
  }
})

describe("aes-256-gcm: NIST CAVP", () => {
  interface Vector {
    readonly Key: string
    readonly IV: string
    readonly CT: string
    readonly AAD: string
    readonly Tag: string
    readonly PT?: string
    readonly fail?: boolean
  }
  const vectors = JSON.parse(read("cavp-gcm256.json")) as ReadonlyArray<Vector>
  it("750 cases, of which 191 must fail", () => {
    expect(vectors.length).toBe(750)
    expect(vectors.filter(({ fail }) => fail === true).length).toBe(191)
    for (const { Key, IV, CT, AAD, Tag, PT, fail } of vectors) {
      const opened = Gcm.decrypt(hex(Key), hex(IV), hex(AAD), Buffer.concat([hex(CT), hex(Tag)]))
      expect(opened).toEqual(fail === true ? undefined : hex(PT ?? ""))
      if (fail !== true)
        expect(Gcm.encrypt(hex(Key), hex(IV), hex(AAD), hex(PT ?? ""))).toEqual(
          Buffer.concat([hex(CT), hex(Tag)])
        )
    }
  })
})

describe.skipIf(!existsSync(reference))("Wycheproof", () => {
  const wycheproof = <T>(file: string) =>
    JSON.parse(readFileSync(path.join(reference, file), "utf8")) as Wycheproof<T>

  it("AES-CBC-PKCS5 with 128-bit keys", () => {
    interface Vector {
      readonly key: string
      readonly iv: string
      readonly msg: string
      readonly ct: string
      readonly result: "valid" | "invalid"
    }
    const tests = wycheproof<Vector>("aes_cbc_pkcs5_test.json")
      .testGroups.filter(({ keySize }) => keySize === 128)
      .flatMap(({ tests }) => tests)
    expect(tests.length).toBeGreaterThan(50)
    for (const { key, iv, msg, ct, result } of tests) {
      const opened = Cbc.decrypt(hex(key), hex(iv), hex(ct))
      expect(opened).toEqual(result === "valid" ? hex(msg) : undefined)
      if (result === "valid") expect(Cbc.encrypt(hex(key), hex(iv), hex(msg))).toEqual(hex(ct))
    }
  })

  it("AES-GCM with 256-bit keys and 96-bit nonces", () => {
    interface Vector {
      readonly key: string
      readonly iv: string
      readonly aad: string
      readonly msg: string
      readonly ct: string
      readonly tag: string
      readonly result: "valid" | "invalid"
    }
    const tests = wycheproof<Vector>("aes_gcm_test.json")
      .testGroups.filter(
        ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128
      )
      .flatMap(({ tests }) => tests)
    expect(tests.length).toBeGreaterThan(50)
    for (const { key, iv, aad, msg, ct, tag, result } of tests) {
      const sealed = Buffer.concat([hex(ct), hex(tag)])
      expect(Gcm.decrypt(hex(key), hex(iv), hex(aad), sealed)).toEqual(
        result === "valid" ? hex(msg) : undefined
      )
      if (result === "valid")
        expect(Gcm.encrypt(hex(key), hex(iv), hex(aad), hex(msg))).toEqual(sealed)
    }
  })
})

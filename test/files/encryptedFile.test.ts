// FORMAT.md: which keys read a file, what each reader learns, and detection of every change.
import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import { chunkBytes, prefixBytes, sealedChunkBytes } from "../../src/files/Cobblestone.ts"
import * as Prelude from "../../src/files/Prelude.ts"
import * as Header from "../../src/files/Header.ts"
import type { DecryptionKeys } from "../../src/files/Stanzas.ts"
import { openMessage } from "../../src/files/Opener.ts"
import { sealMessage } from "../../src/files/Sealer.ts"
import { Recipients } from "../../src/files/Recipients.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import { runs, sample, sampled } from "../fixtures/sample.ts"
import { decryptBuffer, encryptToBuffer, fileKey } from "./inMemory.ts"

const key = Secret.random(32)
const [alice, bob, carol, eve] = [0, 1, 2, 3].map(() => KeyPair.generate()) as [
  KeyPair.KeyPair,
  KeyPair.KeyPair,
  KeyPair.KeyPair,
  KeyPair.KeyPair
]
const as = (identity: KeyPair.KeyPair): DecryptionKeys => ({ identity: Effect.succeed(identity) })
const plaintext = randomBytes(40_960)
const toBobAndCarol = Recipients.Recipients({
  publicKeys: [bob.publicKey, carol.publicKey],
  sender: alice
})

const contextBytes = (file: Buffer) => Prelude.fixedBytes + file.readUInt32BE(8)
const headerOf = (file: Buffer) =>
  Header.decode(file.subarray(Prelude.fixedBytes, contextBytes(file)))
const payloadOf = (file: Buffer) => file.subarray(Prelude.lengthOf(file))

describe("a file is decrypted", () => {
  it("with its file key only", async () => {
    const file = await encryptToBuffer(Recipients.FileKey({ key }), plaintext)
    expect(await decryptBuffer(file, fileKey(key))).toEqual({
      plaintext,
      origin: {
        kind: "fileKey",
        sender: undefined,
        reader: undefined,
        recipients: 1,
        rekeyed: false
      }
    })
    expect(await decryptBuffer(file, fileKey(Secret.random(32)))).toMatchObject({
      error: { _tag: "NotForThisKey" },
      released: 0
    })
    expect(await decryptBuffer(file, as(bob))).toMatchObject({ error: { _tag: "NotForThisKey" } })
  })

  it("with its passphrase only", async () => {
    const file = await encryptToBuffer(
      Recipients.Passphrase({ reference: "x" }),
      plaintext,
      "correct horse"
    )
    expect(await decryptBuffer(file, {}, "correct horse")).toMatchObject({
      plaintext,
      origin: { kind: "passphrase" }
    })
    expect(await decryptBuffer(file, {}, "battery")).toMatchObject({
      error: { _tag: "KeyRejected", reason: "wrong passphrase" }
    })
  })

  it("by each recipient, with the sender's key, and by no other key, not even the sender's", async () => {
    const file = await encryptToBuffer(toBobAndCarol, plaintext)
    for (const reader of [bob, carol])
      expect(await decryptBuffer(file, as(reader))).toEqual({
        plaintext,
        origin: {
          kind: "recipients",
          sender: alice.publicKey,
          reader: reader.publicKey,
          recipients: 2,
          rekeyed: false
        }
      })
    for (const other of [alice, eve])
      expect(await decryptBuffer(file, as(other))).toMatchObject({
        error: { _tag: "NotForThisKey" }
      })
    expect(await decryptBuffer(file, fileKey(key))).toMatchObject({
      error: { _tag: "NotForThisKey" }
    })
    for (const form of ["hex", "base64url", "latin1"] as const)
      expect(file.toString("latin1")).not.toContain(Buffer.from(alice.publicKey).toString(form))
  })

  it("by each recipient of an anonymous file, without the sender", async () => {
    const file = await encryptToBuffer(
      Recipients.Anonymous({ publicKeys: [bob.publicKey, carol.publicKey] }),
      plaintext
    )
    for (const reader of [bob, carol])
      expect(await decryptBuffer(file, as(reader))).toMatchObject({
        plaintext,
        origin: { kind: "anonymous", sender: undefined }
      })
  })
})

it("a repeated recipient counts once; none, too many, and a key of low order are rejected", async () => {
  const twice = await encryptToBuffer(
    Recipients.Anonymous({ publicKeys: [bob.publicKey, Buffer.from(bob.publicKey)] }),
    plaintext
  )
  expect(headerOf(twice)?.stanzas.length).toBe(1)
  const many = Array.from({ length: 257 }, () => randomBytes(32))
  for (const publicKeys of [[], many, [bob.publicKey, Buffer.alloc(32)]])
    await expect(
      encryptToBuffer(Recipients.Recipients({ publicKeys, sender: alice }), plaintext)
    ).rejects.toThrow(/1 to 256 recipients|not a valid public key/)
})

it("256 recipients can all decrypt", { timeout: 20_000 }, async () => {
  const readers = Array.from({ length: 256 }, () => KeyPair.generate())
  const publicKeys = readers.map(({ publicKey }) => publicKey)
  const file = await encryptToBuffer(
    Recipients.Recipients({ publicKeys, sender: alice }),
    plaintext
  )
  expect(file.readUInt32BE(8)).toBeLessThanOrEqual(65_536)
  for (const reader of [readers[0], readers[128], readers[255]])
    expect(await decryptBuffer(file, as(reader as KeyPair.KeyPair))).toMatchObject({
      origin: { recipients: 256 }
    })
})

it.live.prop(
  "round-trips any length to any number of recipients",
  {
    length: FastCheck.integer({ min: 0, max: 3 * chunkBytes }),
    count: FastCheck.integer({ min: 1, max: 6 })
  },
  ({ length, count }) =>
    Effect.promise(async () => {
      const readers = Array.from({ length: count }, () => KeyPair.generate())
      const content = randomBytes(length)
      const publicKeys = readers.map(({ publicKey }) => publicKey)
      const file = await encryptToBuffer(
        Recipients.Recipients({ publicKeys, sender: alice }),
        content
      )
      for (const reader of readers) {
        const result = await decryptBuffer(file, as(reader))
        expect(content.equals(result.plaintext ?? Buffer.alloc(0))).toBe(
          length > 0 || result.plaintext?.length === 0
        )
        expect(result.origin?.recipients).toBe(count)
      }
    }),
  { fastCheck: { numRuns: runs(8, 20) } }
)

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, at) => at)

describe(sampled("detects every changed byte of a file of 40 KB"), () => {
  it("in the prelude, before any plaintext is released", async () => {
    for (const [to, keys] of [
      [Recipients.FileKey({ key }), fileKey(key)],
      [toBobAndCarol, as(bob)]
    ] as const) {
      const file = await encryptToBuffer(to, plaintext)
      const preludeEnd = (Prelude.lengthOf(file) ?? 0) + prefixBytes
      for (const at of sample(range(preludeEnd), 60)) {
        const changed = Buffer.from(file)
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
        const result = await decryptBuffer(changed, keys)
        expect(result).toMatchObject({ released: 0 })
        expect([
          "NotEncrypted",
          "FileFromNewer",
          "FileTampered",
          "FileTruncated",
          "NotForThisKey"
        ]).toContain(result.error?._tag)
      }
    }
  })

  it("in its version: a later one is named", async () => {
    const file = await encryptToBuffer(Recipients.FileKey({ key }), plaintext)
    const versionAt = Prelude.magic.length - 1
    const version = (file[versionAt] ?? 0) + 1
    file[versionAt] = version
    expect(await decryptBuffer(file, fileKey(key))).toMatchObject({
      error: { _tag: "FileFromNewer", version },
      released: 0
    })
  })

  it("in the payload, after releasing only authentic plaintext", async () => {
    const file = await encryptToBuffer(Recipients.FileKey({ key }), plaintext)
    const prelude = Prelude.decode(file.subarray(0, Prelude.lengthOf(file)))
    const headerKey = openMessage(
      key.expose(),
      Buffer.from("sealwire file v1 file key"),
      prelude?.header.stanzas[0] ?? Buffer.alloc(0)
    )
    if (prelude === undefined || typeof headerKey === "string")
      throw new Error("the prelude does not open")
    const payloadKey = Prelude.openKeyBlock(prelude, new Secret(headerKey)) ?? Buffer.alloc(0)
    const payload = Buffer.from(payloadOf(file))
    expect(plaintext.equals(openMessage(payloadKey, Prelude.magic, payload) as Uint8Array)).toBe(
      true
    )
    expect(payload.length).toBeGreaterThan(40_960)
    for (const at of sample(range(payload.length), 1000)) {
      const before = payload[at] ?? 0
      payload[at] = before ^ (1 << (at % 8))
      if (typeof openMessage(payloadKey, Prelude.magic, payload) !== "string")
        throw new Error(`a change at ${at} was not detected`)
      payload[at] = before
    }
    // The same through the stream, at the start of each chunk.
    for (let chunk = 0; chunk < 3; chunk++) {
      const changed = Buffer.from(file)
      const at = file.length - payload.length + prefixBytes + chunk * sealedChunkBytes
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(await decryptBuffer(changed, fileKey(key))).toMatchObject({
        error: { _tag: "FileTampered" }
      })
    }
  })

  it("and every truncation: of the prelude as FileTruncated, of the payload as either error", async () => {
    const file = await encryptToBuffer(Recipients.FileKey({ key }), plaintext)
    const preludeEnd = (Prelude.lengthOf(file) ?? 0) + prefixBytes
    for (let length = 0; length < file.length; length += length < preludeEnd + 40 ? 1 : 509) {
      const { error } = await decryptBuffer(file.subarray(0, length), fileKey(key))
      const expected =
        length < 8
          ? ["NotEncrypted"]
          : length < preludeEnd + 16
            ? ["FileTruncated"]
            : ["FileTruncated", "FileTampered"]
      expect(expected).toContain(error?._tag)
    }
    expect(
      await decryptBuffer(file.subarray(0, preludeEnd + sealedChunkBytes), fileKey(key))
    ).toMatchObject({
      error: { _tag: "FileTruncated" },
      released: chunkBytes
    })
  })
})

describe("parts of other files are detected", () => {
  it("a payload, key block or header", async () => {
    const [one, other] = [
      await encryptToBuffer(toBobAndCarol, plaintext),
      await encryptToBuffer(toBobAndCarol, plaintext)
    ]
    const preludeEnd = Prelude.lengthOf(one) ?? 0
    const [context, contextOther] = [contextBytes(one), contextBytes(other)]
    for (const mixed of [
      [one.subarray(0, preludeEnd), payloadOf(other)],
      [one.subarray(0, context), other.subarray(contextOther, preludeEnd), payloadOf(one)],
      [one.subarray(0, context), other.subarray(contextOther)],
      [other.subarray(0, contextOther), one.subarray(context)]
    ])
      expect(await decryptBuffer(Buffer.concat(mixed), as(bob))).toMatchObject({
        error: { _tag: "FileTampered" },
        released: 0
      })
  })

  it("a removed, moved or foreign stanza", async () => {
    const [file, other] = [
      await encryptToBuffer(toBobAndCarol, plaintext),
      await encryptToBuffer(toBobAndCarol, plaintext)
    ]
    const header = headerOf(file)
    const [first, second] = header?.stanzas ?? []
    const foreign = headerOf(other)?.stanzas[0]
    if (
      header === undefined ||
      first === undefined ||
      second === undefined ||
      foreign === undefined
    )
      throw new Error("two stanzas")
    const withStanzas = (stanzas: ReadonlyArray<Uint8Array>) => {
      const text = Header.encode({ ...header, stanzas })
      const length = Buffer.alloc(4)
      length.writeUInt32BE(text.length)
      return Buffer.concat([Prelude.magic, length, text, file.subarray(contextBytes(file))])
    }
    expect(await decryptBuffer(withStanzas([first, second]), as(bob))).toMatchObject({ plaintext })
    for (const stanzas of [
      [first],
      [second],
      [second, first],
      [first, second, foreign],
      [foreign, second],
      [first, first]
    ])
      for (const reader of [bob, carol])
        expect((await decryptBuffer(withStanzas(stanzas), as(reader))).error).toBeDefined()
  })

  it("a recipient cannot make a file for several look like one for a single recipient: the prologue has the number", async () => {
    const file = await encryptToBuffer(toBobAndCarol, plaintext)
    // Carol knows the header key and could seal any key block with it; but Bob's stanza does not
    // open in a header of one stanza.
    const stanzas = headerOf(file)?.stanzas ?? []
    for (const stanza of stanzas) {
      const forged = Prelude.encode(
        { kind: "recipients", stanzas: [stanza], rekeyed: false },
        key,
        Secret.random(32)
      )
      expect(await decryptBuffer(Buffer.concat([forged, payloadOf(file)]), as(bob))).toMatchObject({
        error: { _tag: "NotForThisKey" }
      })
    }
  })
})

describe("a header has one valid spelling", () => {
  const stanza = Buffer.alloc(104, 7)
  const text = Buffer.from(
    Header.encode({ kind: "fileKey", stanzas: [stanza], rekeyed: false })
  ).toString()
  const b64 = stanza.toString("base64url")

  it("which decodes", () => {
    expect(text).toBe(`{"fileKey":["${b64}"]}`)
    expect(Header.decode(Buffer.from(text))).toEqual({
      kind: "fileKey",
      stanzas: [stanza],
      rekeyed: false
    })
    const rekeyed = `{"fileKey":["${b64}"],"rekeyed":true}`
    expect(Header.decode(Buffer.from(rekeyed))).toEqual({
      kind: "fileKey",
      stanzas: [stanza],
      rekeyed: true
    })
  })

  it.each([
    ["a blank", `{"fileKey": ["${b64}"]}`],
    ["a trailing newline", `${text}\n`],
    ["padding", `{"fileKey":["${stanza.toString("base64")}"]}`],
    ["unused bits", `{"fileKey":["${b64.slice(0, -1)}d"]}`],
    ["an escape", `{"file\\u004bey":["${b64}"]}`],
    ["no stanza", '{"fileKey":[]}'],
    ["too many stanzas", `{"fileKey":["${b64}","${b64}"]}`],
    ["a short stanza", '{"fileKey":["AAAA"]}'],
    ["the stanza of another kind", `{"anonymous":["${b64}"]}`],
    ["a number", '{"fileKey":[1]}'],
    ["a string instead of a list", `{"fileKey":"${b64}"}`],
    ["an unknown member", `{"fileKey":["${b64}"],"name":"x"}`],
    ["rekeyed false", `{"fileKey":["${b64}"],"rekeyed":false}`],
    ["rekeyed first", `{"rekeyed":true,"fileKey":["${b64}"]}`],
    ["two kinds", `{"fileKey":["${b64}"],"passphrase":["${b64}"]}`],
    ["a repeated member", `{"fileKey":["${b64}"],"fileKey":["${b64}"]}`],
    ["nothing", ""],
    ["null", "null"],
    ["an array", "[]"],
    ["the prototype", `{"__proto__":["${b64}"]}`],
    ["invalid JSON", "{"]
  ])("and is rejected with %s", (_, other) =>
    expect(Header.decode(Buffer.from(other))).toBeUndefined()
  )

  it("and a header length out of bounds is rejected before it is read", async () => {
    const file = await encryptToBuffer(Recipients.FileKey({ key }), plaintext)
    for (const length of [0, 65_537, 0xffff_ffff]) {
      const changed = Buffer.from(file)
      changed.writeUInt32BE(length, 8)
      expect(await decryptBuffer(changed, fileKey(key))).toMatchObject({
        error: { _tag: "FileTampered" }
      })
    }
  })
})

it("a stanza for a file key is a Cobblestone message with its own context", () => {
  expect(
    openMessage(
      key.expose(),
      Buffer.from("sealwire file v1 file key"),
      sealMessage(key.expose(), Buffer.alloc(0), plaintext)
    )
  ).toBe("wrong key")
})

// c2sp.org/chunked-encryption: published vectors, and properties at any length.
import { createHash, randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { inflateSync } from "node:zlib"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  beginMessage,
  chunkBytes,
  Cobblestone128,
  Cobblestone256,
  plaintextLength,
  prefixBytes,
  resumeMessage,
  saltBytes,
  sealedChunkBytes,
  sealedLength,
  tagBytes,
  type MessageKeys
} from "../../src/files/Cobblestone.ts"
import { isOpenFailure, openMessage, Opener } from "../../src/files/Opener.ts"
import { sealMessage, Sealer } from "../../src/files/Sealer.ts"

const hex = (text: string) => Buffer.from(text, "hex")
const kinds = [Cobblestone128, Cobblestone256] as const
const ofKey = (key: Uint8Array) => kinds.find(({ keyBytes }) => keyBytes === key.length)

describe("PyCA", () => {
  interface Vector {
    readonly id: string
    readonly key: string
    readonly context: string
    readonly plaintext_shake256_of: string
    readonly plaintext_len: number
    readonly plaintext_sha256: string
    readonly ct: string
  }
  const file = path.join(import.meta.dirname, "../vectors/cobblestone-pyca.json")
  const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: ReadonlyArray<Vector> }
  it("has 18 vectors", () => expect(vectors.length).toBe(18))

  it.each(vectors.map((vector) => [vector.id, vector] as const))("%s, both ways", (_, vector) => {
    const [key, context, message] = [
      hex(vector.key),
      hex(vector.context),
      Buffer.from(vector.ct, "base64")
    ]
    const cobblestone = ofKey(key)
    if (cobblestone === undefined) throw new Error("a key of no known length")
    const plaintext = createHash("shake256", { outputLength: Math.max(vector.plaintext_len, 1) })
      .update(vector.plaintext_shake256_of)
      .digest()
      .subarray(0, vector.plaintext_len)
    expect(createHash("sha256").update(plaintext).digest("hex")).toBe(vector.plaintext_sha256)
    expect(plaintext.equals(openMessage(key, context, message, cobblestone) as Uint8Array)).toBe(
      true
    )
    const salt = message.subarray(0, saltBytes)
    expect(message.equals(sealMessage(key, context, plaintext, { cobblestone, salt }))).toBe(true)
    expect(openMessage(key, Buffer.concat([context, Buffer.of(0)]), message, cobblestone)).toBe(
      "wrong key"
    )
  })
})

const reference = path.resolve(import.meta.dirname, "../../../shared/vectors/reference")
describe.skipIf(!existsSync(reference))("Wycheproof", () => {
  interface Vector {
    readonly tcId: number
    readonly comment: string
    readonly key: string
    readonly ctx: string
    /** Compressed by zlib. */
    readonly ct: string
    readonly msgLength?: number
    readonly msgSha512?: string
    readonly result: "valid" | "invalid"
    readonly flags: ReadonlyArray<string>
  }
  const tests = existsSync(reference)
    ? (
        JSON.parse(
          readFileSync(
            path.join(reference, "c2sp_chunked_encryption_aes_128_gcm_test.json"),
            "utf8"
          )
        ) as {
          readonly testGroups: ReadonlyArray<{ readonly tests: ReadonlyArray<Vector> }>
        }
      ).testGroups.flatMap(({ tests }) => tests)
    : []
  it("has 35 vectors", () => expect(tests.length).toBe(35))

  it.each(tests.map((vector) => [vector.comment, vector] as const))(
    "%s",
    (_, { key, ctx, ct, result, flags, ...vector }) => {
      const message = inflateSync(hex(ct))
      const run = () => openMessage(hex(key), hex(ctx), message, Cobblestone128)
      if (flags.includes("InvalidKeySize")) return expect(run).toThrow("has 16 bytes")
      const opened = run()
      expect(isOpenFailure(opened)).toBe(result === "invalid")
      if (flags.includes("WrongKey") || flags.includes("WrongContext"))
        expect(opened).toBe("wrong key")
      if (flags.includes("HeaderFailure")) return

      // Incrementally: the longest valid start is released, and no more.
      const keys = resumeMessage(
        hex(key),
        hex(ctx),
        message.subarray(0, prefixBytes),
        Cobblestone128
      )
      if (keys === undefined) throw new Error("the commitment is right in all of these")
      const released = openInPieces(keys, message.subarray(prefixBytes), 1000)
      const digest = createHash("sha512").update(released.plaintext).digest("hex")
      expect(released.failed).toBe(result === "invalid")
      expect([released.plaintext.length, digest]).toEqual([
        vector.msgLength ?? 0,
        vector.msgSha512 ?? createHash("sha512").digest("hex")
      ])
    }
  )
})

/** Opens chunks with an Opener that gets `size` bytes at a time. */
const openInPieces = (keys: MessageKeys, chunks: Uint8Array, size: number) => {
  const opener = new Opener(keys)
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < chunks.length; at += size) {
    const part = opener.update(chunks.subarray(at, at + size))
    if (isOpenFailure(part)) {
      expect(opener.finish()).toBe(part)
      return { plaintext: Buffer.concat(parts), failed: true }
    }
    parts.push(part)
  }
  const last = opener.finish()
  expect(isOpenFailure(opener.finish())).toBe(true)
  return {
    plaintext: Buffer.concat([...parts, isOpenFailure(last) ? Buffer.alloc(0) : last]),
    failed: isOpenFailure(last)
  }
}

/** Lengths around the ends of chunks. */
const lengths = FastCheck.tuple(
  FastCheck.integer({ min: 0, max: 3 }),
  FastCheck.integer({ min: -20, max: 20 })
).map(([chunks, more]) => Math.max(0, chunks * chunkBytes + more))
const key = randomBytes(32)
const context = randomBytes(9)

it.prop(
  "any length round-trips in pieces of any size, and its length follows from the message's",
  { length: lengths, pieces: FastCheck.integer({ min: 333, max: 40_000 }) },
  ({ length, pieces }) => {
    const plaintext = randomBytes(length)
    const message = beginMessage(key, context)
    const sealer = new Sealer(message)
    const parts: Array<Uint8Array> = []
    for (let at = 0; at < length; at += pieces)
      parts.push(sealer.update(plaintext.subarray(at, at + pieces)))
    const chunks = Buffer.concat([...parts, sealer.finish()])
    expect(chunks.length).toBe(sealedLength(length))
    expect(plaintextLength(chunks.length)).toBe(length)
    const keys = resumeMessage(key, context, message.prefix)
    if (keys === undefined) throw new Error("the commitment does not match")
    const { plaintext: opened, failed } = openInPieces(keys, chunks, pieces)
    expect([failed, opened.equals(plaintext)]).toEqual([false, true])
    expect(
      plaintext.equals(
        openMessage(key, context, Buffer.concat([message.prefix, chunks])) as Uint8Array
      )
    ).toBe(true)
  },
  { fastCheck: { numRuns: 60 } }
)

describe.each(kinds)("a message under a key of $keyBytes bytes", (cobblestone) => {
  const secret = randomBytes(cobblestone.keyBytes)
  const open = (message: Uint8Array, under: Uint8Array = secret, about: Uint8Array = context) =>
    openMessage(under, about, message, cobblestone)

  it.prop(
    "with one changed byte is refused, and no byte of a changed chunk is released",
    {
      length: lengths,
      at: FastCheck.nat(),
      bit: FastCheck.nat(7)
    },
    ({ length, at, bit }) => {
      const plaintext = randomBytes(length)
      const message = Buffer.from(sealMessage(secret, context, plaintext, { cobblestone }))
      const index = at % message.length
      message.writeUInt8(message.readUInt8(index) ^ (1 << bit), index)
      const sound = Math.floor((index - prefixBytes) / sealedChunkBytes) * chunkBytes
      const isLast =
        message.length - prefixBytes - (sound / chunkBytes) * sealedChunkBytes <= sealedChunkBytes
      const change = isLast ? "changed or truncated" : "changed"
      expect(open(message)).toBe(index < prefixBytes ? "wrong key" : change)
      if (index < prefixBytes) return
      const keys = resumeMessage(secret, context, message.subarray(0, prefixBytes), cobblestone)
      if (keys === undefined) throw new Error("the commitment does not match")
      const released = openInPieces(keys, message.subarray(prefixBytes), 1000)
      expect(released.failed).toBe(true)
      // The chunks before the changed one, and no more.
      expect(released.plaintext.length).toBe(sound)
      expect(plaintext.subarray(0, sound).equals(released.plaintext)).toBe(true)
    },
    { fastCheck: { numRuns: 40 } }
  )

  it("opens with its key and its context only", () => {
    const message = sealMessage(secret, context, Buffer.from("x"), { cobblestone })
    expect(Buffer.from(open(message) as Uint8Array).toString()).toBe("x")
    for (const other of [randomBytes(secret.length), Buffer.alloc(secret.length)])
      expect(open(message, other)).toBe("wrong key")
    for (const other of [Buffer.alloc(0), context.subarray(1), Buffer.concat([context, context])])
      expect(open(message, secret, other)).toBe("wrong key")
    for (const length of [0, 1, secret.length - 1, secret.length + 1, 24, 48])
      expect(() => open(message, randomBytes(length))).toThrow(`has ${secret.length} bytes`)
  })
})

describe("a message of three chunks", () => {
  const plaintext = randomBytes(2 * chunkBytes + 100)
  const message = sealMessage(key, context, plaintext)
  const prefix = message.subarray(0, prefixBytes)
  const [first, second, last] = [0, 1, 2].map((index) =>
    message.subarray(
      prefixBytes + index * sealedChunkBytes,
      prefixBytes + (index + 1) * sealedChunkBytes
    )
  ) as [Uint8Array, Uint8Array, Uint8Array]

  it.each([
    ["swapped chunks", [second, first, last], "changed"],
    ["a repeated chunk", [first, first, second, last], "changed"],
    ["a missing chunk", [first, last], "changed or truncated"],
    ["a missing first chunk", [second, last], "changed"],
    ["a missing last chunk", [first, second], "truncated"],
    ["no chunk", [], "truncated"],
    ["a repeated last chunk", [first, second, last, last], "changed or truncated"],
    ["a trailing byte", [first, second, last, Buffer.of(0)], "changed or truncated"],
    ["15 bytes in place of the last", [first, second, Buffer.alloc(15)], "truncated"],
    [
      "a chunk of another message",
      [first, sealMessage(key, context, plaintext).subarray(prefixBytes + sealedChunkBytes)],
      "changed"
    ]
  ] as const)("with %s is rejected", (_, chunks, refusal) => {
    expect(openMessage(key, context, Buffer.concat([prefix, ...chunks]))).toBe(refusal)
  })

  it("truncated anywhere is rejected", () => {
    for (let length = 0; length < message.length; length += length < 100 ? 1 : 97)
      expect(isOpenFailure(openMessage(key, context, message.subarray(0, length)))).toBe(true)
    for (let cut = 1; cut < 150; cut++)
      expect(isOpenFailure(openMessage(key, context, message.subarray(0, -cut)))).toBe(true)
  })

  it("has a fresh salt and ciphertext each time", () => {
    const again = sealMessage(key, context, plaintext)
    expect(again.subarray(0, saltBytes)).not.toEqual(message.subarray(0, saltBytes))
    expect(again.subarray(prefixBytes, prefixBytes + 100)).not.toEqual(
      message.subarray(prefixBytes, prefixBytes + 100)
    )
  })

  it("throws after it is finished", () => {
    const sealer = new Sealer(beginMessage(key, context))
    sealer.finish()
    expect(() => sealer.update(Buffer.alloc(1))).toThrow("finished")
    expect(() => sealer.finish()).toThrow("finished")
  })
})

it("rejects a length that no message has", () => {
  for (const bytes of [0, 1, tagBytes - 1, sealedChunkBytes, sealedChunkBytes + tagBytes - 1])
    expect(plaintextLength(bytes)).toBeUndefined()
})

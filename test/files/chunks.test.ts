// The chunks of a Cobblestone message beside AES-256-GCM of node:crypto: their nonces, also beyond
// 32 bits, their limits, and what is left after a failure.
import { createCipheriv, createSecretKey, randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import {
  beginMessage,
  chunkBytes,
  maxChunks,
  openChunk,
  plaintextLength,
  sealChunk,
  sealedChunkBytes,
  sealedLength,
  type MessageKeys
} from "../../src/files/Cobblestone.ts"
import { Opener, openMessage } from "../../src/files/Opener.ts"
import { Sealer } from "../../src/files/Sealer.ts"

const none = new Uint8Array(0)
const secret = randomBytes(32)
const keys: MessageKeys = {
  cipher: "aes-256-gcm",
  key: createSecretKey(secret),
  baseNonce: Buffer.from("0102030405060708090a0b0c", "hex")
}

describe("the nonce of a chunk", () => {
  it.each([
    [0, "0102030405060708090a0b0c"],
    [1, "0102030405060708090a0b0d"],
    [0xffff_ffff, "0102030405060708f6f5f4f3"],
    [2 ** 32, "0102030405060709090a0b0c"],
    [2 ** 32 * 5 + 3, "010203040506070d090a0b0f"],
    [2 ** 38 - 1, "0102030405060737f6f5f4f3"]
  ])("of index %s is the base nonce XOR the index: %s", (index, nonce) => {
    const plaintext = Buffer.from("plaintext")
    const target = Buffer.alloc(plaintext.length + 16)
    expect(sealChunk(keys, index, plaintext, target, 0)).toBe(target.length)
    const cipher = createCipheriv("aes-256-gcm", secret, Buffer.from(nonce, "hex"))
    expect(target).toEqual(
      Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    )
  })

  it.each([-1, 0.5, maxChunks, maxChunks + 1])("there is no chunk %s", (index) =>
    expect(() => sealChunk(keys, index, none, Buffer.alloc(16), 0)).toThrow(
      `there is no chunk ${index}`
    )
  )
})

it("a chunk that is not authentic leaves zeros, and nothing else changes", () => {
  const sealed = Buffer.alloc(20_000 + 16)
  sealChunk(keys, 7, Buffer.alloc(20_000, 5), sealed, 0)
  sealed[100] = (sealed[100] ?? 0) ^ 1
  const target = Buffer.alloc(20_010, 0xee)
  expect(openChunk(keys, 7, sealed, target, 5)).toBe(-1)
  expect(target).toEqual(
    Buffer.concat([Buffer.alloc(5, 0xee), Buffer.alloc(20_000), Buffer.alloc(5, 0xee)])
  )
  expect(openChunk(keys, 7, Buffer.alloc(15), target, 0)).toBe(-1)
})

describe("a message", () => {
  it.each([15, 16, 31, 33, 64])("rejects a key of %i bytes", (length) =>
    expect(() => beginMessage(Buffer.alloc(length, 1), none)).toThrow(
      `a key of AEAD_AES_256_GCM has 32 bytes, not ${length}`
    )
  )

  it.each([0, 23, 25])("rejects a salt of %i bytes", (length) =>
    expect(() => beginMessage(secret, none, { salt: Buffer.alloc(length) })).toThrow(
      `a salt has 24 bytes, not ${length}`
    )
  )

  it("has a last chunk that is shorter than the others, even an empty one", () => {
    expect([0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1].map(sealedLength)).toEqual([
      16,
      17,
      chunkBytes + 15,
      chunkBytes + 32,
      chunkBytes + 33
    ])
    expect([0, 15, 16, sealedChunkBytes, sealedChunkBytes + 16].map(plaintextLength)).toEqual([
      undefined,
      undefined,
      0,
      undefined,
      chunkBytes
    ])
  })

  it("of any length opens, in any parts", () => {
    for (const length of [0, 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes, 3 * chunkBytes + 9])
      for (const part of [1000, chunkBytes, chunkBytes + 1, 100_000]) {
        const plaintext = randomBytes(length)
        const message = beginMessage(secret, none)
        const [sealer, opener] = [new Sealer(message), new Opener(message.keys)]
        const opened: Array<Uint8Array> = []
        for (let at = 0; at < length; at += part) {
          const sealed = sealer.update(plaintext.subarray(at, at + part))
          opened.push(opener.update(sealed) as Uint8Array)
        }
        opened.push(opener.update(sealer.finish()) as Uint8Array, opener.finish() as Uint8Array)
        expect(plaintext.equals(Buffer.concat(opened))).toBe(true)
      }
  })
})

describe("an opener", () => {
  const message = beginMessage(secret, none)
  const sealer = new Sealer(message)
  const sealed = Buffer.concat([sealer.update(Buffer.alloc(2 * chunkBytes, 3)), sealer.finish()])

  it("returns its failure again, whatever follows", () => {
    const opener = new Opener(message.keys)
    const changed = Buffer.from(sealed.subarray(0, sealedChunkBytes))
    changed[0] = (changed[0] ?? 0) ^ 1
    expect(opener.update(changed)).toBe("changed")
    expect(opener.update(sealed)).toBe("changed")
    expect(opener.finish()).toBe("changed")
    expect(opener.index).toBe(0)
  })

  it("ends with the message", () => {
    const opener = new Opener(message.keys)
    expect((opener.update(sealed) as Uint8Array).length).toBe(2 * chunkBytes)
    expect((opener.finish() as Uint8Array).length).toBe(0)
    expect(opener.update(sealed)).toBe("changed or truncated")
    expect(opener.finish()).toBe("changed or truncated")
  })

  it("names what is wrong with the end", () => {
    const finish = (bytes: Uint8Array) => {
      const opener = new Opener(message.keys)
      opener.update(bytes)
      return opener.finish()
    }
    expect(finish(none)).toBe("truncated")
    expect(finish(sealed.subarray(0, sealed.length - 1))).toBe("truncated")
    expect(finish(sealed.subarray(0, sealedChunkBytes - 1))).toBe("changed or truncated")
    expect(openMessage(randomBytes(32), none, Buffer.concat([message.prefix, sealed]))).toBe(
      "wrong key"
    )
    expect(openMessage(secret, none, message.prefix.subarray(1))).toBe("truncated")
  })
})

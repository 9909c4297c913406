// Digests in three levels, beside SHA-256 written out. TRANSFER.md section 4.
import { createHash } from "node:crypto"
import { closeSync, openSync, truncateSync, writeFileSync } from "node:fs"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  blockCount,
  blockDigests,
  FileDigest,
  isZero,
  pieceDigest,
  smallFileDigest,
  zeroPieceDigest
} from "../../../src/services/transfer/Digest.ts"
import { PieceBuffers } from "../../../src/services/transfer/Disk.ts"
import { sharedFolder } from "../../fixtures/folder.ts"

const MiB = 1024 * 1024
const sha256 = (...parts: ReadonlyArray<Uint8Array>) =>
  createHash("sha256").update(Buffer.concat(parts)).digest()

/** Digests of blocks of eight pieces, by the specification. */
const blocksOf = (content: Buffer): ReadonlyArray<Buffer> => {
  const blocks: Array<Buffer> = []
  for (let block = 0; block < content.length; block += 8 * MiB) {
    const pieces: Array<Buffer> = []
    for (let at = block; at < Math.min(block + 8 * MiB, content.length); at += MiB)
      pieces.push(sha256(content.subarray(at, Math.min(at + MiB, content.length))))
    blocks.push(sha256(...pieces))
  }
  return blocks
}

it("of a small file are three, and of an empty one a single", () => {
  const bytes = Buffer.from("content")
  expect(smallFileDigest(bytes)).toEqual(sha256(sha256(sha256(bytes))))
  expect(smallFileDigest(Buffer.alloc(0))).toEqual(sha256())
  const digest = new FileDigest()
  digest.push(pieceDigest(bytes))
  expect(digest.digest()).toEqual(smallFileDigest(bytes))
  expect(new FileDigest().digest()).toEqual(sha256())
})

it("of zeros are those of the bytes", () => {
  expect(zeroPieceDigest(MiB)).toEqual(sha256(Buffer.alloc(MiB)))
  expect(zeroPieceDigest(10)).toEqual(sha256(Buffer.alloc(10)))
  expect([isZero(Buffer.alloc(10)), isZero(Buffer.from([0, 1])), isZero(Buffer.alloc(0))]).toEqual([
    true,
    false,
    true
  ])
  expect([0, 1, 8 * MiB, 8 * MiB + 1].map(blockCount)).toEqual([0, 1, 1, 2])
})

describe("of the blocks of a file", () => {
  const content = Buffer.alloc(17 * MiB + 5, "sealwire ")
  const folder = sharedFolder()
  const file = path.join(folder, "file")
  let fd = -1
  beforeAll(() => {
    writeFileSync(file, content)
    fd = openSync(file, "r+")
  })
  afterAll(() => {
    closeSync(fd)
  })
  const read = (length: number, size = content.length) =>
    blockDigests(fd, length, size, new PieceBuffers())

  it.effect("are the complete ones of a partial file, and all of a complete one", () =>
    Effect.gen(function* () {
      const all = blocksOf(content)
      expect(all.length).toBe(3)
      expect(yield* read(content.length)).toEqual(all)
      expect(yield* read(content.length - 1)).toEqual(all.slice(0, 2))
      expect(yield* read(16 * MiB)).toEqual(all.slice(0, 2))
      expect(yield* read(16 * MiB - 1)).toEqual(all.slice(0, 1))
      expect(yield* read(8 * MiB - 1)).toEqual([])
      const resumed = new FileDigest(all.slice(0, 2))
      resumed.push(sha256(content.subarray(16 * MiB, 17 * MiB)))
      resumed.push(sha256(content.subarray(17 * MiB)))
      expect(resumed.digest()).toEqual(sha256(...all))
    })
  )

  it.effect("are none of a file that has become shorter", () =>
    Effect.gen(function* () {
      truncateSync(file, 12 * MiB)
      expect(yield* read(content.length)).toEqual([])
    })
  )
})

// Digests of pieces, blocks and files: SHA-256 in three levels. TRANSFER.md section 4.
import { createHash, hash, type Hash } from "node:crypto"
import * as Effect from "effect/Effect"
import { readAt, type PieceBuffers } from "./Disk.ts"
import { protocolLimits } from "./limits.ts"

/** Length of a digest in bytes. */
export const digestBytes = 32

const sha256 = (bytes: Uint8Array): Buffer => hash("sha256", bytes, "buffer")

const digestOfDigests = (digests: ReadonlyArray<Uint8Array>): Buffer =>
  sha256(Buffer.concat(digests))

const zeroPiece = Buffer.alloc(protocolLimits.pieceBytes)
let zeroDigest: Buffer | undefined

/** True if every byte is zero. */
export const isZero = (bytes: Uint8Array): boolean =>
  Buffer.compare(bytes, zeroPiece.subarray(0, bytes.length)) === 0

/** Returns the digest of a piece of zeros. */
export const zeroPieceDigest = (length: number): Buffer =>
  length === protocolLimits.pieceBytes
    ? (zeroDigest ??= sha256(zeroPiece))
    : sha256(zeroPiece.subarray(0, length))

/**
 * Starts the digest of a piece that arrives in parts, so that each is hashed while it is in the
 * processor's cache. A worker thread would need a copy, which costs as much as hashing.
 */
export const startPiece = (): Hash => createHash("sha256")

/** Returns the digest of a piece. */
export const pieceDigest = sha256

/** Returns the digest of a file of at most one piece. */
export const smallFileDigest = (bytes: Uint8Array): Buffer =>
  sha256(bytes.length > 0 ? sha256(sha256(bytes)) : bytes)

const piecesPerBlock = protocolLimits.blockBytes / protocolLimits.pieceBytes

/**
 * Computes the digests of blocks and of the file from the digests of its pieces. Holds the pieces
 * of one block: a file of zeros has many blocks and takes few bytes on the wire.
 */
export class FileDigest {
  readonly #file = createHash("sha256")
  readonly #onBlock: (digest: Buffer) => void
  #pieces: Array<Buffer> = []

  /** Starts after blocks whose digests are known. Calls `onBlock` with the digests of the others. */
  constructor(blocks: ReadonlyArray<Buffer> = [], onBlock: (digest: Buffer) => void = () => {}) {
    for (const block of blocks) this.#file.update(block)
    this.#onBlock = onBlock
  }

  /** Adds the digest of the next piece. */
  push(piece: Buffer): void {
    this.#pieces.push(piece)
    if (this.#pieces.length === piecesPerBlock) this.#endBlock()
  }

  #endBlock(): void {
    const block = digestOfDigests(this.#pieces)
    this.#file.update(block)
    this.#onBlock(block)
    this.#pieces = []
  }

  /** Ends the last block, and returns the digest of the file, after its last piece. */
  digest(): Buffer {
    if (this.#pieces.length > 0) this.#endBlock()
    return this.#file.digest()
  }
}

/** Returns the number of blocks of a file. */
export const blockCount = (bytes: number): number => Math.ceil(bytes / protocolLimits.blockBytes)

/**
 * Reads the first `length` bytes of a file that is to have `size`, and returns the digests of its
 * complete blocks; of all blocks if the file is complete. Empty if the file is shorter.
 */
export const blockDigests = (
  fd: number,
  length: number,
  size: number,
  buffers: PieceBuffers
): Effect.Effect<ReadonlyArray<Buffer>, NodeJS.ErrnoException> =>
  Effect.suspend(() => {
    const end = length >= size ? size : length - (length % protocolLimits.blockBytes)
    const blocks: Array<Buffer> = []
    const digest = new FileDigest([], (block) => void blocks.push(block))
    return Effect.map(readInto(digest, fd, end, buffers), (isRead) => {
      if (!isRead) return []
      digest.digest()
      return blocks
    })
  })

/** Returns the digest of a file of this size; undefined if it is shorter. */
export const fileDigest = (
  fd: number,
  size: number,
  buffers: PieceBuffers
): Effect.Effect<Buffer | undefined, NodeJS.ErrnoException> =>
  Effect.suspend(() => {
    const digest = new FileDigest()
    return Effect.map(readInto(digest, fd, size, buffers), (isRead) =>
      isRead ? digest.digest() : undefined
    )
  })

/** Adds the pieces up to `end` to the digest; returns false if the file is shorter. */
const readInto = (
  digest: FileDigest,
  fd: number,
  end: number,
  buffers: PieceBuffers
): Effect.Effect<boolean, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    for (let position = 0; position < end;) {
      const wanted = Math.min(protocolLimits.pieceBytes, end - position)
      const piece = yield* readAt(fd, buffers.next().subarray(0, wanted), position)
      if (piece.length === 0) return false
      digest.push(pieceDigest(piece))
      position += piece.length
    }
    return true
  })

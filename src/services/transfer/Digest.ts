// By what a file is known. TRANSFER.md section 4.
import { createHash, hash, type Hash } from "node:crypto"
import * as Effect from "effect/Effect"
import { readAt, type PieceBuffers } from "./Disk.ts"
import { protocolLimits } from "./limits.ts"

export const digestBytes = 32

const sha256 = (bytes: Uint8Array): Buffer => hash("sha256", bytes, "buffer")

const joined = (digests: ReadonlyArray<Uint8Array>): Buffer => sha256(Buffer.concat(digests))

const zeroPiece = Buffer.alloc(protocolLimits.pieceBytes)
let zeroDigest: Buffer | undefined

/** True when every byte is zero. */
export const isZero = (bytes: Uint8Array): boolean =>
  Buffer.compare(bytes, zeroPiece.subarray(0, bytes.length)) === 0

/** The digest of so many zeros. */
export const zeroPieceDigest = (length: number): Buffer =>
  length === protocolLimits.pieceBytes
    ? (zeroDigest ??= sha256(zeroPiece))
    : sha256(zeroPiece.subarray(0, length))

/** The digest of a piece that comes in parts: each is taken in while it is in the processor's cache. A thread of its own costs a copy, which costs as much. */
export const startPiece = (): Hash => createHash("sha256")

export const pieceDigest = sha256

/** The digest of a file that is one piece, or empty. */
export const smallFileDigest = (bytes: Uint8Array): Buffer =>
  sha256(bytes.length > 0 ? sha256(sha256(bytes)) : bytes)

const piecesPerBlock = protocolLimits.blockBytes / protocolLimits.pieceBytes

/** Pieces become blocks, and blocks the digest of the file. */
export class FileDigest {
  readonly #blocks: Array<Buffer>
  #pieces: Array<Buffer> = []

  /** Begins behind blocks that are known. */
  constructor(blocks: ReadonlyArray<Buffer> = []) {
    this.#blocks = [...blocks]
  }

  /** The digest of the next piece. */
  push(piece: Buffer): void {
    this.#pieces.push(piece)
    if (this.#pieces.length === piecesPerBlock) this.#close()
  }

  #close(): void {
    this.#blocks.push(joined(this.#pieces))
    this.#pieces = []
  }

  /** Of the blocks so far, the last one whole or not. */
  blocks(): ReadonlyArray<Buffer> {
    if (this.#pieces.length > 0) this.#close()
    return this.#blocks
  }

  /** Of the whole file, when every piece of it was given. */
  digest(): Buffer {
    return joined(this.blocks())
  }
}

/** How many blocks so many bytes are. */
export const blockCount = (bytes: number): number => Math.ceil(bytes / protocolLimits.blockBytes)

/** Of the whole blocks of the first `length` bytes, and of the last one where the file is all there. */
export const blockDigests = (
  fd: number,
  length: number,
  size: number,
  pieces: PieceBuffers
): Effect.Effect<ReadonlyArray<Buffer>, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const end = length >= size ? size : length - (length % protocolLimits.blockBytes)
    const tree = new FileDigest()
    for (let at = 0; at < end;) {
      const piece = yield* readAt(
        fd,
        pieces.next().subarray(0, Math.min(protocolLimits.pieceBytes, end - at)),
        at
      )
      if (piece.length === 0) return []
      tree.push(pieceDigest(piece))
      at += piece.length
    }
    return tree.blocks()
  })

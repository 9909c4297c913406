// Receives the content of a large file piece by piece: each is digested as it arrives, and written
// while the next is received. TRANSFER.md section 5.
import * as Effect from "effect/Effect"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { FileDigest, startPiece, zeroPieceDigest } from "./Digest.ts"
import { writeAt, type PieceBuffers } from "./Disk.ts"
import type { Frames } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { PartialFile } from "./PartialFile.ts"
import type { TransferProgress } from "./TransferProgress.ts"

export interface IncomingFileOptions {
  readonly frames: Frames
  readonly progress: TransferProgress
  /** Called with the number of bytes received; delays to limit the rate. */
  readonly pace: (bytes: number) => Effect.Effect<void>
  readonly buffers: PieceBuffers
  readonly entry: Entry
  /** Digests of the blocks of a partial file that are reused. */
  readonly kept: ReadonlyArray<Buffer>
  /** Opens the partial file; may throw system errors. */
  readonly open: () => PartialFile
}

export class IncomingFile {
  readonly #options: IncomingFileOptions
  readonly #digest: FileDigest
  /** The partial file; undefined if it could not be opened. */
  readonly partial: PartialFile | undefined
  #position: number
  /** First failure of the disk. The content after it is digested but not written. */
  failure: unknown
  /** Pieces that are being written, oldest first. */
  readonly #writes: Array<Promise<void>> = []

  constructor(options: IncomingFileOptions) {
    const { entry, kept, open, progress } = options
    this.#options = options
    this.#digest = new FileDigest(kept)
    this.#position = Math.min(kept.length * protocolLimits.blockBytes, entry.size)
    progress.reused(this.#position)
    this.partial = this.#keepFailure(() => {
      const partial = open()
      partial.truncate(this.#position)
      return partial
    })
  }

  /** True when every piece was received. */
  get isComplete(): boolean {
    return this.#position === this.#options.entry.size
  }

  /** Receives the next piece: the body of a BYTES frame of this length, or ZEROS. */
  receivePiece(isZeros: boolean, length: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, entry, progress } = this.#options
      const size = Math.min(protocolLimits.pieceBytes, entry.size - this.#position)
      if (size === 0 || length !== (isZeros ? 0 : size))
        return yield* frames.violation("a piece has the wrong size")
      if (isZeros) {
        this.#digest.push(zeroPieceDigest(size))
        progress.reused(size)
      } else yield* this.#receiveBytes(size)
      this.#position += size
    })
  }

  #receiveBytes(length: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, buffers, progress, pace } = this.#options
      // This piece fills one buffer: the writes may use all others, and `next` reuses the oldest.
      if (this.#writes.length > limits.pieceBuffers - 2) yield* this.#oldestWrite
      const piece = buffers.next().subarray(0, length)
      const digest = startPiece()
      for (let received = 0; received < length;) {
        const bytes = yield* frames.readSome(length - received)
        digest.update(bytes)
        piece.set(bytes, received)
        received += bytes.length
        progress.transferred(bytes.length)
        yield* pace(bytes.length)
      }
      this.#digest.push(digest.digest())
      this.#writes.push(this.#write(piece))
    })
  }

  #write(piece: Buffer): Promise<void> {
    if (this.partial === undefined || this.failure !== undefined) return Promise.resolve()
    return writeAt(this.partial.fd, piece, this.#position).catch((cause: unknown) => {
      this.failure ??= cause
    })
  }

  /** Waits for the oldest write, which stays in the list when the wait is interrupted. */
  get #oldestWrite(): Effect.Effect<void> {
    return Effect.map(
      Effect.promise(async () => this.#writes[0]),
      () => void this.#writes.shift()
    )
  }

  /**
   * Completes when every write has completed or failed. Until then the partial file must stay open
   * and locked: a write that waits for its turn would go to whatever gets its descriptor.
   */
  readonly written: Effect.Effect<void> = Effect.gen(this, function* () {
    while (this.#writes.length > 0) yield* this.#oldestWrite
  })

  /** Returns whether the file has this digest; if so, sets its attributes and closes it. */
  finish(expected: Buffer): boolean {
    const isEqual = Buffer.compare(this.#digest.digest(), expected) === 0
    const { partial } = this
    if (isEqual && partial !== undefined && this.failure === undefined)
      this.#keepFailure(() => {
        partial.applyAttributes(this.#options.entry)
        partial.close()
      })
    return isEqual
  }

  #keepFailure<A>(use: () => A): A | undefined {
    try {
      return use()
    } catch (cause) {
      this.failure ??= cause
      return undefined
    }
  }
}

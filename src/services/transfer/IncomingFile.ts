// The content of a file in pieces, as it comes: each is digested as it comes, and written while the next is read. TRANSFER.md section 5.
import * as Effect from "effect/Effect"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { startPiece, zeroPieceDigest, FileDigest } from "./Digest.ts"
import { writeAt, type PieceBuffers } from "./Disk.ts"
import type { Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { PartialFile } from "./PartialFile.ts"
import type { TransferProgress } from "./TransferProgress.ts"

export interface IncomingFileOptions {
  readonly frames: Frames
  readonly progress: TransferProgress
  readonly pace: (bytes: number) => Effect.Effect<void>
  readonly pieces: PieceBuffers
  readonly entry: Entry
  /** Digests of the blocks that are kept. */
  readonly kept: ReadonlyArray<Buffer>
  /** Opens the file that it goes into. */
  readonly open: () => PartialFile
}

export class IncomingFile {
  readonly #options: IncomingFileOptions
  readonly #tree: FileDigest
  readonly partial: PartialFile | undefined
  #at: number
  /** What the disk said first against it. What comes after that is digested, and written nowhere. */
  failure: unknown
  /** Pieces that are under way to the disk. */
  readonly #writing: Array<Promise<void>> = []

  constructor(options: IncomingFileOptions) {
    const { entry, kept, open, progress } = options
    this.#options = options
    this.#tree = new FileDigest(kept)
    this.#at = Math.min(kept.length * protocolLimits.blockBytes, entry.size)
    progress.reused(this.#at)
    this.partial = this.#guard(() => {
      const part = open()
      part.truncate(this.#at)
      return part
    })
  }

  get isComplete(): boolean {
    return this.#at === this.#options.entry.size
  }

  /** The next piece: bytes of this length, or zeros. */
  receivePiece(isZeros: boolean, length: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, entry } = this.#options
      const size = Math.min(protocolLimits.pieceBytes, entry.size - this.#at)
      if (size === 0 || length !== (isZeros ? 0 : size))
        return yield* frames.violation("a piece of another size than it was to have")
      if (isZeros) this.#zeros(size)
      else yield* this.#bytes(size)
      this.#at += size
    })
  }

  #zeros(length: number): void {
    this.#tree.push(zeroPieceDigest(length))
    this.#options.progress.reused(length)
  }

  #bytes(length: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, pieces, progress, pace } = this.#options
      // The buffer that comes next is the one that was given to the disk before the last.
      if (this.#writing.length > 1) yield* this.#oldest
      const piece = pieces.next().subarray(0, length)
      const digest = startPiece()
      for (let have = 0; have < length;) {
        const some = yield* frames.readSome(length - have)
        digest.update(some)
        piece.set(some, have)
        have += some.length
        progress.transferred(some.length)
        yield* pace(some.length)
      }
      this.#tree.push(digest.digest())
      this.#writing.push(this.#write(piece))
    })
  }

  #write(piece: Buffer): Promise<void> {
    if (this.partial === undefined || this.failure !== undefined) return Promise.resolve()
    return writeAt(this.partial.fd, piece, this.#at).catch((cause: unknown) => {
      this.failure ??= cause
    })
  }

  get #oldest(): Effect.Effect<void> {
    return Effect.promise(async () => this.#writing.shift())
  }

  /** The disk has all that came, or has refused it. */
  readonly written: Effect.Effect<void> = Effect.gen(this, function* () {
    while (this.#writing.length > 0) yield* this.#oldest
  })

  /** Whether that is its digest. What the file has besides its bytes it gets then. */
  finish(digest: Buffer): boolean {
    const isSame = Buffer.compare(this.#tree.digest(), digest) === 0
    const { partial } = this
    if (isSame && partial !== undefined && this.failure === undefined)
      this.#guard(() => {
        partial.applyAttributes(this.#options.entry)
        partial.close()
      })
    return isSame
  }

  #guard<A>(use: () => A): A | undefined {
    try {
      return use()
    } catch (cause) {
      this.failure ??= cause
      return undefined
    }
  }
}

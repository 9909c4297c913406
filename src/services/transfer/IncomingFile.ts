// The content of a file in pieces, as it comes: each is digested as it comes, and written while the next is read. TRANSFER.md section 5.
import * as Effect from "effect/Effect"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { begin, ofZeros, Tree } from "./Digest.ts"
import { writeAt, type Pieces } from "./Disk.ts"
import type { Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { PartialFile } from "./PartialFile.ts"
import type { Progress } from "./Progress.ts"

export interface IncomingFileOptions {
  readonly frames: Frames
  readonly progress: Progress
  readonly pace: (bytes: number) => Effect.Effect<void>
  readonly pieces: Pieces
  readonly entry: Entry
  /** Digests of the blocks that are kept. */
  readonly kept: ReadonlyArray<Buffer>
  /** Opens the file that it goes into. */
  readonly open: () => PartialFile
}

export class IncomingFile {
  readonly #options: IncomingFileOptions
  readonly #tree: Tree
  readonly part: PartialFile | undefined
  #at: number
  /** What the disk said first against it. What comes after that is digested, and written nowhere. */
  trouble: unknown
  /** Pieces that are under way to the disk. */
  readonly #writing: Array<Promise<void>> = []

  constructor(options: IncomingFileOptions) {
    const { entry, kept, open, progress } = options
    this.#options = options
    this.#tree = new Tree(kept)
    this.#at = Math.min(kept.length * protocolLimits.blockBytes, entry.size)
    progress.kept(this.#at)
    this.part = this.#guard(() => {
      const part = open()
      part.truncate(this.#at)
      return part
    })
  }

  get isWhole(): boolean {
    return this.#at === this.#options.entry.size
  }

  /** The next piece: bytes of this length, or zeros. */
  piece(isZeros: boolean, length: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, entry } = this.#options
      const size = Math.min(protocolLimits.pieceBytes, entry.size - this.#at)
      if (size === 0 || length !== (isZeros ? 0 : size))
        return yield* frames.broken("a piece of another size than it was to have")
      if (isZeros) this.#zeros(size)
      else yield* this.#bytes(size)
      this.#at += size
    })
  }

  #zeros(length: number): void {
    this.#tree.push(ofZeros(length))
    this.#options.progress.kept(length)
  }

  #bytes(length: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, pieces, progress, pace } = this.#options
      // The buffer that comes next is the one that was given to the disk before the last.
      if (this.#writing.length > 1) yield* this.#oldest
      const piece = pieces.next().subarray(0, length)
      const digest = begin()
      for (let have = 0; have < length;) {
        const some = yield* frames.some(length - have)
        digest.update(some)
        piece.set(some, have)
        have += some.length
        progress.came(some.length)
        yield* pace(some.length)
      }
      this.#tree.push(digest.digest())
      this.#writing.push(this.#write(piece))
    })
  }

  #write(piece: Buffer): Promise<void> {
    if (this.part === undefined || this.trouble !== undefined) return Promise.resolve()
    return writeAt(this.part.fd, piece, this.#at).catch((cause: unknown) => {
      this.trouble ??= cause
    })
  }

  get #oldest(): Effect.Effect<void> {
    return Effect.promise(async () => this.#writing.shift())
  }

  /** The disk has all that came, or has refused it. */
  readonly settled: Effect.Effect<void> = Effect.gen(this, function* () {
    while (this.#writing.length > 0) yield* this.#oldest
  })

  /** Whether that is its digest. What the file has besides its bytes it gets then. */
  is(digest: Buffer): boolean {
    const isSame = Buffer.compare(this.#tree.digest(), digest) === 0
    const { part } = this
    if (isSame && part !== undefined && this.trouble === undefined)
      this.#guard(() => {
        part.dress(this.#options.entry)
        part.close()
      })
    return isSame
  }

  #guard<A>(use: () => A): A | undefined {
    try {
      return use()
    } catch (cause) {
      this.trouble ??= cause
      return undefined
    }
  }
}

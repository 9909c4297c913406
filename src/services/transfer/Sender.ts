// The sending side of a transfer: sends the manifest, reads the answers, sends the files that are
// wanted, and waits for the receipts. TRANSFER.md sections 3 to 5.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { protocolLimits as channelLimits } from "../../channel/limits.ts"
import { AnswerReader, type ReceivedAnswer } from "./AnswerReader.ts"
import {
  blockDigests,
  FileDigest,
  isZero,
  pieceDigest,
  smallFileDigest,
  zeroPieceDigest
} from "./Digest.ts"
import { pause, PieceBuffers, readAt } from "./Disk.ts"
import { frame, FrameType, header, u32, type Frames } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import * as Manifest from "./Manifest.ts"
import * as Messages from "./Messages.ts"
import * as PartialFile from "./PartialFile.ts"
import { openSource, tickOf, type OpenSource, type SourceEntry } from "./SourceFile.ts"
import type { TransferStopped } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

export interface SenderOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** In the order of a manifest; complete when `walk` has completed. */
  readonly sources: ReadonlyArray<SourceEntry>
  /** Reported to the receiver, and then removed. */
  readonly leftOut: Array<Messages.LeftOut>
  /**
   * Adds to `sources` and `leftOut`, and runs the effect at intervals: it sends what was added so
   * far, and waits for a receiver that is slower. Default: they are complete.
   */
  readonly walk?: (sendFound: Effect.Effect<void>) => Effect.Effect<void, TransferStopped>
  /** Sends the manifest only. */
  readonly dry: boolean
  readonly progress: TransferProgress
  /** Called with the number of bytes to send; delays to limit the rate. */
  readonly pace: (bytes: number) => Effect.Effect<void>
}

type SenderError = ChannelError | TransferStopped

/** Sends a transfer; completes with the receiver's DONE. */
export const send = (options: SenderOptions): Effect.Effect<void, SenderError> =>
  Effect.suspend(() => {
    const sender = new Sender(options)
    // The reading fiber reports a lost connection: the receiver may have sent the reason.
    const content = Effect.catchAll(sender.content, (error) =>
      error._tag === "TransferStopped" ? Effect.fail(error) : Effect.never
    )
    return Effect.raceFirst(Effect.zipRight(content, Effect.never), sender.answers.run)
  })

class Sender {
  readonly #options: SenderOptions
  readonly answers: AnswerReader
  readonly #buffers = new PieceBuffers()
  /** Small frames that are written together. */
  #batch: Array<Uint8Array> = []
  #batchBytes = 0
  /** Number of sources whose entry was sent. */
  #listed = 0
  /** When the last source was listed, or later, by performance.now. */
  #listedAt = performance.now()
  /** Something exists of what is sent. */
  #hasFound = false

  constructor(options: SenderOptions) {
    this.#options = options
    this.answers = new AnswerReader(options)
  }

  /** Sends the manifest, each file that is wanted, and TRANSFEREND. */
  get content(): Effect.Effect<void, ChannelError | TransferStopped> {
    return Effect.gen(this, function* () {
      const { channel, sources, walk } = this.#options
      // A write that fails has no reader left, and the reading fiber ends the walk.
      const sendFound = Effect.catchAll(this.#sendFound, () => Effect.never)
      if (walk !== undefined) yield* walk(sendFound)
      this.#listedAt = performance.now()
      yield* this.#sendFound
      this.answers.allowAnswers()
      const bytes = sources.reduce((sum, { entry }) => sum + entry.size, 0)
      const totals = Messages.encodeManifestEnd(sources.length, bytes)
      yield* this.#queue(frame(FrameType.ManifestEnd, totals))
      for (const [index, source] of sources.entries()) {
        const answer = yield* this.answers.answerFor(index, this.#flush)
        if (Messages.needsReply(answer.answer)) yield* this.#reply(index, source, answer)
      }
      yield* this.#flush
      this.answers.markEndSent()
      yield* channel.write(frame(FrameType.TransferEnd))
    })
  }

  /**
   * Sends the entries that were found since the last time. While everything is missing nothing is
   * sent: then the whole request fails.
   */
  get #sendFound(): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { sources, leftOut } = this.#options
      const isMissing = sources.length === 0 && leftOut.every(({ reason }) => reason === "missing")
      if (isMissing && !this.#hasFound) return
      this.#hasFound = true
      for (const omission of leftOut.splice(0))
        yield* this.#queuePaced(frame(FrameType.LeftOut, Messages.encodeLeftOut(omission)))
      const found = sources.slice(this.#listed)
      this.#listed = sources.length
      for (const body of Manifest.encode(found.map(({ entry }) => entry)))
        yield* this.#queuePaced(frame(FrameType.Entries, body))
    })
  }

  /** Queues a frame of the manifest, whose bytes count like those of files. */
  #queuePaced(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return Effect.zipRight(this.#options.pace(bytes.length), this.#queue(bytes))
  }

  /** Sends a file, or SKIP. */
  #reply(
    index: number,
    source: SourceEntry,
    { answer, digests }: ReceivedAnswer
  ): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { dry } = this.#options
      yield* this.#awaitTick(source)
      const file = yield* openSource(source)
      if (typeof file === "string") return yield* this.#skip(index, file)
      const { size } = source.entry
      yield* Effect.gen(this, function* () {
        const own = answer === "want" ? [] : yield* this.#ownDigests(file, size, digests)
        if (own === undefined) return yield* this.#skip(index, "unreadable")
        const different = own.findIndex(
          (digest, block) => Buffer.compare(digest, digests[block] as Buffer) !== 0
        )
        const equalBlocks = different < 0 ? own.length : different
        if (answer === "compare" || answer === "differs") {
          const isSame = equalBlocks * protocolLimits.blockBytes >= size && file.isUnchanged()
          if (isSame) return yield* this.#skip(index, "same")
          if (answer === "differs") return yield* this.#skip(index, "other")
        }
        if (dry) return yield* this.#skip(index, "dry")
        if (size <= limits.smallBytes) return yield* this.#sendSmall(index, file, size)
        const kept = answer === "have" ? own.slice(0, equalBlocks) : []
        yield* this.#sendLarge(index, file, size, kept)
      }).pipe(Effect.ensuring(Effect.sync(file.close)))
    })
  }

  /** Waits until a change of the file during its reading shows in its ctime. */
  #awaitTick({ version }: SourceEntry): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = this.#listedAt + tickOf(version) - performance.now()
      return left > 0 ? pause(left) : Effect.void
    })
  }

  /** Returns this side's digests of the blocks the receiver has; undefined if unreadable. */
  #ownDigests(
    { fd }: OpenSource,
    size: number,
    digests: ReadonlyArray<Buffer>
  ): Effect.Effect<ReadonlyArray<Buffer> | undefined> {
    const length = Math.min(digests.length * protocolLimits.blockBytes, size)
    return blockDigests(fd, length, size, this.#buffers).pipe(
      Effect.map((own) => own.slice(0, digests.length)),
      Effect.catchAll(() => Effect.succeed(undefined))
    )
  }

  #skip(index: number, reason: Messages.SkipReason): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, sources } = this.#options
      yield* progress.skipped(index, reason)
      if (reason === "same") progress.reused(sources[index]?.entry.size ?? 0)
      yield* this.#queue(frame(FrameType.Skip, Messages.encodeSkip({ index, reason })))
    })
  }

  #sendSmall(index: number, file: OpenSource, size: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, pace } = this.#options
      const bytes = readSmall(file, size)
      if (bytes === undefined || !file.isUnchanged()) return yield* this.#skip(index, "changed")
      yield* pace(size)
      progress.transferred(size)
      yield* this.#queue(frame(FrameType.SmallFile, u32(index), smallFileDigest(bytes), bytes))
    })
  }

  #sendLarge(
    index: number,
    file: OpenSource,
    size: number,
    kept: ReadonlyArray<Buffer>
  ): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress } = this.#options
      const digest = new FileDigest(kept)
      const start = Math.min(kept.length * protocolLimits.blockBytes, size)
      progress.reused(start)
      yield* this.#queue(frame(FrameType.File, u32(index), u32(kept.length)))
      yield* this.#flush
      for (let position = start; position < size;) {
        const length = Math.min(protocolLimits.pieceBytes, size - position)
        const piece = yield* Effect.orElseSucceed(
          readAt(file.fd, this.#buffers.next().subarray(0, length), position),
          () => undefined
        )
        // A shorter file ends early here; a file that was written to has another ctime.
        if (piece?.length !== length || !file.isUnchanged())
          return yield* this.#skip(index, piece === undefined ? "unreadable" : "changed")
        position += length
        if (isZero(piece)) {
          digest.push(zeroPieceDigest(length))
          progress.transferred(0)
          progress.reused(length)
          yield* this.#queue(header(FrameType.Zeros, 0))
        } else {
          digest.push(pieceDigest(piece))
          yield* this.#sendPiece(piece)
        }
      }
      // The receiver may have every block already, so that no piece was read here.
      if (!file.isUnchanged()) return yield* this.#skip(index, "changed")
      yield* this.#queue(frame(FrameType.End, digest.digest()))
    })
  }

  #sendPiece(piece: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, pace, channel } = this.#options
      yield* this.#flush
      yield* pace(piece.length)
      yield* channel.write(header(FrameType.Bytes, piece.length))
      // After a write the channel still refers to less than one record's body. Copying that tail
      // makes the buffer free for the next piece.
      const tail = Math.max(0, piece.length - channelLimits.bodyBytes)
      yield* channel.write(piece.subarray(0, tail))
      yield* channel.write(Buffer.from(piece.subarray(tail)))
      progress.transferred(piece.length)
    })
  }

  /** Adds a small frame to the batch. */
  #queue(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      this.#batch.push(bytes)
      this.#batchBytes += bytes.length
      return this.#batchBytes >= limits.batchBytes ? this.#flush : Effect.void
    })
  }

  get #flush(): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      if (this.#batchBytes === 0) return Effect.void
      const batch = Buffer.concat(this.#batch)
      this.#batch = []
      this.#batchBytes = 0
      return this.#options.channel.write(batch)
    })
  }
}

const readSmall = ({ fd }: OpenSource, size: number): Buffer | undefined => {
  try {
    return PartialFile.readSmall(fd, size)
  } catch {
    return undefined
  }
}

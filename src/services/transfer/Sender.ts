// The side that has files: says what will come, hears what is wanted of it, sends that, and hears when it is safe. TRANSFER.md section 5.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { protocolLimits as channelLimits } from "../../channel/limits.ts"
import {
  blockDigests,
  isZero,
  pieceDigest,
  smallFileDigest,
  zeroPieceDigest,
  FileDigest
} from "./Digest.ts"
import { PieceBuffers, readAt } from "./Disk.ts"
import { frame, FrameType, header, type Frames, u32 } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import * as Manifest from "./Manifest.ts"
import * as PartialFile from "./PartialFile.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { openSource, type SourceEntry, type OpenSource } from "./FileWalker.ts"
import type { TransferStopped } from "./TransferErrors.ts"
import { AnswerReader } from "./AnswerReader.ts"
import * as Messages from "./Messages.ts"

export interface SenderOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** In the order of a manifest. */
  readonly sources: ReadonlyArray<SourceEntry>
  /** To be told to the receiver. */
  readonly leftOut: ReadonlyArray<Messages.LeftOut>
  /** Nothing is sent but the manifest. */
  readonly dry: boolean
  readonly progress: TransferProgress
  /** Bytes are about to go. */
  readonly pace: (bytes: number) => Effect.Effect<void>
}

type SenderError = ChannelError | TransferStopped

/** Until the receiver has said that all is done. */
export const send = (options: SenderOptions): Effect.Effect<void, SenderError> =>
  Effect.suspend(() => {
    const sender = new Sender(options)
    // A loss is told by the reading: the receiver may have said why.
    const content = Effect.catchAll(sender.content, () => Effect.never)
    return Effect.raceFirst(Effect.zipRight(content, Effect.never), sender.wanted.run)
  })

class Sender {
  readonly #options: SenderOptions
  readonly wanted: AnswerReader
  readonly #pieces = new PieceBuffers()
  /** Small frames that go together. */
  #batch: Array<Uint8Array> = []
  #batchBytes = 0

  constructor(options: SenderOptions) {
    this.#options = options
    this.wanted = new AnswerReader(options)
  }

  /** The manifest, then each file that is wanted, then the last word. */
  get content(): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { channel, sources, leftOut } = this.#options
      for (const one of leftOut)
        yield* this.#gather(frame(FrameType.LeftOut, Messages.encodeLeftOut(one)))
      for (const body of Manifest.encode(entriesOf(sources)))
        yield* this.#gather(frame(FrameType.Entries, body))
      const bytes = sources.reduce((sum, { entry }) => sum + entry.size, 0)
      yield* this.#gather(
        frame(FrameType.ManifestEnd, Messages.encodeManifestEnd(sources.length, bytes))
      )
      for (const [index, item] of sources.entries()) {
        const { answer, digests } = yield* this.wanted.answerFor(index, this.#flush)
        if (Messages.needsReply(answer)) yield* this.#settle(index, item, answer, digests)
      }
      yield* this.#flush
      this.wanted.markEndSent()
      yield* channel.write(frame(FrameType.TransferEnd))
    })
  }

  /** Says what becomes of a file that is wanted, or may be. */
  #settle(
    index: number,
    item: SourceEntry,
    answer: Messages.Answer,
    digests: ReadonlyArray<Buffer>
  ): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { dry } = this.#options
      const opened = openSource(item)
      if (typeof opened === "string") return yield* this.#pass(index, opened)
      const { size } = item.entry
      yield* Effect.gen(this, function* () {
        const own = answer === "want" ? [] : yield* this.#own(opened, size, digests)
        if (own === undefined) return yield* this.#pass(index, "unreadable")
        const kept = own.findIndex(
          (digest, at) => Buffer.compare(digest, digests[at] as Buffer) !== 0
        )
        const equal = kept < 0 ? own.length : kept
        if (answer === "compare" || answer === "differs") {
          const isSame = equal * protocolLimits.blockBytes >= size && opened.isUnchanged()
          if (isSame) return yield* this.#pass(index, "same")
          if (answer === "differs") return yield* this.#pass(index, "other")
        }
        if (dry) return yield* this.#pass(index, "dry")
        if (size <= limits.smallBytes) return yield* this.#small(index, opened, size)
        yield* this.#large(index, opened, size, answer === "have" ? own.slice(0, equal) : [])
      }).pipe(Effect.ensuring(Effect.sync(opened.close)))
    })
  }

  /** This side's digests of what the receiver says it has; undefined when it cannot be read. */
  #own(
    { fd }: OpenSource,
    size: number,
    digests: ReadonlyArray<Buffer>
  ): Effect.Effect<ReadonlyArray<Buffer> | undefined> {
    const length = Math.min(digests.length * protocolLimits.blockBytes, size)
    return blockDigests(fd, length, size, this.#pieces).pipe(
      Effect.map((own) => own.slice(0, digests.length)),
      Effect.catchAll(() => Effect.succeed(undefined))
    )
  }

  #pass(index: number, why: Messages.SkipReason): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, sources } = this.#options
      yield* progress.skipped(index, why)
      if (why === "same") progress.reused(sources[index]?.entry.size ?? 0)
      yield* this.#gather(frame(FrameType.Skip, Messages.encodeSkip(index, why)))
    })
  }

  #small(index: number, opened: OpenSource, size: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, pace } = this.#options
      const bytes = readSmall(opened, size)
      if (bytes === undefined || !opened.isUnchanged()) return yield* this.#pass(index, "changed")
      yield* pace(size)
      progress.transferred(size)
      yield* this.#gather(frame(FrameType.SmallFile, u32(index), smallFileDigest(bytes), bytes))
    })
  }

  #large(
    index: number,
    opened: OpenSource,
    size: number,
    kept: ReadonlyArray<Buffer>
  ): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, pace, channel } = this.#options
      const tree = new FileDigest(kept)
      const start = Math.min(kept.length * protocolLimits.blockBytes, size)
      progress.reused(start)
      yield* this.#gather(frame(FrameType.File, u32(index), u32(kept.length)))
      yield* this.#flush
      for (let at = start; at < size;) {
        const length = Math.min(protocolLimits.pieceBytes, size - at)
        const piece = yield* Effect.orElseSucceed(
          readAt(opened.fd, this.#pieces.next().subarray(0, length), at),
          () => undefined
        )
        // One that shrank has nothing here, and one that was written to shows it by its time.
        if (piece?.length !== length || !opened.isUnchanged())
          return yield* this.#pass(index, piece === undefined ? "unreadable" : "changed")
        at += length
        if (isZero(piece)) {
          tree.push(zeroPieceDigest(length))
          progress.transferred(0)
          progress.reused(length)
          yield* this.#gather(header(FrameType.Zeros, 0))
          continue
        }
        tree.push(pieceDigest(piece))
        yield* this.#flush
        yield* pace(length)
        yield* channel.write(header(FrameType.Bytes, length))
        // When a write is done, less than one record's body waits in the channel: of the last of it, it gets a copy, and the piece is free.
        const tail = Math.max(0, length - channelLimits.bodyBytes)
        yield* channel.write(piece.subarray(0, tail))
        yield* channel.write(Buffer.from(piece.subarray(tail)))
        progress.transferred(length)
      }
      yield* this.#gather(frame(FrameType.End, tree.digest()))
    })
  }

  #gather(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      this.#batch.push(bytes)
      this.#batchBytes += bytes.length
      return this.#batchBytes >= limits.batchBytes ? this.#flush : Effect.void
    })
  }

  get #flush(): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      if (this.#batchBytes === 0) return Effect.void
      const together = Buffer.concat(this.#batch)
      this.#batch = []
      this.#batchBytes = 0
      return this.#options.channel.write(together)
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

function* entriesOf(items: ReadonlyArray<SourceEntry>): Generator<Manifest.Entry> {
  for (const { entry } of items) yield entry
}

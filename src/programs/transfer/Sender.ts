// The side that has files: says what will come, hears what is wanted of it, sends that, and hears when it is safe. TRANSFER.md section 5.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { protocolLimits as channelLimits } from "../../channel/limits.ts"
import { digestBytes, digestsOf, isZero, ofPiece, ofSmall, ofZeros, Tree } from "./Digest.ts"
import { Pieces, readAt } from "./Disk.ts"
import { frame, FrameType, header, type Frames, u32 } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import * as Manifest from "./Manifest.ts"
import { News } from "./News.ts"
import * as Part from "./Part.ts"
import type { Progress } from "./Progress.ts"
import { open, type Item, type Opened } from "./Source.ts"
import { TransferStopped } from "./TransferErrors.ts"
import * as Words from "./Words.ts"

export interface SenderOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** In the order of a manifest. */
  readonly items: ReadonlyArray<Item>
  /** To be told to the receiver. */
  readonly leftOut: ReadonlyArray<Words.LeftOut>
  /** Nothing is sent but the manifest. */
  readonly dry: boolean
  readonly progress: Progress
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
    return Effect.raceFirst(Effect.zipRight(content, Effect.never), sender.hear)
  })

class Sender {
  readonly #options: SenderOptions
  readonly #pieces = new Pieces()
  /** Answers by index, as they come; a settled one is let go. */
  readonly #answers: Array<{ readonly answer: Words.Answer; readonly digests: ReadonlyArray<Buffer> } | undefined> = []
  #digests: Array<Buffer> = []
  #settled = 0
  /** Who has no receipt yet. */
  readonly #waiting = new Set<number>()
  readonly #news = new News()
  #lastSaid = false
  /** Small frames that go together. */
  #batch: Array<Uint8Array> = []
  #batchBytes = 0

  constructor(options: SenderOptions) {
    this.#options = options
  }

  // ---- what the receiver says

  readonly hear: Effect.Effect<void, SenderError> = Effect.gen(this, function* () {
    const { frames, channel } = this.#options
    for (;;) {
      const head = yield* frames.head
      if (head === undefined) return yield* frames.broken("a FIN before the last receipt")
      const body = yield* frames.whole(head.length)
      switch (head.type) {
        case FrameType.Answers:
          yield* this.#answered(body)
          continue
        case FrameType.Digests: {
          if (body.length % digestBytes !== 0) return yield* frames.broken("digests that are cut off")
          // A copy: a view would keep its whole record.
          const copy = Buffer.from(body)
          for (let at = 0; at < copy.length; at += digestBytes) this.#digests.push(copy.subarray(at, at + digestBytes))
          const size = this.#options.items[this.#answers.length]?.entry.size ?? 0
          if (this.#digests.length * protocolLimits.blockBytes >= size + protocolLimits.blockBytes)
            return yield* frames.broken("more digests than a file has blocks")
          continue
        }
        case FrameType.Receipts:
          yield* this.#receipts(body)
          continue
        case FrameType.Stop: {
          const reason = Words.decodeStop(body)
          return yield* reason === undefined
            ? frames.broken("a stop for no reason")
            : new TransferStopped({ peer: channel.peer, reason, side: "there" })
        }
        case FrameType.Done:
          if (!this.#lastSaid || (this.#waiting.size > 0 && !this.#options.dry))
            return yield* frames.broken("an end before the last receipt")
          return
        default:
          return yield* frames.broken("a frame where none of its type belongs")
      }
    }
  })

  #answered(body: Buffer): Effect.Effect<void, SenderError> {
    return Effect.gen(this, function* () {
      const { frames, items, progress } = this.#options
      const said = Words.decodeAnswers(body)
      if (said === undefined || this.#answers.length + said.length > items.length)
        return yield* frames.broken("answers that are none")
      for (const answer of said) {
        const index = this.#answers.length
        const isFile = items[index]?.entry.kind === "file"
        if (isFile ? answer === "made" : Words.wantsMore(answer))
          return yield* frames.broken("an answer that does not fit its entry")
        const proves = answer === "have" || answer === "compare" || answer === "differs"
        if (!proves && this.#digests.length > 0) return yield* frames.broken("digests that belong to nothing")
        this.#answers.push({ answer, digests: this.#digests })
        this.#digests = []
        if (!Words.wantsMore(answer)) yield* progress.answered(index, answer)
        if (!Words.isFinal(answer)) this.#waiting.add(index)
      }
      if (this.#answers.length - this.#settled > protocolLimits.entries) return yield* frames.broken("answers far ahead")
      this.#news.tell()
    })
  }

  #receipts(body: Buffer): Effect.Effect<void, SenderError> {
    return Effect.gen(this, function* () {
      const { frames, progress } = this.#options
      const receipts = Words.decodeReceipts(body)
      if (receipts === undefined || !receipts.every(({ index }) => this.#waiting.delete(index)))
        return yield* frames.broken("a receipt for what it cannot have")
      yield* progress.receipts(receipts)
    })
  }

  // ---- what is said to it

  get content(): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { channel, items, leftOut } = this.#options
      for (const one of leftOut) yield* this.#gather(frame(FrameType.LeftOut, Words.encodeLeftOut(one)))
      for (const body of Manifest.encode(entriesOf(items))) yield* this.#gather(frame(FrameType.Entries, body))
      const bytes = items.reduce((sum, { entry }) => sum + entry.size, 0)
      yield* this.#gather(frame(FrameType.All, Words.encodeAll(items.length, bytes)))
      for (const [index, item] of items.entries()) {
        let found = this.#answers[index]
        while (found === undefined) {
          yield* this.#flush
          yield* Effect.suspend(() => (this.#answers.length > index ? Effect.void : this.#news.next))
          found = this.#answers[index]
        }
        this.#answers[index] = undefined
        this.#settled = index + 1
        if (Words.wantsMore(found.answer)) yield* this.#settle(index, item, found.answer, found.digests)
      }
      yield* this.#flush
      this.#lastSaid = true
      yield* channel.write(frame(FrameType.Last))
    })
  }

  /** Says what becomes of a file that is wanted, or may be. */
  #settle(index: number, item: Item, answer: Words.Answer, digests: ReadonlyArray<Buffer>): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { dry } = this.#options
      const opened = open(item)
      if (typeof opened === "string") return yield* this.#pass(index, opened)
      const { size } = item.entry
      yield* Effect.gen(this, function* () {
        const own = answer === "want" ? [] : yield* this.#own(opened, size, digests)
        if (own === undefined) return yield* this.#pass(index, "unreadable")
        const kept = own.findIndex((digest, at) => Buffer.compare(digest, digests[at] as Buffer) !== 0)
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
  #own({ fd }: Opened, size: number, digests: ReadonlyArray<Buffer>): Effect.Effect<ReadonlyArray<Buffer> | undefined> {
    const length = Math.min(digests.length * protocolLimits.blockBytes, size)
    return digestsOf(fd, length, size, this.#pieces).pipe(
      Effect.map((own) => own.slice(0, digests.length)),
      Effect.catchAll(() => Effect.succeed(undefined))
    )
  }

  #pass(index: number, why: Words.Pass): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, items } = this.#options
      yield* progress.passed(index, why)
      if (why === "same") progress.kept(items[index]?.entry.size ?? 0)
      yield* this.#gather(frame(FrameType.Pass, Words.encodePass(index, why)))
    })
  }

  #small(index: number, opened: Opened, size: number): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, pace } = this.#options
      const bytes = readSmall(opened, size)
      if (bytes === undefined || !opened.isUnchanged()) return yield* this.#pass(index, "changed")
      yield* pace(size)
      progress.came(size)
      yield* this.#gather(frame(FrameType.Whole, u32(index), ofSmall(bytes), bytes))
    })
  }

  #large(index: number, opened: Opened, size: number, kept: ReadonlyArray<Buffer>): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { progress, pace, channel } = this.#options
      const tree = new Tree(kept)
      const start = Math.min(kept.length * protocolLimits.blockBytes, size)
      progress.kept(start)
      yield* this.#gather(frame(FrameType.File, u32(index), u32(kept.length)))
      yield* this.#flush
      for (let at = start; at < size;) {
        const length = Math.min(protocolLimits.pieceBytes, size - at)
        const piece = yield* Effect.orElseSucceed(readAt(opened.fd, this.#pieces.next().subarray(0, length), at), () => undefined)
        // One that shrank has nothing here, and one that was written to shows it by its time.
        if (piece?.length !== length || !opened.isUnchanged())
          return yield* this.#pass(index, piece === undefined ? "unreadable" : "changed")
        at += length
        if (isZero(piece)) {
          tree.push(ofZeros(length))
          progress.came(0)
          progress.kept(length)
          yield* this.#gather(header(FrameType.Zeros, 0))
          continue
        }
        const digest = ofPiece(piece)
        yield* this.#flush
        yield* pace(length)
        yield* channel.write(header(FrameType.Bytes, length))
        // When a write is done, less than one record's body waits in the channel: of the last of it, it gets a copy, and the piece is free.
        const tail = Math.max(0, length - channelLimits.bodyBytes)
        yield* channel.write(piece.subarray(0, tail))
        yield* channel.write(Buffer.from(piece.subarray(tail)))
        progress.came(length)
        tree.push(digest instanceof Promise ? yield* Effect.promise(() => digest) : digest)
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

const readSmall = ({ fd }: Opened, size: number): Buffer | undefined => {
  try {
    return Part.readSmall(fd, size)
  } catch {
    return undefined
  }
}

function* entriesOf(items: ReadonlyArray<Item>): Generator<Manifest.Entry> {
  for (const { entry } of items) yield entry
}

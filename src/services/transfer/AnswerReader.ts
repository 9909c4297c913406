// What the receiver says: its answers with their digests, its receipts, and that all is done. TRANSFER.md sections 4 and 5.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { digestBytes } from "./Digest.ts"
import { FrameType, type Frames } from "./Frame.ts"
import { stopped } from "./ManifestReader.ts"
import { protocolLimits } from "./limits.ts"
import { Signal } from "./Signal.ts"
import type { Progress } from "./Progress.ts"
import type { SourceEntry } from "./FileWalker.ts"
import type { TransferStopped } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

interface Options {
  readonly channel: Channel
  readonly frames: Frames
  readonly items: ReadonlyArray<SourceEntry>
  readonly dry: boolean
  readonly progress: Progress
}

interface Answered {
  readonly answer: Messages.Answer
  readonly digests: ReadonlyArray<Buffer>
}

export class AnswerReader {
  readonly #options: Options
  /** Answers by index, as they come; one that was taken is let go. */
  readonly #answers: Array<Answered | undefined> = []
  /** Of the entry that is answered next. */
  #digests: Array<Buffer> = []
  #taken = 0
  /** Who has no receipt yet. */
  readonly #waiting = new Set<number>()
  readonly #news = new Signal()
  #lastSaid = false

  constructor(options: Options) {
    this.#options = options
  }

  /** What is wanted of the next entry, when it is known; `idle` is done before it is waited for. */
  next<E>(index: number, idle: Effect.Effect<void, E>): Effect.Effect<Answered, E> {
    return Effect.gen(this, function* () {
      let found = this.#answers[index]
      while (found === undefined) {
        yield* idle
        yield* Effect.suspend(() => (this.#answers.length > index ? Effect.void : this.#news.next))
        found = this.#answers[index]
      }
      this.#answers[index] = undefined
      this.#taken = index + 1
      return found
    })
  }

  /** The receiver may say that all is done. */
  last(): void {
    this.#lastSaid = true
  }

  readonly hear: Effect.Effect<void, ChannelError | TransferStopped> = Effect.gen(
    this,
    function* () {
      const { frames, channel } = this.#options
      for (;;) {
        const head = yield* frames.head
        if (head === undefined) return yield* frames.broken("a FIN before the last receipt")
        const body = yield* frames.whole(head.length)
        switch (head.type) {
          case FrameType.Answers:
            yield* this.#answered(body)
            continue
          case FrameType.Digests:
            yield* this.#digested(body)
            continue
          case FrameType.Receipts:
            yield* this.#receipts(body)
            continue
          case FrameType.Stop:
            return yield* stopped(channel, frames, body)
          case FrameType.Done:
            if (!this.#lastSaid || (this.#waiting.size > 0 && !this.#options.dry))
              return yield* frames.broken("an end before the last receipt")
            return
          default:
            return yield* frames.broken("a frame where none of its type belongs")
        }
      }
    }
  )

  #digested(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const { frames, items } = this.#options
      if (body.length % digestBytes !== 0) return frames.broken("digests that are cut off")
      // A copy: a view would keep its whole record.
      const copy = Buffer.from(body)
      for (let at = 0; at < copy.length; at += digestBytes)
        this.#digests.push(copy.subarray(at, at + digestBytes))
      const size = items[this.#answers.length]?.entry.size ?? 0
      return this.#digests.length * protocolLimits.blockBytes >= size + protocolLimits.blockBytes
        ? frames.broken("more digests than a file has blocks")
        : Effect.void
    })
  }

  #answered(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, items, progress } = this.#options
      const said = Messages.decodeAnswers(body)
      if (said === undefined || this.#answers.length + said.length > items.length)
        return yield* frames.broken("answers that are none")
      for (const answer of said) {
        const index = this.#answers.length
        const isFile = items[index]?.entry.kind === "file"
        if (isFile ? answer === "made" : Messages.wantsMore(answer))
          return yield* frames.broken("an answer that does not fit its entry")
        const proves = answer === "have" || answer === "compare" || answer === "differs"
        if (!proves && this.#digests.length > 0)
          return yield* frames.broken("digests that belong to nothing")
        this.#answers.push({ answer, digests: this.#digests })
        this.#digests = []
        if (!Messages.wantsMore(answer)) yield* progress.answered(index, answer)
        if (!Messages.isFinal(answer)) this.#waiting.add(index)
      }
      if (this.#answers.length - this.#taken > protocolLimits.entries)
        return yield* frames.broken("answers far ahead")
      this.#news.tell()
    })
  }

  #receipts(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, progress } = this.#options
      const receipts = Messages.decodeReceipts(body)
      if (receipts === undefined || !receipts.every(({ index }) => this.#waiting.delete(index)))
        return yield* frames.broken("a receipt for what it cannot have")
      yield* progress.receipts(receipts)
    })
  }
}

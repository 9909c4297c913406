// What the receiver says: its answers with their digests, its receipts, and that all is done. TRANSFER.md sections 4 and 5.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { digestBytes } from "./Digest.ts"
import { FrameType, type Frames } from "./Frame.ts"
import { failStopped } from "./ManifestReader.ts"
import { protocolLimits } from "./limits.ts"
import { Signal } from "./Signal.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import type { SourceEntry } from "./FileWalker.ts"
import type { TransferStopped } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

interface Options {
  readonly channel: Channel
  readonly frames: Frames
  readonly sources: ReadonlyArray<SourceEntry>
  readonly dry: boolean
  readonly progress: TransferProgress
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
  answerFor<E>(index: number, idle: Effect.Effect<void, E>): Effect.Effect<Answered, E> {
    return Effect.gen(this, function* () {
      let found = this.#answers[index]
      while (found === undefined) {
        yield* idle
        yield* Effect.suspend(() => (this.#answers.length > index ? Effect.void : this.#news.wait))
        found = this.#answers[index]
      }
      this.#answers[index] = undefined
      this.#taken = index + 1
      return found
    })
  }

  /** The receiver may say that all is done. */
  markEndSent(): void {
    this.#lastSaid = true
  }

  readonly run: Effect.Effect<void, ChannelError | TransferStopped> = Effect.gen(
    this,
    function* () {
      const { frames, channel } = this.#options
      for (;;) {
        const head = yield* frames.readHeader
        if (head === undefined) return yield* frames.violation("a FIN before the last receipt")
        const body = yield* frames.readBody(head.length)
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
            return yield* failStopped(channel, frames, body)
          case FrameType.Done:
            if (!this.#lastSaid || (this.#waiting.size > 0 && !this.#options.dry))
              return yield* frames.violation("an end before the last receipt")
            return
          default:
            return yield* frames.violation("a frame where none of its type belongs")
        }
      }
    }
  )

  #digested(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const { frames, sources } = this.#options
      if (body.length % digestBytes !== 0) return frames.violation("digests that are cut off")
      // A copy: a view would keep its whole record.
      const copy = Buffer.from(body)
      for (let at = 0; at < copy.length; at += digestBytes)
        this.#digests.push(copy.subarray(at, at + digestBytes))
      const size = sources[this.#answers.length]?.entry.size ?? 0
      return this.#digests.length * protocolLimits.blockBytes >= size + protocolLimits.blockBytes
        ? frames.violation("more digests than a file has blocks")
        : Effect.void
    })
  }

  #answered(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, sources, progress } = this.#options
      const said = Messages.decodeAnswers(body)
      if (said === undefined || this.#answers.length + said.length > sources.length)
        return yield* frames.violation("answers that are none")
      for (const answer of said) {
        const index = this.#answers.length
        const isFile = sources[index]?.entry.kind === "file"
        if (isFile ? answer === "made" : Messages.needsReply(answer))
          return yield* frames.violation("an answer that does not fit its entry")
        const proves = answer === "have" || answer === "compare" || answer === "differs"
        if (!proves && this.#digests.length > 0)
          return yield* frames.violation("digests that belong to nothing")
        this.#answers.push({ answer, digests: this.#digests })
        this.#digests = []
        if (!Messages.needsReply(answer)) yield* progress.answered(index, answer)
        if (!Messages.isFinal(answer)) this.#waiting.add(index)
      }
      if (this.#answers.length - this.#taken > protocolLimits.entries)
        return yield* frames.violation("answers far ahead")
      this.#news.notify()
    })
  }

  #receipts(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, progress } = this.#options
      const receipts = Messages.decodeReceipts(body)
      if (receipts === undefined || !receipts.every(({ index }) => this.#waiting.delete(index)))
        return yield* frames.violation("a receipt for what it cannot have")
      yield* progress.confirmed(receipts)
    })
  }
}

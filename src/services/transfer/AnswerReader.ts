// The sender's view of the receiver: answers with their digests, receipts, and DONE. TRANSFER.md
// sections 4 and 5.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { blockCount, digestBytes } from "./Digest.ts"
import type { SourceEntry } from "./SourceFile.ts"
import { FrameType, type Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import { failStopped } from "./ManifestReader.ts"
import * as Messages from "./Messages.ts"
import { Signal } from "./Signal.ts"
import type { TransferStopped } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

interface AnswerReaderOptions {
  readonly channel: Channel
  readonly frames: Frames
  readonly sources: ReadonlyArray<SourceEntry>
  readonly dry: boolean
  readonly progress: TransferProgress
}

/** An answer of the receiver. */
export interface ReceivedAnswer {
  readonly answer: Messages.Answer
  readonly digests: ReadonlyArray<Buffer>
}

export class AnswerReader {
  readonly #options: AnswerReaderOptions
  /** Answers by index; undefined once the sender has taken one. */
  readonly #answers: Array<ReceivedAnswer | undefined> = []
  /** Digests of the entry that is answered next. */
  #digests: Array<Buffer> = []
  /** Digests of the answers that the sender has not taken. */
  #digestsAhead = 0
  #taken = 0
  /** Indexes of the entries whose receipt has not arrived. */
  readonly #awaitingReceipt = new Set<number>()
  readonly #answered = new Signal()
  #isListed = false
  #isEndSent = false

  constructor(options: AnswerReaderOptions) {
    this.#options = options
  }

  /** Takes the answer of the next entry. Runs `beforeWaiting` if it has not arrived. */
  answerFor<E>(
    index: number,
    beforeWaiting: Effect.Effect<void, E>
  ): Effect.Effect<ReceivedAnswer, E> {
    return Effect.gen(this, function* () {
      let answer = this.#answers[index]
      while (answer === undefined) {
        yield* beforeWaiting
        yield* Effect.suspend(() =>
          this.#answers.length > index ? Effect.void : this.#answered.wait
        )
        answer = this.#answers[index]
      }
      this.#answers[index] = undefined
      this.#taken = index + 1
      this.#digestsAhead -= answer.digests.length
      return answer
    })
  }

  /** Allows answers: the manifest is complete. */
  allowAnswers(): void {
    this.#isListed = true
  }

  /** Allows DONE: TRANSFEREND is about to be sent. */
  markEndSent(): void {
    this.#isEndSent = true
  }

  /** Reads frames until DONE. */
  readonly run: Effect.Effect<void, ChannelError | TransferStopped> = Effect.gen(
    this,
    function* () {
      const { frames, channel, dry } = this.#options
      for (;;) {
        const header = yield* frames.readHeader
        if (header === undefined) return yield* frames.violation("FIN before DONE")
        const body = yield* frames.readBody(header.length)
        if (!this.#isListed && header.type !== FrameType.Stop)
          return yield* frames.violation("an answer before MANIFESTEND")
        switch (header.type) {
          case FrameType.Answers:
            yield* this.#readAnswers(body)
            continue
          case FrameType.Digests:
            yield* this.#readDigests(body)
            continue
          case FrameType.Receipts:
            yield* this.#readReceipts(body)
            continue
          case FrameType.Stop:
            return yield* failStopped(channel, frames, body)
          case FrameType.Done:
            if (!this.#isEndSent || (this.#awaitingReceipt.size > 0 && !dry))
              return yield* frames.violation("DONE before the last receipt")
            return
          default:
            return yield* frames.violation("unexpected frame")
        }
      }
    }
  )

  #readDigests(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const { frames, sources } = this.#options
      if (body.length === 0 || body.length % digestBytes !== 0)
        return frames.violation("malformed DIGESTS frame")
      // A view would keep the whole record in memory.
      const copy = Buffer.from(body)
      for (let start = 0; start < copy.length; start += digestBytes)
        this.#digests.push(copy.subarray(start, start + digestBytes))
      const size = sources[this.#answers.length]?.entry.size ?? 0
      return this.#digests.length * protocolLimits.blockBytes >= size + protocolLimits.blockBytes
        ? frames.violation("more digests than the file has blocks")
        : Effect.void
    })
  }

  #readAnswers(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, sources, progress } = this.#options
      const answers = Messages.decodeAnswers(body)
      if (answers === undefined) return yield* frames.violation("malformed ANSWERS frame")
      if (this.#answers.length + answers.length > sources.length)
        return yield* frames.violation("more answers than entries")
      for (const answer of answers) {
        const index = this.#answers.length
        const isFile = sources[index]?.entry.kind === "file"
        if (isFile ? answer === "made" : Messages.needsReply(answer))
          return yield* frames.violation("an answer does not fit its entry")
        const hasDigests = answer === "have" || answer === "compare" || answer === "differs"
        if (!hasDigests && this.#digests.length > 0)
          return yield* frames.violation("digests before an answer without any")
        if (hasDigests && !this.#fits(answer, sources[index]?.entry.size ?? 0))
          return yield* frames.violation("an answer with another number of digests")
        // Those of one file may exceed the limit by themselves.
        if (this.#digestsAhead > protocolLimits.digestsAhead && this.#digests.length > 0)
          return yield* frames.violation("digests too far ahead")
        this.#digestsAhead += this.#digests.length
        this.#answers.push({ answer, digests: this.#digests })
        this.#digests = []
        if (!Messages.needsReply(answer)) yield* progress.answered(index, answer)
        if (!Messages.isFinal(answer)) this.#awaitingReceipt.add(index)
      }
      if (this.#answers.length - this.#taken > protocolLimits.entries)
        return yield* frames.violation("answers too far ahead")
      this.#answered.notify()
    })
  }

  /** TRANSFER.md section 4: `have` proves some blocks, `compare` and `differs` all of them. */
  #fits(answer: Messages.Answer, size: number): boolean {
    const count = this.#digests.length
    return answer === "have" ? count > 0 : count === blockCount(size)
  }

  #readReceipts(body: Buffer): Effect.Effect<void, ChannelError> {
    return Effect.gen(this, function* () {
      const { frames, progress } = this.#options
      const receipts = Messages.decodeReceipts(body)
      if (receipts === undefined) return yield* frames.violation("malformed RECEIPTS frame")
      if (!receipts.every(({ index }) => this.#awaitingReceipt.delete(index)))
        return yield* frames.violation("unexpected receipt")
      yield* progress.confirmed(receipts)
    })
  }
}

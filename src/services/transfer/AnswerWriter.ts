// The receiver's answers: checks one destination after the other and sends the answers in the order
// of the manifest, a limited number ahead of the sender. TRANSFER.md section 4.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import {
  DestinationCheck,
  digestMemory,
  type CheckResult,
  type DestinationCheckOptions
} from "./DestinationCheck.ts"
import { yieldTurn } from "./Disk.ts"
import { frame, FrameType } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import * as Messages from "./Messages.ts"
import { Signal } from "./Signal.ts"
import type { TransferProgress } from "./TransferProgress.ts"

export interface AnswerWriterOptions extends DestinationCheckOptions {
  readonly channel: Channel
  readonly progress: TransferProgress
}

/** An entry on which the sender acts now. */
export interface ResolvedEntry extends CheckResult {
  readonly entry: Entry
}

/** Most partial files that are open and locked ahead of the sender. */
const openPartialFiles = 16

/** Most answers of one ANSWERS frame. */
const answersPerFrame = 4096
/** Most digests of one DIGESTS frame. */
const digestsPerFrame = 16_384

export class AnswerWriter {
  readonly #options: AnswerWriterOptions
  readonly check: DestinationCheck
  /** Answered entries on which the sender has yet to act, in the order of the manifest. */
  readonly #unresolved = new Map<number, CheckResult>()
  /** Number of digests and partial files among them. */
  #digests = 0
  #partialFiles = 0
  /** Number of entries that have an answer. */
  #answered = 0
  #unsent: Array<Messages.Answer> = []
  readonly #resolved = new Signal()

  constructor(options: AnswerWriterOptions) {
    this.#options = options
    this.check = new DestinationCheck(options)
    // The reading fiber reports a lost connection.
    this.check.beforeWaiting = Effect.suspend(() => Effect.ignore(this.#send))
  }

  /** Releases the partial files of entries on which the sender has not acted. */
  abandon(): void {
    this.check.abandon()
    for (const { partial, charge } of this.#unresolved.values()) {
      partial?.keepOrDiscard()
      charge?.cancel()
    }
    this.#unresolved.clear()
  }

  /** True when every entry has its answer and the sender has acted on all that needed it. */
  get isDone(): boolean {
    return this.#answered === this.#options.entries.length && this.#unresolved.size === 0
  }

  /**
   * Takes the entry on which the sender acts; the caller is now responsible for its partial file.
   * Undefined if the entry is not the next one in the order of the manifest.
   */
  resolve(index: number): ResolvedEntry | undefined {
    const [next] = this.#unresolved.keys()
    const result = this.#unresolved.get(index)
    if (result === undefined || next !== index) return undefined
    this.#unresolved.delete(index)
    this.#digests -= result.digests.length
    // The digests of a partial file are needed until its file begins, which is next.
    this.#options.memory?.release(digestMemory(result.digests.length))
    if (result.partial !== undefined) this.#partialFiles--
    this.#resolved.notify()
    return { entry: this.#options.entries[index] as Entry, ...result }
  }

  /** Answers every entry. */
  readonly run: Effect.Effect<void, ChannelError> = Effect.gen(this, function* () {
    const { entries, progress } = this.#options
    for (const index of entries.keys()) {
      while (this.#isTooFarAhead) {
        yield* this.#send
        yield* Effect.suspend(() => (this.#isTooFarAhead ? this.#resolved.wait : Effect.void))
      }
      const result = yield* this.check.check(index)
      this.check.handOver()
      if (Messages.needsReply(result.answer)) {
        this.#unresolved.set(index, result)
        this.#digests += result.digests.length
        if (result.partial !== undefined) this.#partialFiles++
      } else yield* progress.answered(index, result.answer)
      if (result.digests.length > 0) {
        // The digests belong to the answer that follows them.
        yield* this.#send
        yield* this.#sendDigests(result.digests)
      }
      this.#unsent.push(result.answer)
      this.#answered++
      if (this.#unsent.length >= answersPerFrame) yield* this.#send
      else if (index % limits.entriesPerTurn === limits.entriesPerTurn - 1)
        yield* Effect.zipRight(this.#send, yieldTurn)
    }
    yield* this.#send
  })

  get #isTooFarAhead(): boolean {
    return (
      this.#unresolved.size >= protocolLimits.answersAhead ||
      this.#digests >= protocolLimits.digestsAhead ||
      this.#partialFiles >= openPartialFiles
    )
  }

  get #send(): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const answers = this.#unsent
      this.#unsent = []
      if (answers.length === 0) return Effect.void
      return this.#options.channel.write(frame(FrameType.Answers, Messages.encodeAnswers(answers)))
    })
  }

  #sendDigests(digests: ReadonlyArray<Buffer>): Effect.Effect<void, ChannelError> {
    const batches: Array<ReadonlyArray<Buffer>> = []
    for (let start = 0; start < digests.length; start += digestsPerFrame)
      batches.push(digests.slice(start, start + digestsPerFrame))
    return Effect.forEach(
      batches,
      (batch) => this.#options.channel.write(frame(FrameType.Digests, ...batch)),
      { discard: true }
    )
  }
}

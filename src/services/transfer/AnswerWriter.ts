// What the receiver wants of a manifest: it looks at one entry after the other and says its answers in the manifest's order, never far
// ahead of what the sender has settled. TRANSFER.md section 4.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { frame, FrameType } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import {
  DestinationCheck,
  type CheckResult,
  type DestinationCheckOptions
} from "./DestinationCheck.ts"
import type { Entry } from "./Manifest.ts"
import { Signal } from "./Signal.ts"
import * as Messages from "./Messages.ts"

export interface AnswerWriterOptions extends DestinationCheckOptions {
  readonly channel: Channel
}

/** An entry that the sender has settled, with what was known of it. */
export interface ResolvedEntry extends CheckResult {
  readonly entry: Entry
}

/** Unfinished files that are kept open and locked, ahead of the sender. */
const openParts = 16

/** Frames with so many answers or digests at most. */
const answersPerFrame = 4096
const digestsPerFrame = 16_384

export class AnswerWriter {
  readonly #options: AnswerWriterOptions
  readonly check: DestinationCheck
  /** Entries that were asked for and are not settled. */
  readonly #open = new Map<number, CheckResult>()
  #digests = 0
  #parts = 0
  /** Entries that have an answer, and the answers that have not gone out. */
  #answered = 0
  #unsaid: Array<Messages.Answer> = []
  readonly #news = new Signal()

  constructor(options: AnswerWriterOptions) {
    this.#options = options
    this.check = new DestinationCheck(options)
  }

  abandon(): void {
    this.check.abandon()
    for (const { partial } of this.#open.values()) partial?.keepOrDiscard()
    this.#open.clear()
  }

  /** Every entry has its answer, and the sender has settled all that wanted it. */
  get isDone(): boolean {
    return this.#answered === this.#options.entries.length && this.#open.size === 0
  }

  /** The sender has said what it does about an entry; undefined where nothing was asked of it. In the order of the manifest. */
  resolve(index: number): ResolvedEntry | undefined {
    const [first] = this.#open.keys()
    const open = this.#open.get(index)
    if (open === undefined || first !== index) return undefined
    this.#open.delete(index)
    this.#digests -= open.digests.length
    if (open.partial !== undefined) this.#parts--
    this.#news.notify()
    return { entry: this.#options.entries[index] as Entry, ...open }
  }

  readonly run: Effect.Effect<void, ChannelError> = Effect.gen(this, function* () {
    const { entries } = this.#options
    for (const index of entries.keys()) {
      while (this.#isFar) {
        yield* this.#say
        yield* Effect.suspend(() => (this.#isFar ? this.#news.wait : Effect.void))
      }
      const open = yield* this.check.check(index)
      this.check.handOver()
      if (Messages.needsReply(open.answer)) {
        this.#open.set(index, open)
        this.#digests += open.digests.length
        if (open.partial !== undefined) this.#parts++
      } else yield* this.#options.progress.answered(index, open.answer)
      if (open.digests.length > 0) {
        yield* this.#say
        yield* this.#sayDigests(open.digests)
      }
      this.#unsaid.push(open.answer)
      this.#answered++
      if (this.#unsaid.length >= answersPerFrame) yield* this.#say
      else if (index % limits.entriesPerTurn === limits.entriesPerTurn - 1)
        yield* Effect.zipRight(this.#say, turn)
    }
    yield* this.#say
  })

  get #isFar(): boolean {
    return (
      this.#open.size >= protocolLimits.answersAhead ||
      this.#digests >= protocolLimits.digestsAhead ||
      this.#parts >= openParts
    )
  }

  get #say(): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const said = this.#unsaid
      this.#unsaid = []
      if (said.length === 0) return Effect.void
      return this.#options.channel.write(frame(FrameType.Answers, Messages.encodeAnswers(said)))
    })
  }

  #sayDigests(digests: ReadonlyArray<Buffer>): Effect.Effect<void, ChannelError> {
    const parts: Array<ReadonlyArray<Buffer>> = []
    for (let at = 0; at < digests.length; at += digestsPerFrame)
      parts.push(digests.slice(at, at + digestsPerFrame))
    return Effect.forEach(
      parts,
      (some) => this.#options.channel.write(frame(FrameType.Digests, ...some)),
      { discard: true }
    )
  }
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

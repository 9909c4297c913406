// What has come becomes safe, and its receipts go out; a disk that takes no more ends the session. TRANSFER.md section 5.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Channel } from "../../channel/Channel.ts"
import { CommitQueue } from "./CommitQueue.ts"
import { frame, FrameType } from "./Frame.ts"
import type { Progress } from "./Progress.ts"
import { diskFailed, isFull, type DiskFailed } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

/** Receipts in one frame. */
const perFrame = 2048

export class DurableReceipts {
  readonly #channel: Channel
  readonly #progress: Progress
  readonly #full = Deferred.unsafeMake<never, DiskFailed>(FiberId.none)
  /** Files whose content is written. */
  readonly commits: CommitQueue

  constructor(channel: Channel, progress: Progress) {
    this.#channel = channel
    this.#progress = progress
    this.commits = new CommitQueue(this.receipts, this.troubled)
  }

  /** Files become safe, until the disk is full. */
  get run(): Effect.Effect<never, DiskFailed> {
    return Effect.raceFirst(this.commits.run, Deferred.await(this.#full))
  }

  /** A disk that takes no more ends the session; another fault is that of one file. */
  readonly troubled = (cause: unknown, path: string): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      const failed = diskFailed(path)(cause)
      yield* this.#progress.trouble(failed)
      if (!isFull(failed.code)) return
      yield* Effect.ignore(this.#channel.write(frame(FrameType.Stop, Messages.encodeStop("full"))))
      yield* Deferred.fail(this.#full, failed)
      // Nothing more is done: that ends it.
      return yield* Effect.never
    })

  readonly receipts = (receipts: ReadonlyArray<Messages.Receipt>): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      for (let at = 0; at < receipts.length; at += perFrame) {
        const some = receipts.slice(at, at + perFrame)
        // A loss is told by the reading.
        yield* Effect.ignore(
          this.#channel.write(frame(FrameType.Receipts, Messages.encodeReceipts(some)))
        )
        yield* this.#progress.receipts(some)
      }
    })
}

// What has come becomes safe, and its receipts go out; a disk that takes no more ends the session. TRANSFER.md section 5.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Channel } from "../../channel/Channel.ts"
import { CommitQueue } from "./CommitQueue.ts"
import { frame, FrameType } from "./Frame.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { diskFailed, isFull, type DiskFailed } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

/** Receipts in one frame. */
const perFrame = 2048

export class DurableReceipts {
  readonly #channel: Channel
  readonly #progress: TransferProgress
  readonly #full = Deferred.unsafeMake<never, DiskFailed>(FiberId.none)
  /** Files whose content is written. */
  readonly queue: CommitQueue

  constructor(channel: Channel, progress: TransferProgress) {
    this.#channel = channel
    this.#progress = progress
    this.queue = new CommitQueue(this.send, this.reportFailure)
  }

  /** Files become safe, until the disk is full. */
  get run(): Effect.Effect<never, DiskFailed> {
    return Effect.raceFirst(this.queue.run, Deferred.await(this.#full))
  }

  /** A disk that takes no more ends the session; another fault is that of one file. */
  readonly reportFailure = (cause: unknown, path: string): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      const failed = diskFailed(path)(cause)
      yield* this.#progress.diskFailed(failed)
      if (!isFull(failed.code)) return
      yield* Effect.ignore(this.#channel.write(frame(FrameType.Stop, Messages.encodeStop("full"))))
      yield* Deferred.fail(this.#full, failed)
      // Nothing more is done: that ends it.
      return yield* Effect.never
    })

  readonly send = (receipts: ReadonlyArray<Messages.Receipt>): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      for (let at = 0; at < receipts.length; at += perFrame) {
        const some = receipts.slice(at, at + perFrame)
        // A loss is told by the reading.
        yield* Effect.ignore(
          this.#channel.write(frame(FrameType.Receipts, Messages.encodeReceipts(some)))
        )
        yield* this.#progress.confirmed(some)
      }
    })
}

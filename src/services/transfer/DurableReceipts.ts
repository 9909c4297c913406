// Sends receipts for files that are durable. A full disk ends the session; any other failure is
// that of one file. TRANSFER.md section 5.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Channel } from "../../channel/Channel.ts"
import { CommitQueue } from "./CommitQueue.ts"
import { frame, FrameType } from "./Frame.ts"
import * as Messages from "./Messages.ts"
import { diskFailed, isFull, type DiskFailed } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

/** Most receipts of one frame. */
const receiptsPerFrame = 2048

export class DurableReceipts {
  readonly #channel: Channel
  readonly #progress: TransferProgress
  readonly #diskFull = Deferred.unsafeMake<never, DiskFailed>(FiberId.none)
  /** Files whose content is written. */
  readonly queue: CommitQueue

  constructor(channel: Channel, progress: TransferProgress) {
    this.#channel = channel
    this.#progress = progress
    this.queue = new CommitQueue(this.send, this.reportFailure)
  }

  /** Commits files; fails when the disk is full. */
  get run(): Effect.Effect<never, DiskFailed> {
    return Effect.raceFirst(this.queue.run, Deferred.await(this.#diskFull))
  }

  /** Reports a failure of the disk. If the disk is full, stops the session and never completes. */
  readonly reportFailure = (cause: unknown, path: string): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      const failed = diskFailed(path)(cause)
      yield* this.#progress.diskFailed(failed)
      if (!isFull(failed.code)) return
      const stop = frame(FrameType.Stop, Messages.encodeStop("diskFull"))
      yield* Effect.ignore(this.#channel.write(stop))
      yield* Deferred.fail(this.#diskFull, failed)
      // `run` has failed and interrupts the caller, which must not continue meanwhile.
      return yield* Effect.never
    })

  readonly send = (receipts: ReadonlyArray<Messages.Receipt>): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      for (let start = 0; start < receipts.length; start += receiptsPerFrame) {
        const batch = receipts.slice(start, start + receiptsPerFrame)
        const bytes = frame(FrameType.Receipts, Messages.encodeReceipts(batch))
        // The reading fiber reports a lost connection.
        yield* Effect.ignore(this.#channel.write(bytes))
        yield* this.#progress.confirmed(batch)
      }
    })
}

// Sends receipts for files that are durable. A full disk ends the session, after the files that are
// complete are durable; any other failure is that of one file. TRANSFER.md section 5.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Channel } from "../../channel/Channel.ts"
import { CommitQueue, type ExistingFile } from "./CommitQueue.ts"
import { frame, FrameType } from "./Frame.ts"
import * as Messages from "./Messages.ts"
import type { WrittenFile } from "./Naming.ts"
import { isFull, receiverFailed, type DiskFailed } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

/** Most receipts of one frame. */
const receiptsPerFrame = 2048

export class DurableReceipts {
  readonly #channel: Channel
  readonly #progress: TransferProgress
  readonly #diskFull = Deferred.unsafeMake<never, DiskFailed>(FiberId.none)
  #isFull = false
  readonly #queue: CommitQueue

  /** `flushFolders` flushes the names of the folders that were made for the files. */
  constructor(
    channel: Channel,
    progress: TransferProgress,
    flushFolders: Effect.Effect<void, NodeJS.ErrnoException>
  ) {
    this.#channel = channel
    this.#progress = progress
    this.#queue = new CommitQueue((cause, path) => this.#note(cause, path), flushFolders)
  }

  /** Waits while too many files wait for their flush. */
  get ready(): Effect.Effect<void> {
    return this.#queue.ready
  }

  /** Commits a file whose content is written, once they are ready for it. */
  commit(written: WrittenFile): void {
    this.#queue.add(written)
  }

  /** Commits files. When the disk is full, commits what is complete, tells the peer, and fails. */
  get run(): Effect.Effect<never, DiskFailed> {
    const stop = Effect.catchAll(Deferred.await(this.#diskFull), (failed) =>
      Effect.gen(this, function* () {
        this.#queue.close()
        yield* this.#queue.drained
        const reason = frame(FrameType.Stop, Messages.encodeStop("diskFull"))
        yield* Effect.ignore(this.#channel.write(reason))
        return yield* failed
      })
    )
    return Effect.raceFirst(this.#queue.run(this.send), stop)
  }

  /** Flushes a file that was there before its receipt, once they are ready for it. */
  commitExisting(existing: ExistingFile): void {
    this.#queue.addExisting(existing)
  }

  /** Completes when every file has its receipt; never on a full disk, with which `run` fails. */
  get drained(): Effect.Effect<void> {
    return Effect.zipRight(this.#queue.drained, this.#neverIfFull)
  }

  /** Commits what is complete after the end of the session, which gets no receipts any more. */
  get finish(): Effect.Effect<void> {
    return this.#queue.finish(this.#progress.confirmed)
  }

  /** Discards what is complete and not committed. */
  abandon(): void {
    this.#queue.abandon()
  }

  /** Reports a failure of the disk; never completes if the disk is full, with which `run` fails. */
  readonly reportFailure = (cause: unknown, path: string): Effect.Effect<void> =>
    Effect.zipRight(this.#note(cause, path), this.#neverIfFull)

  get #neverIfFull(): Effect.Effect<void> {
    return Effect.suspend(() => (this.#isFull ? Effect.never : Effect.void))
  }

  #note(cause: unknown, path: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const failed = receiverFailed(path)(cause)
      if (isFull(failed.code)) {
        // The first says it: what follows fails for the same reason.
        if (this.#isFull) return Effect.void
        this.#isFull = true
        Deferred.unsafeDone(this.#diskFull, Effect.fail(failed))
      }
      return this.#progress.diskFailed(failed)
    })
  }

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

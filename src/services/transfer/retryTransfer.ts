// Repeats a transfer over new sessions until it is complete; each resumes what the last one stored.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import {
  runWithRetry,
  isTransient,
  type Progress,
  type Failure,
  type OnPause,
  type Retry
} from "../Retry.ts"
import { resume } from "./TransferErrors.ts"

/** A transfer was interrupted after it had begun. */
export class TransferBroken extends Data.TaggedError("TransferBroken")<{
  readonly reason: string
}> {
  override get message(): string {
    return `${this.reason}; ${resume}`
  }
}

/** Runs sessions until one is complete; `progress` counts bytes and receipts of all of them. */
export const retryTransfer = <E extends Failure, R>(
  session: Effect.Effect<void, E, R>,
  retry: Retry,
  progress: Progress,
  onPause: OnPause
): Effect.Effect<void, E | TransferBroken, R> =>
  Effect.mapError(runWithRetry(session, retry, progress, onPause), (error) =>
    progress.hasConnected() && isTransient(error, true)
      ? new TransferBroken({ reason: error.message })
      : error
  )

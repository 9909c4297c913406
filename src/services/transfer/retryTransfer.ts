// A transfer over as many sessions as it takes: what a session has stored, the next one finds.
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

/** It was cut off, and the next attempt goes on with it. */
export class TransferBroken extends Data.TaggedError("TransferBroken")<{
  readonly reason: string
}> {
  override get message(): string {
    return `${this.reason}; what arrived is kept, and the same command goes on with it`
  }
}

/** Runs sessions until one does all. `come` of the course counts bytes and files that have come through. */
export const retryTransfer = <E extends Failure, R>(
  session: Effect.Effect<void, E, R>,
  retry: Retry,
  course: Progress,
  onPause: OnPause
): Effect.Effect<void, E | TransferBroken, R> =>
  Effect.mapError(runWithRetry(session, retry, course, onPause), (error) =>
    course.hasConnected() && isTransient(error, true)
      ? new TransferBroken({ reason: error.message })
      : error
  )

// A worker: handles the messages of an inbox as they come, several at a time, and goes on when one
// fails. INBOX.md section 8.
//
//   lease ──▶ handle, renewing the lease ──▶ acknowledged
//                    │ failed                  deferred (a pause, then another lease)
//                    └───────────────────────▶ dead letter
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { awaitAtMost } from "../../transports/Deadline.ts"
import type { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import * as Redelivery from "./Redelivery.ts"
import { HandlingFailed } from "./Redelivery.ts"
import {
  failuresOf,
  type LeaseOrder,
  type StoredMessage,
  type StoredMessages
} from "./StoredMessage.ts"

/** The options of `Inbox.work`. */
export interface WorkOptions {
  /**
   * Duration of a lease, which is renewed while the handler runs. A message of a worker that is
   * killed is delivered again when it expires. Default: 1 minute.
   */
  readonly lease?: Duration.DurationInput
  /** Waits for new messages when none is ready, instead of ending. Default: false. */
  readonly wait?: boolean
  /** Maximum number of messages that are handled at the same time. Default: 1. */
  readonly concurrency?: number
  /** Which messages of one peer are handled, and when. Default: `peer`. */
  readonly order?: LeaseOrder
  /** Failed attempts after which a message is a dead letter. Default: `limits.attempts`. */
  readonly attempts?: number
  /** Maximum number of messages. Default: no limit. */
  readonly count?: number
  /** Receives every event, from many messages at once. */
  readonly on?: (event: WorkEvent) => Effect.Effect<void>
}

/** An event of a worker. */
export type WorkEvent = Data.TaggedEnum<{
  /** The message was handled and acknowledged. */
  Handled: { readonly message: StoredMessage }
  /** An attempt failed; the next one follows after `millis`. */
  Deferred: {
    readonly message: StoredMessage
    readonly reason: string
    readonly millis: number
    /** Failed attempts so far, of at most `maxAttempts`. */
    readonly failures: number
    readonly maxAttempts: number
  }
  /** The message became a dead letter. */
  Dead: { readonly message: StoredMessage; readonly reason: string }
  /** Another consumer has the message, or the lease expired; its handler was interrupted. */
  LeaseLost: { readonly message: StoredMessage }
  /** The end of an attempt could not be stored: the message is delivered again. */
  Unsettled: { readonly message: StoredMessage; readonly reason: string }
  /** The inbox cannot be read; the worker tries again after `millis`. */
  Unavailable: { readonly reason: string; readonly millis: number }
}>
/** The constructors and `$match`. */
export const WorkEvent: Data.TaggedEnum.Constructor<WorkEvent> = Data.taggedEnum<WorkEvent>()

/** A handler found that another consumer has the message, and has undone all that it did. */
export class LeaseLost extends Data.TaggedError("LeaseLost")<{}> {}

/** Handles one message. */
export type Handle<R> = (message: StoredMessage) => Effect.Effect<void, HandlingFailed, R>

type Attempted<R> = (message: StoredMessage) => Effect.Effect<void, HandlingFailed | LeaseLost, R>

/**
 * Handles the pending messages of an inbox, each under a lease and at least once. A message whose
 * handler fails, or dies, is delivered again after a growing pause, and becomes a dead letter after
 * `attempts` failures; others are handled meanwhile. With `wait`, an inbox that is unavailable is
 * tried again for `limits.outageMillis`. Interruption interrupts the handlers and releases their messages.
 */
export const work = <R>(
  messages: StoredMessages,
  handle: Attempted<R>,
  options: WorkOptions
): Effect.Effect<void, InboxRefused, R> =>
  Effect.gen(function* () {
    const { wait = false, concurrency = 1, count = Number.POSITIVE_INFINITY } = options
    const attempt = new Attempt(messages, handle, options)
    const changed = yield* Effect.makeLatch()
    const fibers = yield* FiberSet.make<void, InboxRefused>()
    let running = 0
    let taken = 0

    const start = (leased: ReadonlyArray<StoredMessage>) =>
      Effect.forEach(
        leased,
        (message) => {
          running++
          taken++
          const end = Effect.suspend(() => {
            running--
            return changed.open
          })
          return FiberSet.run(fibers, Effect.ensuring(attempt.run(message), end))
        },
        { discard: true }
      )

    const loop = Effect.gen(function* () {
      for (;;) {
        yield* changed.close
        const free = Math.min(concurrency - running, count - taken)
        // Without a gap between lease and handler, an interruption releases each message.
        const found = yield* free === 0
          ? Effect.succeed(undefined)
          : Effect.uninterruptibleMask((restore) =>
              Effect.tap(restore(attempt.lease(free)), ({ messages }) => start(messages))
            )
        if (found === undefined || found.messages.length + found.dead.length === 0) {
          if (running === 0 && (taken >= count || !wait)) return
          const nextEnd = changed.await
          yield* free === 0 ? nextEnd : Effect.raceFirst(nextEnd, Effect.sleep(limits.pollInterval))
        }
      }
    })
    // Fails when the inbox refuses for ever to store the end of an attempt.
    yield* Effect.raceFirst(loop, FiberSet.join(fibers))
  }).pipe(Effect.scoped)

/** Handles one message under its lease. */
class Attempt<R> {
  readonly #messages: StoredMessages
  readonly #handle: Attempted<R>
  readonly #options: WorkOptions
  readonly #millis: number
  readonly #maxAttempts: number
  readonly #emit: (event: WorkEvent) => Effect.Effect<void>

  constructor(messages: StoredMessages, handle: Attempted<R>, options: WorkOptions) {
    this.#messages = messages
    this.#handle = handle
    this.#options = options
    this.#millis = Duration.toMillis(options.lease ?? limits.lease)
    this.#maxAttempts = options.attempts ?? limits.attempts
    this.#emit = options.on ?? (() => Effect.void)
  }

  /** Leases messages. With `wait`, an unavailable inbox is tried again for `limits.outageMillis`. */
  lease(count: number): Effect.Effect<Redelivery.Leased, InboxRefused> {
    const { order = "peer", wait = false } = this.#options
    const once = Effect.tap(
      Redelivery.lease(this.#messages, { count, millis: this.#millis, order }, this.#maxAttempts),
      ({ dead }) =>
        Effect.forEach(dead, (message) =>
          this.#emit(WorkEvent.Dead({ message, reason: message.error }))
        )
    )
    return Effect.gen(this, function* () {
      let pause: number = limits.firstOutagePause
      for (
        const since = performance.now();
        ;
        pause = Math.min(2 * pause, limits.longestOutagePause)
      ) {
        const result = yield* Effect.either(once)
        if (result._tag === "Right") return result.right
        const { retry, isGone = false, reason } = result.left
        const isOver = performance.now() - since >= limits.outageMillis
        if (!wait || !retry || isGone || isOver) return yield* result.left
        yield* this.#emit(WorkEvent.Unavailable({ reason, millis: pause }))
        yield* Effect.sleep(pause)
      }
    })
  }

  /** Runs the handler, and stores how it ended. Fails only if the inbox refuses for ever. */
  run(stored: StoredMessage): Effect.Effect<void, InboxRefused, R> {
    const handling = Effect.raceFirst(
      Effect.map(Effect.exit(Effect.interruptible(this.#handle(stored))), unlessLost),
      Effect.as(this.#keepLease(stored), undefined)
    )
    return Effect.exit(Effect.interruptible(handling)).pipe(
      Effect.flatMap((exit) =>
        Exit.isFailure(exit) ? this.#release(stored) : this.#settle(stored, exit.value)
      ),
      Effect.uninterruptible
    )
  }

  /** Renews the lease while the handler runs. Ends when it is lost. */
  #keepLease(stored: StoredMessage): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      let expires = performance.now() + this.#millis
      for (;;) {
        yield* Effect.sleep(this.#millis * limits.renewAfter)
        const before = performance.now()
        const renewed = yield* Effect.either(this.#messages.renew(stored, this.#millis))
        if (renewed._tag === "Right" && !renewed.right) return
        if (renewed._tag === "Right") expires = before + this.#millis
        // An inbox that is unavailable for a moment costs no lease.
        else if (performance.now() >= expires) return
      }
    })
  }

  /** Releases a message whose handler was interrupted. The end of the worker waits a moment. */
  #release(stored: StoredMessage): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const released = yield* Deferred.make<void>()
      yield* Effect.forkDaemon(
        Effect.ensuring(
          Effect.ignore(this.#messages.release(stored)),
          Deferred.succeed(released, undefined)
        )
      )
      yield* awaitAtMost(released, limits.releaseTimeout)
    })
  }

  /** Stores how an attempt ended: `exit` is undefined when the lease was lost. */
  #settle(
    stored: StoredMessage,
    exit: Exit.Exit<void, HandlingFailed> | undefined
  ): Effect.Effect<void, InboxRefused> {
    if (exit === undefined) return this.#emit(WorkEvent.LeaseLost({ message: stored }))
    if (Exit.isSuccess(exit))
      return this.#store(
        stored,
        Effect.as(
          this.#messages.acknowledge([stored.sequence]),
          WorkEvent.Handled({ message: stored })
        )
      )
    const maxAttempts = this.#maxAttempts
    return this.#store(
      stored,
      Effect.map(
        Redelivery.fail(this.#messages, stored, failureOf(exit.cause), maxAttempts),
        (next) =>
          next._tag === "Dead"
            ? WorkEvent.Dead({ message: stored, reason: next.error })
            : WorkEvent.Deferred({
                message: stored,
                reason: next.error,
                millis: next.millis,
                failures: failuresOf(stored) - (next.counts ? 0 : 1),
                maxAttempts
              })
      )
    )
  }

  /**
   * Stores the end of an attempt. While the inbox is unavailable it is tried again as long as the
   * lease lasts, so that a message which was handled is not handled twice.
   */
  #store(
    stored: StoredMessage,
    ending: Effect.Effect<WorkEvent, InboxRefused>
  ): Effect.Effect<void, InboxRefused> {
    const again = Effect.retry(Effect.delay(ending, limits.pollInterval), {
      while: ({ retry }) => retry,
      schedule: Schedule.upTo(Schedule.forever, this.#millis)
    })
    return Effect.catchAll(ending, (error) =>
      // The first attempt is not interruptible: what was handled is acknowledged, if it can be.
      error.retry ? Effect.interruptible(again) : error
    ).pipe(
      Effect.catchAll((error) =>
        error.retry
          ? Effect.succeed(WorkEvent.Unsettled({ message: stored, reason: error.reason }))
          : error
      ),
      Effect.flatMap(this.#emit)
    )
  }
}

const unlessLost = (
  exit: Exit.Exit<void, HandlingFailed | LeaseLost>
): Exit.Exit<void, HandlingFailed> | undefined =>
  Exit.isFailure(exit) &&
  Option.exists(Cause.failureOption(exit.cause), ({ _tag }) => _tag === "LeaseLost")
    ? undefined
    : (exit as Exit.Exit<void, HandlingFailed>)

/** A handler that dies has failed: one message must not end the worker. */
const failureOf = (cause: Cause.Cause<HandlingFailed>): HandlingFailed =>
  Option.getOrElse(Cause.failureOption(cause), () => {
    const defect = Cause.squash(cause)
    return new HandlingFailed({
      reason: `the handler died: ${defect instanceof Error ? defect.message : String(defect)}`,
      verdict: "failed"
    })
  })

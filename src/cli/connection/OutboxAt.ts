// The outbox of `send`: its option, its events and its errors.
import * as Flag from "../arguments/Flag.ts"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { NotTaken } from "../../services/messages/MessageClient.ts"
import { Undelivered, type Delivery } from "../../services/messages/Delivery.ts"
import { isTransient, type Failure } from "../../services/Retry.ts"
import * as Outbox from "../../services/inbox/Outbox.ts"
import {
  OutboxFailed,
  OutboxWaits,
  type OutboxElsewhere
} from "../../services/inbox/OutboxErrors.ts"
import * as Address from "../../transports/Address.ts"
import * as KnownPeers from "../../peers/KnownPeers.ts"
import * as shared from "../arguments/options.ts"
import { Event } from "../output/events/index.ts"

export const option = Flag.text("outbox").pipe(
  Flag.withValue("FILE"),
  Flag.optional,
  Flag.withDescription(
    "Store messages in a file (SQLite) until they are acknowledged. Pending messages of earlier runs are sent first, in order, " +
      "under their IDs; without a MESSAGE and a pipe, only these are sent. The file belongs to one server: --to and --peer of the " +
      "first use are stored in it and are the defaults later. A message is stored once it is on the disk (--json reports the " +
      "number as messages-queued) and then survives kill -9 and a power failure. Standard input is read to its end even while " +
      "nothing can be sent. Messages that cannot be sent stay pending for the next run: exit code 7."
  )
)

/** Opens the outbox for the rest of the scope; undefined without a file. */
export const open = (
  file: Option.Option<string>,
  emit: (event: Event) => Effect.Effect<void>
): Effect.Effect<OutboxSession | undefined, OutboxFailed, Scope.Scope> =>
  Option.isNone(file)
    ? Effect.succeed(undefined)
    : Effect.map(Outbox.open(file.value), (outbox) => new OutboxSession(outbox, emit))

/** The destination flags of a command line. */
interface Flags {
  readonly to: Option.Option<Address.Address>
  readonly peer: Option.Option<string>
}

/** The server that a run sends to. */
export interface Destination {
  readonly to: Address.Address
  readonly peer: Option.Option<string>
}

/** An outbox during one run of `send`. */
export class OutboxSession {
  readonly #outbox: Outbox.Outbox
  readonly #emit: (event: Event) => Effect.Effect<void>
  #count = 0

  constructor(outbox: Outbox.Outbox, emit: (event: Event) => Effect.Effect<void>) {
    this.#outbox = outbox
    this.#emit = emit
  }

  /**
   * Returns the destination of the outbox. Fails with OutboxElsewhere when the flags name another
   * one. For an idle run, which has no messages of its own, it returns undefined when the outbox has
   * no destination yet: nothing is pending then.
   */
  destination(
    { to, peer }: Flags,
    isIdle: boolean
  ): Effect.Effect<Destination | undefined, OutboxFailed | OutboxElsewhere> {
    const named = {
      ...Option.match(to, {
        onNone: () => ({}),
        onSome: (address) => ({ address: KnownPeers.addressOf(address) })
      }),
      ...Option.match(peer, { onNone: () => ({}), onSome: (known) => ({ peer: known }) })
    }
    return Effect.flatMap(
      this.#outbox.destination(named, isIdle ? undefined : shared.originAddress),
      (found) =>
        found === undefined
          ? Effect.succeed(undefined)
          : Either.match(Address.parse(found.address), {
              onLeft: ({ message }) =>
                new OutboxFailed({ outbox: this.#outbox.file, reason: message, retry: false }),
              onRight: (address) =>
                Effect.succeed({ to: address, peer: Option.fromNullable(found.peer) })
            })
    )
  }

  get complete(): Effect.Effect<void> {
    return this.#outbox.complete
  }

  get isOpen(): () => boolean {
    return this.#outbox.isOpen
  }

  /** Stores messages and reports how many of this run are stored. */
  enqueue(texts: ReadonlyArray<Uint8Array>) {
    return Effect.zipRight(
      this.#outbox.enqueue(texts),
      Effect.suspend(() =>
        texts.length === 0
          ? Effect.void
          : this.#emit(
              Event.MessagesQueued({
                outbox: this.#outbox.file,
                messages: (this.#count += texts.length)
              })
            )
      )
    )
  }

  /**
   * Delivers pending messages. A failure does not end the input: it is returned for the end of the
   * command.
   */
  deliver<E extends Failure, R>(
    delivery: Delivery,
    run: Effect.Effect<void, E, R>,
    patience: Duration.DurationInput
  ) {
    return this.#outbox.deliver(delivery, run, patience).pipe(
      Effect.tapError(({ message }) =>
        this.#outbox.isOpen()
          ? this.#emit(Event.DeliveryDeferred({ outbox: this.#outbox.file, reason: message }))
          : Effect.void
      ),
      Effect.either
    )
  }

  /**
   * Fails with the error of the command after a failed delivery: a transient one leaves pending
   * messages to the next run.
   */
  fail<E extends Failure>(error: E, delivery: Delivery) {
    return Effect.gen(this, function* () {
      const { file: outbox } = this.#outbox
      const pending = yield* this.#outbox.pending
      if (
        pending > 0 &&
        (error instanceof Undelivered ||
          error instanceof OutboxFailed ||
          isTransient(error, delivery.acknowledged > 0))
      )
        return yield* new OutboxWaits({
          outbox,
          pending,
          acknowledged: delivery.acknowledged,
          reason: error.message
        })
      if (pending > 0)
        yield* this.#emit(
          Event.MessagesPending({
            outbox,
            messages: pending,
            blocked: error instanceof NotTaken && error.status === "refused"
          })
        )
      return yield* Effect.fail(error)
    })
  }
}

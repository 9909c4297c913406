// The outbox of `send`: what is kept, what is said of it, and how it ends.
import * as Options from "@effect/cli/Options"
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

export const option = Options.text("outbox").pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription(
    "Keeps messages in a file (SQLite) until they are acknowledged. What is in it goes first, in order, each under the id it had; " +
      "without a message and without a pipe, that alone is sent. It is for one server: --to and --peer of its first use are kept in it, and " +
      "hold where they are not given again. A message counts as kept once it is on the disk (with --json each " +
      "“kept” says how many are): from then on neither kill -9 nor a power cut loses it. Standard input is read to its end even when " +
      "nothing can be sent; what could not be is exit code 7, and waits for the next run."
  )
)

/** The file, open for as long as the command runs; undefined where none was named. */
export const open = (
  file: Option.Option<string>,
  tell: (event: Event) => Effect.Effect<void>
): Effect.Effect<OutboxSession | undefined, OutboxFailed, Scope.Scope> =>
  Option.isNone(file)
    ? Effect.succeed(undefined)
    : Effect.map(Outbox.open(file.value), (outbox) => new OutboxSession(outbox, tell))

/** Where a command line says that it sends to. */
interface Given {
  readonly to: Option.Option<Address.Address>
  readonly peer: Option.Option<string>
}

/** An outbox in the hands of `send`. */
export class OutboxSession {
  readonly #outbox: Outbox.Outbox
  readonly #tell: (event: Event) => Effect.Effect<void>
  #count = 0

  constructor(outbox: Outbox.Outbox, tell: (event: Event) => Effect.Effect<void>) {
    this.#outbox = outbox
    this.#tell = tell
  }

  /**
   * Whom this run is for: what the outbox is for, which `--to` and `--peer` do not change. `isIdle`: this run brings nothing, and where
   * nobody has said it before there is nothing to be sent, either: undefined.
   */
  destination(
    { to, peer }: Given,
    isIdle: boolean
  ): Effect.Effect<
    { readonly to: Address.Address; readonly peer: Option.Option<string> } | undefined,
    OutboxFailed | OutboxElsewhere
  > {
    const said = {
      ...Option.match(to, {
        onNone: () => ({}),
        onSome: (address) => ({ address: KnownPeers.addressOf(address) })
      }),
      ...Option.match(peer, { onNone: () => ({}), onSome: (known) => ({ peer: known }) })
    }
    return Effect.flatMap(
      this.#outbox.destination(said, isIdle ? undefined : shared.originAddress),
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

  enqueue(texts: ReadonlyArray<Uint8Array>) {
    return Effect.zipRight(
      this.#outbox.enqueue(texts),
      Effect.suspend(() =>
        texts.length === 0
          ? Effect.void
          : this.#tell(
              Event.MessagesQueued({
                outbox: this.#outbox.file,
                messages: (this.#count += texts.length)
              })
            )
      )
    )
  }

  /** What ends the delivery does not end what is kept: the outcome is for the end of the command. */
  deliver<E extends Failure, R>(
    delivery: Delivery,
    run: Effect.Effect<void, E, R>,
    patience: Duration.DurationInput
  ) {
    return this.#outbox.deliver(delivery, run, patience).pipe(
      Effect.tapError(({ message }) =>
        this.#outbox.isOpen()
          ? this.#tell(Event.DeliveryDeferred({ outbox: this.#outbox.file, reason: message }))
          : Effect.void
      ),
      Effect.either
    )
  }

  /** The error of the command after one of the delivery: what may pass by itself is left to the next run. */
  outcome<E extends Failure>(error: E, delivery: Delivery) {
    return Effect.gen(this, function* () {
      const { file: outbox } = this.#outbox
      const waiting = yield* this.#outbox.pending
      if (
        waiting > 0 &&
        (error instanceof Undelivered ||
          error instanceof OutboxFailed ||
          isTransient(error, delivery.acknowledged > 0))
      )
        return yield* new OutboxWaits({
          outbox,
          pending: waiting,
          acknowledged: delivery.acknowledged,
          reason: error.message
        })
      if (waiting > 0)
        yield* this.#tell(
          Event.MessagesPending({
            outbox,
            messages: waiting,
            blocked: error instanceof NotTaken && error.status === "refused"
          })
        )
      return yield* Effect.fail(error)
    })
  }
}

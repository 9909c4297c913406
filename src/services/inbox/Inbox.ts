// The service that stores or handles the messages of a server. INBOX.md.
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { mapError } from "../finished.ts"
import type { HandlerFailure, MessageHandler } from "../messages/MessageHandler.ts"
import {
  MessageRefused,
  type HandleMessages,
  type ReplyToMessage
} from "../messages/MessageService.ts"
import * as ExecInbox from "./ExecInbox.ts"
import type { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import * as MemoryInbox from "./MemoryInbox.ts"
import * as Redelivery from "./Redelivery.ts"
import type { LeaseOrder, MessageStore, StoredMessage, StoredMessages } from "./StoredMessage.ts"
import * as Worker from "./Worker.ts"

/** Stores or handles the messages of a server. */
export class Inbox extends Context.Tag("sealwire/services/inbox/Inbox")<
  Inbox,
  MessageHandler<InboxRefused>
>() {
  /**
   * Runs a command for each message (ExecInbox.ts). Remembers the ids of handled messages in
   * memory.
   */
  static readonly layerExec = (options: ExecInbox.Options): Layer.Layer<Inbox> =>
    Layer.effect(Inbox, ExecInbox.make(options))

  /** Stores messages in the memory of this process, for tests. */
  static readonly layerMemory: Layer.Layer<Inbox | InboxMessages> = Layer.effectContext(
    Effect.map(MemoryInbox.make, contextOf)
  )

  /**
   * Streams pending messages, oldest first, each under a lease and at least once. A consumer
   * acknowledges each message with `ack`. Several consumers may run at the same time.
   */
  static consume(
    options: ConsumeOptions = {}
  ): Stream.Stream<LeasedMessage, InboxRefused, InboxMessages> {
    return Stream.flatMap(consumeBatches(options), Stream.fromIterable)
  }

  /**
   * Streams pending messages as `consume` does, in the batches in which they were leased. With
   * `InboxMessages.acknowledge` a consumer acknowledges a whole batch in one transaction.
   */
  static consumeBatches(
    options: ConsumeOptions = {}
  ): Stream.Stream<ReadonlyArray<LeasedMessage>, InboxRefused, InboxMessages> {
    return consumeBatches(options)
  }

  /**
   * Handles pending messages as `WorkOptions` says: several at a time, each under a lease that is
   * renewed, with pauses after failures and dead letters after too many.
   *
   * @example
   * yield* Inbox.work(
   *   ({ text }) =>
   *     Effect.mapError(deliver(text), ({ message }) =>
   *       new HandlingFailed({ reason: message, verdict: "failed" })
   *     ),
   *   { wait: true, concurrency: 4 }
   * )
   */
  static work<R>(
    handle: Worker.Handle<R>,
    options: Worker.WorkOptions = {}
  ): Effect.Effect<void, InboxRefused, InboxMessages | R> {
    return Effect.flatMap(InboxMessages, (messages) => Worker.work(messages, handle, options))
  }

  /** The message handler of a server that gives messages to the inbox. */
  static readonly handle: Effect.Effect<HandleMessages, never, Inbox> = Effect.map(Inbox, (inbox) =>
    handleWith(inbox)
  )

  /** The reply function of a server, if the inbox gives replies: a command does. */
  static readonly reply: Effect.Effect<ReplyToMessage | undefined, never, Inbox> = Effect.map(
    Inbox,
    (inbox) => replyWith(inbox)
  )
}

/** Access to the messages of an inbox that stores them. */
export class InboxMessages extends Context.Tag("sealwire/services/inbox/InboxMessages")<
  InboxMessages,
  StoredMessages
>() {}

/** The services of an inbox that stores messages. */
export function contextOf(store: MessageStore): Context.Context<Inbox | InboxMessages> {
  return Context.make(Inbox, store).pipe(Context.add(InboxMessages, store))
}

/** Returns the message handler of a server that gives messages to `handler`. */
export const handleWith =
  ({ handle }: MessageHandler): HandleMessages =>
  (messages, sender) =>
    mapError(handle(messages, sender), messageRefused)

/** Returns the reply function of a server, if `handler` gives replies. */
export const replyWith = ({ reply }: MessageHandler): ReplyToMessage | undefined =>
  reply === undefined
    ? undefined
    : (message, sender) => mapError(reply(message, sender), messageRefused)

const messageRefused = ({ reason, retry, handled = 0 }: HandlerFailure) =>
  new MessageRefused({ reason, retry, handled })

/** A message under a lease of this consumer. */
export interface LeasedMessage extends StoredMessage {
  /** Acknowledges the message: it is not redelivered. */
  readonly ack: Effect.Effect<void, InboxRefused>
  /** Ends the lease without acknowledging: the message may be redelivered at once. */
  readonly nack: Effect.Effect<void, InboxRefused>
  /**
   * Ends the lease after a failed attempt: the message is redelivered after a pause, or becomes a
   * dead letter. Returns which.
   */
  readonly fail: (
    failure: Pick<Redelivery.HandlingFailed, "reason" | "verdict">
  ) => Effect.Effect<Redelivery.Consequence, InboxRefused>
  /** Starts the lease again. Returns false if it is lost: another consumer may have the message. */
  readonly renew: Effect.Effect<boolean, InboxRefused>
}

/** The options of `Inbox.consume`. */
export interface ConsumeOptions {
  /**
   * Duration of a lease. A message without `ack` may be redelivered when it expires. Default: 1
   * minute.
   */
  readonly lease?: Duration.DurationInput
  /** Waits for new messages when none is pending, instead of ending the stream. Default: false. */
  readonly wait?: boolean
  /**
   * Messages per lease request. The leases of all start together, before the stream emits the
   * first. Default: 1.
   */
  readonly batch?: number
  /** Maximum number of messages in total. No message beyond it is leased. Default: no limit. */
  readonly count?: number
  /** Which messages of one peer are delivered. Default: `none`. */
  readonly order?: LeaseOrder
  /**
   * Failed attempts after which a message is a dead letter. An attempt counts as failed when it
   * ended with `fail`, and when its lease expired. Default: `limits.attempts`.
   */
  readonly attempts?: number
}

const consumeBatches = ({
  lease = limits.lease,
  wait = false,
  batch = 1,
  count = Number.POSITIVE_INFINITY,
  order = "none",
  attempts = limits.attempts
}: ConsumeOptions): Stream.Stream<ReadonlyArray<LeasedMessage>, InboxRefused, InboxMessages> =>
  Stream.unwrap(
    Effect.map(InboxMessages, (messages) => {
      const millis = Duration.toMillis(lease)
      let left = count
      const next = Effect.gen(function* () {
        const leased = yield* Redelivery.lease(
          messages,
          { count: Math.min(batch, left, limits.leaseMessages), millis, order },
          attempts
        )
        left -= leased.messages.length
        const isEmpty = leased.messages.length + leased.dead.length === 0
        if (isEmpty && !wait) return yield* Effect.fail(Option.none())
        if (isEmpty) yield* Effect.sleep(limits.pollInterval)
        return leased.messages.map((stored) => leasedMessage(messages, stored, millis, attempts))
      })
      return Stream.repeatEffectOption(
        Effect.mapError(
          Effect.suspend(() => (left > 0 ? next : Effect.fail(Option.none()))),
          (error) => ("retry" in error ? Option.some(error) : error)
        )
      ).pipe(Stream.filter(({ length }) => length > 0))
    })
  )

const leasedMessage = (
  messages: StoredMessages,
  stored: StoredMessage,
  millis: number,
  attempts: number
): LeasedMessage => ({
  ...stored,
  ack: messages.acknowledge([stored.sequence]),
  nack: messages.release(stored),
  fail: (failure) => Redelivery.fail(messages, stored, failure, attempts),
  renew: messages.renew(stored, millis)
})

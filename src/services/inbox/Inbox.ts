// Where a server puts what it receives. INBOX.md.
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ExecInbox from "./ExecInbox.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import * as MemoryInbox from "./MemoryInbox.ts"
import { MessageRefused, type Answer, type Handle } from "../messages/MessageService.ts"
import { redactUrl } from "./redactUrl.ts"
import type { HandlerFailure, MessageHandler } from "../messages/MessageHandler.ts"
import type { LeaseOptions, MessageStore, StoredMessage, StoredMessages } from "./StoredMessage.ts"
import { importOptional } from "./importOptional.ts"

/** Where messages go. */
export class Inbox extends Context.Tag("sealwire/programs/Inbox")<
  Inbox,
  MessageHandler<InboxRefused>
>() {
  /** A command for each message: ExecInbox.ts. It remembers ids for as long as it lives: HandledIds.ts. */
  static readonly layerExec = (options: ExecInbox.Options): Layer.Layer<Inbox> =>
    Layer.effect(Inbox, ExecInbox.make(options))

  /** This process alone; for tests. */
  static readonly layerMemory: Layer.Layer<Inbox | InboxMessages> = Layer.effectContext(
    Effect.map(MemoryInbox.make, both)
  )

  /** A SQLite database, made when it is missing unless `create` is false. Needs @effect/sql-libsql. */
  static readonly layerSqlite = (
    file: string,
    options: { readonly create?: boolean } = {}
  ): Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused> =>
    loaded(file, async () => (await import("./SqliteInbox.ts")).make(file, options))

  /** A PostgreSQL database, which several servers may share. Needs @effect/sql-pg. */
  static readonly layerPostgres = (
    url: URL
  ): Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused> =>
    loaded(redactUrl(url), async () => (await import("./PostgresInbox.ts")).make(url))

  /** What is in an inbox that keeps messages, the oldest first, each at least once: `ack` it. Several may take at the same time. */
  static take(options: TakeOptions = {}): Stream.Stream<Taken, InboxRefused, InboxMessages> {
    return take(options)
  }

  /** The handler of a server that puts what comes into the inbox. */
  static readonly handle: Effect.Effect<Handle, never, Inbox> = Effect.map(Inbox, (inbox) =>
    handleWith(inbox)
  )

  /** What gives its replies, in an inbox that has any: of a command. */
  static readonly answer: Effect.Effect<Answer | undefined, never, Inbox> = Effect.map(
    Inbox,
    (inbox) => answerWith(inbox)
  )
}

/** What an inbox that keeps messages holds. */
export class InboxMessages extends Context.Tag("sealwire/programs/InboxMessages")<
  InboxMessages,
  StoredMessages
>() {}

function both(inbox: MessageStore): Context.Context<Inbox | InboxMessages> {
  return Context.make(Inbox, inbox).pipe(Context.add(InboxMessages, inbox))
}

type Opening = Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope>

const loaded = (inbox: string, load: () => Promise<Opening>) =>
  Layer.scopedContext(Effect.map(Effect.flatten(importOptional(inbox, load)), both))

/** The handler of a server that puts what comes into the inbox. */
export const handleWith =
  ({ store }: MessageHandler): Handle =>
  (messages, sender) =>
    Effect.mapError(store(messages, sender), refusal)

/** What gives the inbox's replies, if it has any. */
export const answerWith = ({ answer }: MessageHandler): Answer | undefined =>
  answer === undefined
    ? undefined
    : (message, sender) => Effect.mapError(answer(message, sender), refusal)

const refusal = ({ reason, retry, handled = 0 }: HandlerFailure) =>
  new MessageRefused({ reason, retry, handled })

/** A message that is ours for as long as the lease lasts. */
export interface Taken extends StoredMessage {
  /** It is handled: nobody gets it again. */
  readonly ack: Effect.Effect<void, InboxRefused>
  /** It is not: anybody may take it at once. */
  readonly nack: Effect.Effect<void, InboxRefused>
}

/** How messages are taken. */
export interface TakeOptions {
  /** How long a message is kept from others; whoever has not said `ack` by then may get it again. Default: a minute. */
  readonly lease?: Duration.DurationInput
  /** Goes on waiting for what comes when nothing is left. Default: false. */
  readonly wait?: boolean
  /** Messages that are taken in one go; those not yet handed on are under their lease already. Default: 1. */
  readonly batch?: number
}

const take = ({
  lease = "1 minute",
  wait = false,
  batch = 1
}: TakeOptions): Stream.Stream<Taken, InboxRefused, InboxMessages> =>
  Stream.unwrap(
    Effect.map(InboxMessages, (messages) => {
      const options: LeaseOptions = {
        count: Math.min(batch, limits.leaseMessages),
        millis: Duration.toMillis(lease)
      }
      const next = Effect.flatMap(messages.lease(options), (found) => {
        if (found.length > 0)
          return Effect.succeed(found.map((stored) => takenOf(messages, stored)))
        return wait ? Effect.as(Effect.sleep(limits.waitPause), []) : Effect.fail(Option.none())
      })
      return Stream.repeatEffectOption(
        Effect.mapError(next, (error) => ("retry" in error ? Option.some(error) : error))
      ).pipe(Stream.flatMap(Stream.fromIterable))
    })
  )

const takenOf = (messages: StoredMessages, stored: StoredMessage): Taken => ({
  ...stored,
  ack: messages.done([stored.sequence]),
  nack: messages.release(stored)
})

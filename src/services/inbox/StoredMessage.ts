import type * as Effect from "effect/Effect"
import type { MessageHandler } from "../messages/MessageHandler.ts"
import type { InboxRefused } from "./InboxErrors.ts"

/** A message in an inbox that stores messages. */
export interface StoredMessage {
  /** Its number in the order of arrival. Numbers are never reused. */
  readonly sequence: number
  /**
   * The identity of the sender, from its key. Messages with the same `peer` and `id` are the same
   * message.
   */
  readonly peer: string
  /** The name of the sender's key at the time of arrival. */
  readonly name: string
  readonly id: Uint8Array
  /** Milliseconds since 1970. */
  readonly receivedAt: number
  /** Bytes of the text. */
  readonly size: number
  readonly text: Uint8Array
  /** When the last lease expires, in milliseconds since 1970; 0 without a lease. */
  readonly leaseUntil: number
  /** When the message is delivered again after a failed attempt; 0 when it does not wait. */
  readonly retryAt: number
  /** Number of leases so far. */
  readonly attempts: number
  /** Those of them that do not count as failed: they were released, or ended with "later". */
  readonly uncounted: number
  /** Why the last attempt failed; undefined before the first failure. */
  readonly error: string | undefined
  /** When it became a dead letter, in milliseconds since 1970; undefined while it is pending. */
  readonly deadAt: number | undefined
}

/** Attempts that count as failed, a current one included: it counts until it ends otherwise. */
export const failuresOf = ({
  attempts,
  uncounted
}: Pick<StoredMessage, "attempts" | "uncounted">): number => attempts - uncounted

/**
 * Which messages of one peer may be leased.
 *
 * - `none`: each pending message without a lease.
 * - `peer`: the first one, while no other message of the peer is leased. A message that waits for
 *   its next attempt is overtaken.
 * - `strict`: the first one, while no other message of the peer is leased or waits for its next
 *   attempt.
 */
export type LeaseOrder = "none" | "peer" | "strict"

/** A request for leases. */
export interface LeaseOptions {
  /** Maximum number of messages. */
  readonly count: number
  /** Duration of the lease, in milliseconds. */
  readonly millis: number
  /** Default: `none`. */
  readonly order?: LeaseOrder
}

/** The number of messages in an inbox. */
export interface Depth {
  /** Pending messages, leased or not; at most `limits.countedMessages`. */
  readonly messages: number
  /** When the oldest of them arrived, in milliseconds since 1970; undefined in an empty inbox. */
  readonly oldest: number | undefined
  /** Dead letters; at most `limits.countedMessages`. */
  readonly dead: number
}

/** How a lease ends after an attempt that did not handle the message. */
export interface Deferral {
  /** Why, as a clause of one line. */
  readonly error: string
  /** Pause before the message is delivered again, in milliseconds. */
  readonly millis: number
  /** False if the attempt does not count as failed. */
  readonly counts: boolean
}

/**
 * Access to the messages of an inbox. A message is pending, a dead letter, or acknowledged. An
 * acknowledged message has no text any more and is neither listed nor found; its row remains, so
 * that a duplicate is recognised.
 *
 * Operations on a lease (`renew`, `release`, `defer`, `bury`) change nothing when the lease has
 * expired and another consumer has leased the message since.
 */
export interface StoredMessages {
  /**
   * Lists pending messages, or with `dead` the dead letters, oldest first, with at most `textBytes`
   * of each text.
   */
  readonly list: (options: {
    readonly limit: number
    readonly textBytes: number
    readonly dead?: boolean
  }) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /**
   * Finds the pending messages and dead letters whose id starts with these hexadecimal digits: at
   * most two, which shows that the prefix is ambiguous.
   */
  readonly find: (idPrefix: string) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /**
   * Leases the oldest pending messages that have no lease and do not wait for their next attempt;
   * fewer than `count` when they are long. With an order other than `none`, one of each peer.
   */
  readonly lease: (
    options: LeaseOptions
  ) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /** Extends a lease to `millis` from now. Returns false if the lease is lost. */
  readonly renew: (stored: StoredMessage, millis: number) => Effect.Effect<boolean, InboxRefused>
  /** Ends a lease. The attempt does not count, and the message is delivered again at once. */
  readonly release: (stored: StoredMessage) => Effect.Effect<void, InboxRefused>
  /** Ends a lease. The message is delivered again after a pause. */
  readonly defer: (stored: StoredMessage, deferral: Deferral) => Effect.Effect<void, InboxRefused>
  /** Ends a lease. The message becomes a dead letter: it keeps its text and is not delivered. */
  readonly bury: (stored: StoredMessage, error: string) => Effect.Effect<void, InboxRefused>
  /**
   * Makes dead letters (`"dead"`: all), and messages that wait for their next attempt, pending and
   * ready at once, with no failed attempt. Leased messages are left alone. Returns how many it
   * changed.
   */
  readonly retry: (which: ReadonlyArray<number> | "dead") => Effect.Effect<number, InboxRefused>
  readonly depth: Effect.Effect<Depth, InboxRefused>
  /** Acknowledges messages: their texts are deleted, and they are not redelivered. */
  readonly acknowledge: (sequences: ReadonlyArray<number>) => Effect.Effect<void, InboxRefused>
  /**
   * Deletes the rows of messages that were acknowledged before a moment (milliseconds since 1970),
   * with `pending` those that arrived before it and are still pending, and with `dead` those that
   * became dead letters before it. Returns their number.
   */
  readonly prune: (options: {
    readonly before: number
    readonly pending: boolean
    readonly dead?: boolean
  }) => Effect.Effect<number, InboxRefused>
  /** Commits a change without effect: succeeds if a message could be stored now. */
  readonly check: Effect.Effect<void, InboxRefused>
}

/** An inbox that stores the messages of a server and gives access to them. */
export type MessageStore = MessageHandler<InboxRefused> & StoredMessages

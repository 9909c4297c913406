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
  /** Number of leases so far. */
  readonly attempts: number
}

export interface LeaseOptions {
  /** Maximum number of messages. */
  readonly count: number
  /** Duration of the lease, in milliseconds. */
  readonly millis: number
}

/** The number of pending messages in an inbox. */
export interface Depth {
  /** Messages that are not acknowledged, leased or not; at most `limits.countedMessages`. */
  readonly messages: number
  /** When the oldest of them arrived, in milliseconds since 1970; undefined in an empty inbox. */
  readonly oldest: number | undefined
}

/**
 * Access to the messages of an inbox. An acknowledged message has no text any more and is neither
 * listed nor found; its row remains, so that a duplicate is recognised.
 */
export interface StoredMessages {
  /** Lists pending messages, oldest first, with at most `textBytes` of each text. */
  readonly list: (options: {
    readonly limit: number
    readonly textBytes: number
  }) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /**
   * Finds the pending messages whose id starts with these hexadecimal digits: at most two, which
   * shows that the prefix is ambiguous.
   */
  readonly find: (idPrefix: string) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /** Leases the oldest pending messages without a lease; fewer than `count` when they are long. */
  readonly lease: (
    options: LeaseOptions
  ) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /**
   * Ends the lease of a message, unless it has expired and another consumer has leased the message
   * since.
   */
  readonly release: (stored: StoredMessage) => Effect.Effect<void, InboxRefused>
  readonly depth: Effect.Effect<Depth, InboxRefused>
  /** Acknowledges messages: their texts are deleted, and they are not redelivered. */
  readonly acknowledge: (sequences: ReadonlyArray<number>) => Effect.Effect<void, InboxRefused>
  /**
   * Deletes the rows of messages that were acknowledged before a moment (milliseconds since 1970),
   * and with `pending` those that arrived before it and are still pending. Returns their number.
   */
  readonly prune: (options: {
    readonly before: number
    readonly pending: boolean
  }) => Effect.Effect<number, InboxRefused>
}

/** An inbox that stores the messages of a server and gives access to them. */
export type MessageStore = MessageHandler<InboxRefused> & StoredMessages

import type * as Effect from "effect/Effect"
import type { InboxRefused } from "./InboxErrors.ts"
import type { MessageHandler } from "../messages/MessageHandler.ts"

/** A message in an inbox that keeps them. */
export interface StoredMessage {
  /** Its place in the order of arrival; no other message ever gets it. */
  readonly sequence: number
  /** Who sent it, by the key: with `id`, what makes it the same message. */
  readonly peer: string
  /** The name that the key had then. */
  readonly name: string
  readonly id: Uint8Array
  /** Milliseconds since 1970. */
  readonly receivedAt: number
  /** Bytes of its text. */
  readonly size: number
  readonly text: Uint8Array
  /** Until when it is kept for who took it; 0 when nobody has. */
  readonly leaseUntil: number
  /** How often it was taken. */
  readonly attempts: number
}

export interface LeaseOptions {
  readonly count: number
  readonly millis: number
}

/** How much waits in an inbox. */
export interface Depth {
  /** Messages that are not done, taken or not; counted up to `limits.counted`. */
  readonly messages: number
  /** When the oldest of them came, in milliseconds since 1970; undefined when there is none. */
  readonly oldest: number | undefined
}

/** What can be done with the messages of an inbox that keeps them. One that is done has no text any more and is not listed. */
export interface StoredMessages {
  /** The oldest first, with at most `textBytes` of each text. */
  readonly list: (options: {
    readonly limit: number
    readonly textBytes: number
  }) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /** Those whose id begins with these hexadecimal digits; two tell already that there are several. */
  readonly find: (idPrefix: string) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /** Takes the oldest that nobody has, fewer than `count` when they are long. */
  readonly lease: (
    options: LeaseOptions
  ) => Effect.Effect<ReadonlyArray<StoredMessage>, InboxRefused>
  /** Gives one back, unless its lease is over and somebody else has it. */
  readonly release: (stored: StoredMessage) => Effect.Effect<void, InboxRefused>
  readonly depth: Effect.Effect<Depth, InboxRefused>
  /** They are handled: nobody gets them again. */
  readonly done: (sequences: ReadonlyArray<number>) => Effect.Effect<void, InboxRefused>
  /** Forgets what was done before that moment and, with `unread`, what came before it and was never done; how many. */
  readonly prune: (options: {
    readonly before: number
    readonly unread: boolean
  }) => Effect.Effect<number, InboxRefused>
}

/** An inbox that keeps messages: stores those of a server and gives access to them. */
export type MessageStore = MessageHandler<InboxRefused> & StoredMessages

/**
 * The modules that every inbox needs. The entry points that export them do not all name the
 * packages of its databases, which a bundler would look for.
 *
 * @packageDocumentation
 */
export * from "./messages.ts"
export {
  Inbox,
  InboxMessages,
  type LeasedMessage,
  type ConsumeOptions
} from "./services/inbox/Inbox.ts"
export { InboxRefused, InboxUnusable } from "./services/inbox/InboxErrors.ts"
export { HandlingFailed, type Consequence, type Verdict } from "./services/inbox/Redelivery.ts"
export {
  failuresOf,
  type Deferral,
  type Depth,
  type LeaseOptions,
  type LeaseOrder,
  type StoredMessage,
  type StoredMessages
} from "./services/inbox/StoredMessage.ts"
export {
  WorkEvent,
  type Handle as HandleStored,
  type WorkOptions
} from "./services/inbox/Worker.ts"
export type { Options as ExecOptions } from "./services/inbox/ExecInbox.ts"

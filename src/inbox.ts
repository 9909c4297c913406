/**
 * Messages that are stored before their receipt, in SQLite, PostgreSQL, a command or memory, and
 * messages that wait to be sent. INBOX.md.
 *
 * @packageDocumentation
 */
export * from "./messages.ts"
export * as Outbox from "./services/inbox/Outbox.ts"
export { OutboxElsewhere, OutboxFailed, OutboxWaits } from "./services/inbox/OutboxErrors.ts"
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

/**
 * Inboxes and outboxes in the application's own database, through its SqlClient: a message and what
 * the application stores for it are in one transaction. INBOX.md.
 *
 * @packageDocumentation
 */
export * from "./inboxCore.ts"
export {
  SqlInbox,
  type HandleInTransaction,
  type ReceiveMessages
} from "./services/inbox/sql/SqlInbox.ts"
export type { DialectName, LayerOptions, TableOptions } from "./services/inbox/sql/SqlDatabase.ts"
export {
  SqlOutbox,
  type DeliverError,
  type DeliverOptions,
  type OutboxName
} from "./services/inbox/sql/SqlOutbox.ts"
export { OutboxFailed } from "./services/inbox/OutboxErrors.ts"

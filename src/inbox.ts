/**
 * Messages that are stored before their receipt, in SQLite, PostgreSQL, a command or memory, and
 * messages that wait to be sent. INBOX.md.
 *
 * @packageDocumentation
 */
export * from "./inboxCore.ts"
export * as Outbox from "./services/inbox/Outbox.ts"
export { OutboxElsewhere, OutboxFailed, OutboxWaits } from "./services/inbox/OutboxErrors.ts"
export * as PostgresInbox from "./services/inbox/PostgresInbox.ts"
export * as SqliteInbox from "./services/inbox/SqliteInbox.ts"

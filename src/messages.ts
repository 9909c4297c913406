/**
 * Messages with receipts: a client that knows when a message is handled, and the service of a
 * server. MESSAGES.md.
 *
 * @packageDocumentation
 */
export * from "./core.ts"
export * as MessageClient from "./services/messages/MessageClient.ts"
export { Delivery, Undelivered } from "./services/messages/Delivery.ts"
export type {
  HandlerFailure,
  IncomingMessage,
  MessageHandler
} from "./services/messages/MessageHandler.ts"
export { MessageTooLong, NotTaken, ReplyLost } from "./services/messages/MessageErrors.ts"
export type { Message } from "./services/messages/MessageFrame.ts"
export * as MessageService from "./services/messages/MessageService.ts"
export * as MessageRules from "./services/messages/rules.ts"

// Events of messages, from the sender's outbox to the receiver's inbox.
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../../../bytes/Hex.ts"
import type { RemotePeer } from "../../../services/Service.ts"
import type { StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import type { ProgressLine } from "../ProgressLine.ts"
import { storedMessageFields } from "../storedFields.ts"
import { contentFields, formatSender, plural, senderFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

export type MessageEvents = {
  MessageReceived: {
    readonly sender: RemotePeer
    readonly id: Uint8Array
    readonly text: Uint8Array
  }
  InboxMessage: { readonly stored: StoredMessage }
  InboxPruned: { readonly messages: number }
  InboxRetried: { readonly messages: number }
  MessageHandled: { readonly message: StoredMessage }
  /** An attempt failed; the next one follows after `millis`. */
  MessageDeferred: {
    readonly message: StoredMessage
    readonly reason: string
    readonly millis: number
    readonly failures: number
    readonly maxAttempts: number
  }
  MessageDead: { readonly message: StoredMessage; readonly reason: string; readonly inbox: string }
  RetryScheduled: {
    readonly address: string
    readonly reason: string
    readonly millis: number
    /** Messages of this run that the server has acknowledged; only for `send`. */
    readonly acknowledged?: number
  }
  /** `messages` counts the messages of this run that are in the outbox, on disk. */
  MessagesQueued: { readonly outbox: string; readonly messages: number }
  DeliveryDeferred: { readonly outbox: string; readonly reason: string }
  MessagesPending: { readonly outbox: string; readonly messages: number; readonly blocked: boolean }
  MessagesDelivered: {
    readonly address: string
    readonly messages: number
    readonly bytes: number
    readonly suite: string
  }
  /** The server's reply to message `number` of this run, counted from 1. */
  ReplyReceived: { readonly number: number; readonly text: Uint8Array }
}

const receivedLine = (sender: RemotePeer, messages: number, bytes: number): string =>
  `${formatSender(sender)}: received ${plural(messages, "message")} (${plural(bytes, "byte")})`

const shortId = ({ id }: StoredMessage): string => Hex.encode(id).slice(0, 12)

const attemptFields = ({ id, name, attempts }: StoredMessage) => ({
  id: Hex.encode(id),
  peer: name,
  attempts
})

export const messageTexts: EventTexts<MessageEvents> = {
  MessageReceived: {
    code: "message-received",
    level: LogLevel.Info,
    line: ({ sender, text }) => receivedLine(sender, 1, text.length),
    fields: ({ sender, id, text }) => ({
      ...senderFields(sender),
      id: Hex.encode(id),
      bytes: text.length,
      ...contentFields(text)
    })
  },
  InboxMessage: {
    code: "inbox-message",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ stored }) => ({ ...storedMessageFields(stored), ...contentFields(stored.text) })
  },
  InboxPruned: {
    code: "inbox-pruned",
    level: LogLevel.Info,
    line: ({ messages }) => `deleted ${plural(messages, "message")}`,
    fields: ({ messages }) => ({ messages })
  },
  InboxRetried: {
    code: "inbox-retried",
    level: LogLevel.Info,
    line: ({ messages }) => `${plural(messages, "message")} will be delivered again`,
    fields: ({ messages }) => ({ messages })
  },
  MessageHandled: {
    code: "message-handled",
    level: LogLevel.Debug,
    line: ({ message }) => `message ${shortId(message)} handled`,
    fields: ({ message }) => attemptFields(message)
  },
  MessageDeferred: {
    code: "message-deferred",
    level: LogLevel.Warning,
    line: ({ message, reason, millis, failures, maxAttempts }) =>
      `message ${shortId(message)} not handled (${failures} of ${maxAttempts} attempts failed): ${reason}; ` +
      `next attempt in ${(millis / 1000).toFixed(1)} s`,
    fields: ({ message, reason, millis, failures, maxAttempts }) => ({
      ...attemptFields(message),
      reason,
      delayMillis: Math.round(millis),
      failures,
      maxAttempts
    })
  },
  MessageDead: {
    code: "message-dead",
    level: LogLevel.Error,
    line: ({ message, reason, inbox }) =>
      `message ${shortId(message)} became a dead letter: ${reason}; ` +
      `deliver it again with: sealwire inbox retry ${shortId(message)}${inbox}`,
    fields: ({ message, reason }) => ({ ...attemptFields(message), reason })
  },
  RetryScheduled: {
    code: "retry-scheduled",
    level: LogLevel.Warning,
    line: ({ reason, millis }) => `${reason}; retrying in ${(millis / 1000).toFixed(1)} s`,
    fields: ({ address, reason, millis, acknowledged }) => ({
      address,
      reason,
      delayMillis: Math.round(millis),
      ...(acknowledged === undefined ? {} : { acknowledged })
    })
  },
  MessagesQueued: {
    code: "messages-queued",
    level: LogLevel.Debug,
    line: ({ outbox, messages }) => `${plural(messages, "message")} queued in ${outbox}`,
    fields: ({ outbox, messages }) => ({ outbox, messages })
  },
  DeliveryDeferred: {
    code: "delivery-deferred",
    level: LogLevel.Warning,
    line: ({ outbox, reason }) =>
      `${reason}; further input is queued in ${outbox} and sent by the next run`,
    fields: ({ outbox, reason }) => ({ outbox, reason })
  },
  MessagesPending: {
    code: "messages-pending",
    level: LogLevel.Warning,
    line: ({ outbox, messages, blocked }) =>
      `${plural(messages, "message")} pending in ${outbox}` +
      (blocked
        ? `; the refused message is the first: sealwire inbox list --inbox ${outbox} shows its ID, ` +
          `sealwire inbox done ID --inbox ${outbox} deletes it`
        : ""),
    fields: ({ outbox, messages, blocked }) => ({ outbox, messages, blocked })
  },
  MessagesDelivered: {
    code: "messages-delivered",
    level: LogLevel.Debug,
    line: ({ address, messages, bytes, suite }) =>
      `${address} acknowledged ${plural(messages, "message")}, ${plural(bytes, "byte")} (${suite})`,
    fields: ({ address, messages, bytes, suite }) => ({ address, messages, bytes, suite })
  },
  ReplyReceived: {
    code: "reply-received",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ number, text }) => ({ number, bytes: text.length, ...contentFields(text) })
  }
}

/** The progress line of a delivery. */
export const deliveryProgress = ({
  offered,
  acknowledged
}: {
  readonly offered: number
  readonly acknowledged: number
}): ProgressLine => ({
  count: acknowledged,
  line: (perSecond: number) =>
    `${plural(offered, "message")} sent, ${acknowledged.toLocaleString("en-US")} acknowledged, ` +
    `${Math.round(perSecond).toLocaleString("en-US")}/s`
})

/** The line on stderr for a batch of received messages. */
export const batchSummary = (sender: RemotePeer, texts: ReadonlyArray<Uint8Array>): string =>
  receivedLine(
    sender,
    texts.length,
    texts.reduce((sum, text) => sum + text.length, 0)
  )

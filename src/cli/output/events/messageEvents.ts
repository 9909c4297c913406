// What there is to say of messages, from the sender to the inbox.
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../../../bytes/Hex.ts"
import type { RemotePeer } from "../../../services/Service.ts"
import type { StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import { storedMessageFields } from "../storedFields.ts"
import { contentFields, plural, senderFields, formatSender } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What happens. */
export type MessageEvents = {
  MessageReceived: {
    readonly sender: RemotePeer
    readonly id: Uint8Array
    readonly text: Uint8Array
  }
  InboxMessage: { readonly stored: StoredMessage }
  InboxPruned: { readonly messages: number }
  RetryScheduled: {
    readonly address: string
    readonly reason: string
    readonly millis: number
    /** Of `send` alone: messages of this run that the server has acknowledged. */
    readonly acknowledged?: number
  }
  /** So many messages of this run are in the outbox, on the disk. */
  MessagesQueued: { readonly outbox: string; readonly messages: number }
  DeliveryDeferred: { readonly outbox: string; readonly reason: string }
  MessagesPending: { readonly outbox: string; readonly messages: number; readonly blocked: boolean }
  MessagesDelivered: {
    readonly address: string
    readonly messages: number
    readonly bytes: number
    readonly suite: string
  }
  /** What the server says to message `number` of this run. */
  ReplyReceived: { readonly number: number; readonly text: Uint8Array }
}

export const messageTexts: EventTexts<MessageEvents> = {
  MessageReceived: {
    code: "message-received",
    level: LogLevel.Info,
    line: ({ sender, text }) =>
      `${formatSender(sender)}: a message of ${plural(text.length, "byte")}`,
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
    line: ({ messages }) => `forgot ${plural(messages, "message")}`,
    fields: ({ messages }) => ({ messages })
  },
  RetryScheduled: {
    code: "retry-scheduled",
    level: LogLevel.Warning,
    line: ({ reason, millis }) => `${reason}; trying again in ${(millis / 1000).toFixed(1)} s`,
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
    line: ({ outbox, messages }) => `${plural(messages, "message")} kept in ${outbox}`,
    fields: ({ outbox, messages }) => ({ outbox, messages })
  },
  DeliveryDeferred: {
    code: "delivery-deferred",
    level: LogLevel.Warning,
    line: ({ outbox, reason }) =>
      `${reason}; what still comes is kept in ${outbox}, and sent by the next run`,
    fields: ({ outbox, reason }) => ({ outbox, reason })
  },
  MessagesPending: {
    code: "messages-pending",
    level: LogLevel.Warning,
    line: ({ outbox, messages, blocked }) =>
      `${plural(messages, "message")} in ${outbox}` +
      (blocked
        ? `, the refused one first; sealwire inbox list --inbox ${outbox} shows them, and inbox done drops one`
        : ""),
    fields: ({ outbox, messages, blocked }) => ({ outbox, messages, blocked })
  },
  MessagesDelivered: {
    code: "messages-delivered",
    level: LogLevel.Debug,
    line: ({ address, messages, bytes, suite }) =>
      `${address} has handled ${plural(messages, "message")}, ${plural(bytes, "byte")} (${suite})`,
    fields: ({ address, messages, bytes, suite }) => ({ address, messages, bytes, suite })
  },
  ReplyReceived: {
    code: "reply-received",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ number, text }) => ({ number, bytes: text.length, ...contentFields(text) })
  }
}

/** Where a long delivery stands, for a person who waits. */
export const deliveryProgress = ({
  offered,
  acknowledged
}: {
  readonly offered: number
  readonly acknowledged: number
}) => ({
  count: acknowledged,
  line: (perSecond: number) =>
    `${plural(offered, "message")} sent, ${acknowledged.toLocaleString("en-US")} acknowledged, ${Math.round(perSecond).toLocaleString("en-US")}/s`
})

/** The line for a batch of messages. */
export const batchSummary = (sender: RemotePeer, messages: ReadonlyArray<Uint8Array>): string =>
  `${formatSender(sender)}: ${plural(messages.length, "message")}, ` +
  `${plural(
    messages.reduce((sum, text) => sum + text.length, 0),
    "byte"
  )} in all`

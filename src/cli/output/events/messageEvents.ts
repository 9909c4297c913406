// What there is to say of messages, from the sender to the inbox.
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../../../bytes/Hex.ts"
import type { Sender } from "../../../services/Service.ts"
import type { StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import { fieldsOf } from "../storedFields.ts"
import { contentOf, plural, senderOf, whoIs } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What happens. */
export type MessageEvents = {
  Received: { readonly sender: Sender; readonly id: Uint8Array; readonly text: Uint8Array }
  ReceivedMany: { readonly sender: Sender; readonly messages: number; readonly bytes: number }
  Stored: { readonly stored: StoredMessage }
  Pruned: { readonly messages: number }
  Retrying: {
    readonly address: string
    readonly reason: string
    readonly millis: number
    readonly acknowledged: number
  }
  /** So many messages of this run are in the outbox, on the disk. */
  Kept: { readonly outbox: string; readonly messages: number }
  OnlyKept: { readonly outbox: string; readonly reason: string }
  StillWaiting: { readonly outbox: string; readonly messages: number; readonly blocked: boolean }
  Delivered: {
    readonly address: string
    readonly messages: number
    readonly bytes: number
    readonly suite: string
  }
  /** What the server says to message `number` of this run. */
  Replied: { readonly number: number; readonly text: Uint8Array }
}

export const messageWords: EventTexts<MessageEvents> = {
  Received: {
    code: "message",
    level: LogLevel.Info,
    line: ({ sender, text }) => `${whoIs(sender)}: a message of ${plural(text.length, "byte")}`,
    fields: ({ sender, id, text }) => ({
      ...senderOf(sender),
      id: Hex.encode(id),
      bytes: text.length,
      ...contentOf(text)
    })
  },
  ReceivedMany: {
    code: "messages",
    level: LogLevel.Info,
    line: ({ sender, messages, bytes }) =>
      `${whoIs(sender)}: ${plural(messages, "message")} of ${plural(bytes, "byte")} together`,
    fields: ({ sender, messages, bytes }) => ({ ...senderOf(sender), messages, bytes })
  },
  Stored: {
    code: "stored",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ stored }) => ({ ...fieldsOf(stored), ...contentOf(stored.text) })
  },
  Pruned: {
    code: "pruned",
    level: LogLevel.Info,
    line: ({ messages }) => `forgot ${plural(messages, "message")}`,
    fields: ({ messages }) => ({ messages })
  },
  Retrying: {
    code: "retrying",
    level: LogLevel.Warning,
    line: ({ reason, millis }) => `${reason}; trying again in ${(millis / 1000).toFixed(1)} s`,
    fields: ({ address, reason, millis, acknowledged }) => ({
      address,
      reason,
      millis: Math.round(millis),
      acknowledged
    })
  },
  Kept: {
    code: "kept",
    level: LogLevel.Debug,
    line: ({ outbox, messages }) => `${plural(messages, "message")} kept in ${outbox}`,
    fields: ({ outbox, messages }) => ({ outbox, messages })
  },
  OnlyKept: {
    code: "only-kept",
    level: LogLevel.Warning,
    line: ({ outbox, reason }) =>
      `${reason}; what still comes is kept in ${outbox}, and sent by the next run`,
    fields: ({ outbox, reason }) => ({ outbox, reason })
  },
  StillWaiting: {
    code: "waiting",
    level: LogLevel.Warning,
    line: ({ outbox, messages, blocked }) =>
      `${plural(messages, "message")} in ${outbox}` +
      (blocked
        ? `, the refused one first; sealwire inbox list --inbox ${outbox} shows them, and inbox done drops one`
        : ""),
    fields: ({ outbox, messages, blocked }) => ({ outbox, messages, blocked })
  },
  Delivered: {
    code: "delivered",
    level: LogLevel.Debug,
    line: ({ address, messages, bytes, suite }) =>
      `${address} has handled ${plural(messages, "message")}, ${plural(bytes, "byte")} (${suite})`,
    fields: ({ address, messages, bytes, suite }) => ({ address, messages, bytes, suite })
  },
  Replied: {
    code: "reply",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ number, text }) => ({ number, bytes: text.length, ...contentOf(text) })
  }
}

/** Where a long delivery stands, for a person who waits. */
export const progressOf = ({
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

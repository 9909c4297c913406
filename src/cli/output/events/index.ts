// Every event of the command, with its text and its JSON form: one file per subject.
import * as Data from "effect/Data"
import * as Printable from "../../../bytes/Printable.ts"
import { classicTexts, type ClassicEvents } from "./classicEvents.ts"
import { fileTexts, type FileEvents } from "./fileEvents.ts"
import { keyTexts, type KeyEvents } from "./keyEvents.ts"
import { messageTexts, type MessageEvents } from "./messageEvents.ts"
import { pairTexts, type PairEvents } from "./pairEvents.ts"
import { peerTexts, type PeerEvents } from "./peerEvents.ts"
import { serverTexts, type ServerEvents } from "./serverEvents.ts"
import { transferTexts, plannedEntryLine, type TransferEvents } from "./transferEvents.ts"
import { tunnelTexts, type TunnelEvents } from "./tunnelEvents.ts"
import type { EventText } from "./EventText.ts"

/** An event that a command reports. */
export type Event = Data.TaggedEnum<
  ServerEvents &
    MessageEvents &
    FileEvents &
    TransferEvents &
    TunnelEvents &
    KeyEvents &
    PeerEvents &
    PairEvents &
    ClassicEvents
>
export const Event = Data.taggedEnum<Event>()

type Tag = Event["_tag"]

/** One text per event. */
export const eventTexts: { readonly [T in Tag]: EventText<Extract<Event, { readonly _tag: T }>> } =
  {
    ...serverTexts,
    ...messageTexts,
    ...fileTexts,
    ...transferTexts,
    ...tunnelTexts,
    ...keyTexts,
    ...peerTexts,
    ...pairTexts,
    ...classicTexts
  }

/** Codes of JSON objects that are not built from an `Event`: errors, log entries and listings. */
export const recordCodes = [
  "error",
  "log",
  "batch-handled",
  "peer",
  "public-key",
  "key-fingerprint",
  "file-inspected",
  "server-status",
  "noise-session"
] as const
export type RecordCode = (typeof recordCodes)[number]

/** Formats a JSON object that is not built from an `Event`, with its code first. */
export const jsonRecord = (code: RecordCode, fields: Readonly<Record<string, unknown>>): string =>
  Printable.json({ event: code, ...fields })

/** Returns the part of an event that is data for stdout; undefined for an event without data. */
export const stdoutData = (event: Event): Uint8Array | undefined => {
  switch (event._tag) {
    case "PairingListening":
      return Buffer.from(event.code)
    case "InboxMessage":
      return event.stored.text
    case "EntryPlanned":
      return Buffer.from(plannedEntryLine(event))
    case "ClassicMessageReceived":
    case "MessageReceived":
    case "ReplyReceived":
      return event.text
    default:
      return undefined
  }
}

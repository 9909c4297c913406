// What there is to say, and the words for it: a file for each matter.
import * as Data from "effect/Data"
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

/** What happens while a command runs. */
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

/** One entry per event. */
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

/** What of an event is data, for standard output. */
export const stdoutData = (event: Event): Uint8Array | undefined => {
  if (event._tag === "PairingListening") return Buffer.from(event.code)
  if (event._tag === "InboxMessage") return event.stored.text
  if (event._tag === "EntryPlanned") return Buffer.from(plannedEntryLine(event))
  return event._tag === "ClassicMessageReceived" ||
    event._tag === "MessageReceived" ||
    event._tag === "ReplyReceived"
    ? event.text
    : undefined
}

// What there is to say, and the words for it: a file for each matter.
import * as Data from "effect/Data"
import { classicWords, type ClassicEvents } from "./classicEvents.ts"
import { fileWords, type FileEvents } from "./fileEvents.ts"
import { keyWords, type KeyEvents } from "./keyEvents.ts"
import { messageWords, type MessageEvents } from "./messageEvents.ts"
import { pairWords, type PairEvents } from "./pairEvents.ts"
import { peerWords, type PeerEvents } from "./peerEvents.ts"
import { serverWords, type ServerEvents } from "./serverEvents.ts"
import { transferWords, wouldLine, type TransferEvents } from "./transferEvents.ts"
import { tunnelWords, type TunnelEvents } from "./tunnelEvents.ts"
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
export const words: { readonly [T in Tag]: EventText<Extract<Event, { readonly _tag: T }>> } = {
  ...serverWords,
  ...messageWords,
  ...fileWords,
  ...transferWords,
  ...tunnelWords,
  ...keyWords,
  ...peerWords,
  ...pairWords,
  ...classicWords
}

/** What of an event is data, for standard output. */
export const dataOf = (event: Event): Uint8Array | undefined => {
  if (event._tag === "PairingOpen") return Buffer.from(event.code)
  if (event._tag === "Stored") return event.stored.text
  if (event._tag === "WouldTravel") return Buffer.from(wouldLine(event))
  return event._tag === "Message" || event._tag === "Received" || event._tag === "Replied"
    ? event.text
    : undefined
}

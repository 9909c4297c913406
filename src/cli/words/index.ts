// What there is to say, and the words for it: a file for each matter.
import * as Data from "effect/Data"
import { classicWords, type ClassicEvents } from "./classicWords.ts"
import { fileWords, type FileEvents } from "./fileWords.ts"
import { keyWords, type KeyEvents } from "./keyWords.ts"
import { messageWords, type MessageEvents } from "./messageWords.ts"
import { pairWords, type PairEvents } from "./pairWords.ts"
import { peerWords, type PeerEvents } from "./peerWords.ts"
import { serverWords, type ServerEvents } from "./serverWords.ts"
import { transferWords, wouldLine, type TransferEvents } from "./transferWords.ts"
import { tunnelWords, type TunnelEvents } from "./tunnelWords.ts"
import type { Words } from "./Words.ts"

/** What happens while a command runs. */
export type Event = Data.TaggedEnum<
  ServerEvents & MessageEvents & FileEvents & TransferEvents & TunnelEvents & KeyEvents & PeerEvents & PairEvents & ClassicEvents
>
export const Event = Data.taggedEnum<Event>()

type Tag = Event["_tag"]

/** One entry per event. */
export const words: { readonly [T in Tag]: Words<Extract<Event, { readonly _tag: T }>> } = {
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
  return event._tag === "Message" || event._tag === "Received" || event._tag === "Replied" ? event.text : undefined
}

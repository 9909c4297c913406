// What the classic system has to say.
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../../../bytes/Hex.ts"
import type { RefusalReason } from "../../../classic/Classic.ts"
import { contentOf, plural } from "./phrases.ts"
import type { OutputMode, EventTexts } from "./EventText.ts"

/** What happens. */
export type ClassicEvents = {
  Listening: { readonly address: string; readonly cipher: string }
  Message: { readonly peer: string; readonly text: Uint8Array; readonly wire: Uint8Array }
  Refused: { readonly peer: string; readonly reason: RefusalReason; readonly bytes: number }
  Sent: { readonly address: string; readonly bytes: number; readonly wire: Uint8Array }
}

export const classicWords: EventTexts<ClassicEvents> = {
  Listening: {
    code: "listening",
    level: LogLevel.Info,
    line: ({ address, cipher }) =>
      `listening at ${address} for messages sealed with ${cipher}; Ctrl-C stops`,
    fields: ({ address, cipher }) => ({ address, cipher })
  },
  Message: {
    code: "message",
    level: LogLevel.Info,
    line: ({ peer, wire }, manner) =>
      manner.wire
        ? `${peer}: ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : undefined,
    fields: ({ peer, text, wire }, manner) => ({
      peer,
      bytes: text.length,
      ...contentOf(text),
      ...wireOf(wire, manner)
    })
  },
  Refused: {
    code: "refused",
    level: LogLevel.Warning,
    line: ({ peer, reason, bytes }) =>
      `${peer}: refused: ${refusals[reason]}${bytes > 0 ? ` (${plural(bytes, "byte")})` : ""}`,
    fields: ({ peer, reason, bytes }) => ({ peer, reason, bytes })
  },
  Sent: {
    code: "sent",
    level: LogLevel.Info,
    line: ({ address, bytes, wire }, manner) =>
      `sent ${plural(bytes, "byte")} to ${address}` +
      (manner.wire
        ? `; ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : "; the classic system has no receipt: nothing tells whether they arrived"),
    fields: ({ address, bytes, wire }, manner) => ({
      address,
      bytes,
      wireBytes: wire.length,
      ...wireOf(wire, manner)
    })
  }
}

const wireOf = (wire: Uint8Array, manner: OutputMode) =>
  manner.wire ? { wire: Hex.encode(wire) } : {}

const refusals: Readonly<Record<RefusalReason, string>> = {
  "does not open": "the message does not open with this key and cipher",
  "too long": "the message is longer than any classic message",
  "nothing sent": "it sent nothing",
  "cut off": "it was cut off before the end of the message",
  "too slow": "the message did not end in time",
  "crowded out": "unfinished messages took too much memory, and this was the largest"
}

// What the classic system has to say.
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../../../bytes/Hex.ts"
import type { RefusalReason } from "../../../classic/Classic.ts"
import { contentFields, plural } from "./phrases.ts"
import type { OutputMode, EventTexts } from "./EventText.ts"

/** What happens. */
export type ClassicEvents = {
  ClassicListening: { readonly address: string; readonly cipher: string }
  ClassicMessageReceived: {
    readonly peer: string
    readonly text: Uint8Array
    readonly wire: Uint8Array
  }
  ClassicMessageRefused: {
    readonly peer: string
    readonly reason: RefusalReason
    readonly bytes: number
  }
  ClassicMessageSent: {
    readonly address: string
    readonly bytes: number
    readonly wire: Uint8Array
  }
}

export const classicTexts: EventTexts<ClassicEvents> = {
  ClassicListening: {
    code: "server-listening",
    level: LogLevel.Info,
    line: ({ address, cipher }) =>
      `listening at ${address} for messages sealed with ${cipher}; Ctrl-C stops`,
    fields: ({ address, cipher }) => ({ address, cipher })
  },
  ClassicMessageReceived: {
    code: "message-received",
    level: LogLevel.Info,
    line: ({ peer, wire }, mode) =>
      mode.wire
        ? `${peer}: ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : undefined,
    fields: ({ peer, text, wire }, mode) => ({
      peer,
      bytes: text.length,
      ...contentFields(text),
      ...wireOf(wire, mode)
    })
  },
  ClassicMessageRefused: {
    code: "message-refused",
    level: LogLevel.Warning,
    line: ({ peer, reason, bytes }) =>
      `${peer}: refused: ${refusals[reason]}${bytes > 0 ? ` (${plural(bytes, "byte")})` : ""}`,
    fields: ({ peer, reason, bytes }) => ({ peer, reason, bytes })
  },
  ClassicMessageSent: {
    code: "message-sent",
    level: LogLevel.Info,
    line: ({ address, bytes, wire }, mode) =>
      `sent ${plural(bytes, "byte")} to ${address}` +
      (mode.wire
        ? `; ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : "; the classic system has no receipt: nothing tells whether they arrived"),
    fields: ({ address, bytes, wire }, mode) => ({
      address,
      bytes,
      wireBytes: wire.length,
      ...wireOf(wire, mode)
    })
  }
}

const wireOf = (wire: Uint8Array, mode: OutputMode) => (mode.wire ? { wire: Hex.encode(wire) } : {})

const refusals: Readonly<Record<RefusalReason, string>> = {
  "does not open": "the message does not open with this key and cipher",
  "too long": "the message is longer than any classic message",
  "nothing sent": "it sent nothing",
  "cut off": "it was cut off before the end of the message",
  "too slow": "the message did not end in time",
  "crowded out": "unfinished messages took too much memory, and this was the largest"
}

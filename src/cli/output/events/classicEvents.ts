// Events of the classic system.
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../../../bytes/Hex.ts"
import type { RefusalReason } from "../../../classic/Classic.ts"
import { contentFields, plural } from "./phrases.ts"
import type { OutputMode, EventTexts } from "./EventText.ts"

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
    /** Number of messages: 1, or those that followed within an interval. */
    readonly count: number
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
      `listening on ${address} for classic messages (${cipher}); press Ctrl-C to stop`,
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
      ...wireFields(wire, mode)
    })
  },
  ClassicMessageRefused: {
    code: "message-refused",
    level: LogLevel.Warning,
    line: ({ peer, reason, bytes, count }) =>
      `refused ${count === 1 ? "a message" : plural(count, "more message")} from ${peer}: ${refusals[reason].line}` +
      (bytes > 0 && count === 1 ? ` (${plural(bytes, "byte")})` : ""),
    fields: ({ peer, reason, bytes, count }) => ({
      peer,
      reasonCode: refusals[reason].code,
      bytes,
      count
    })
  },
  ClassicMessageSent: {
    code: "message-sent",
    level: LogLevel.Info,
    line: ({ address, bytes, wire }, mode) =>
      `sent ${plural(bytes, "byte")} to ${address}` +
      (mode.wire
        ? `; ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : "; the classic protocol has no receipt, so delivery is not confirmed"),
    fields: ({ address, bytes, wire }, mode) => ({
      address,
      bytes,
      wireBytes: wire.length,
      ...wireFields(wire, mode)
    })
  }
}

const wireFields = (wire: Uint8Array, mode: OutputMode) =>
  mode.wire ? { wire: Hex.encode(wire) } : {}

const refusals: Readonly<Record<RefusalReason, { readonly code: string; readonly line: string }>> =
  {
    "does not open": {
      code: "decrypt-failed",
      line: "it does not decrypt with this key and cipher"
    },
    "too long": { code: "too-long", line: "it exceeds the maximum length of a classic message" },
    "nothing sent": { code: "empty", line: "the connection sent no bytes" },
    "cut off": { code: "truncated", line: "the connection was lost before the end of the message" },
    "too slow": { code: "timed-out", line: "it was not complete in time" },
    "crowded out": {
      code: "memory-limit",
      line: "incomplete messages exceeded the memory limit, and this was the largest"
    }
  }

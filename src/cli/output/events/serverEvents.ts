// Events of a server: its start, its sessions and the connections it refuses.
import * as LogLevel from "effect/LogLevel"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { ServerKey } from "../../../peers/KnownPeers.ts"
import { notListed } from "../../../services/PeerSessions.ts"
import type { Counters, RemotePeer } from "../../../services/Service.ts"
import {
  countersSuffix,
  formatSender,
  formatServerKey,
  keyFields,
  plural,
  senderFields,
  serverKeyFields
} from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** The end of a session. */
interface Ended {
  readonly sender: RemotePeer
  readonly service: string
  readonly counted: Readonly<Counters>
  readonly error: string | undefined
}

export type ServerEvents = {
  ConfigValid: { readonly file: string; readonly options: number }
  Warning: { readonly text: string }
  ServerListening: {
    readonly address: string
    readonly suites: ReadonlyArray<string>
    readonly publicKey: Uint8Array | undefined
  }
  ServerKeysAnnounced: { readonly keys: ReadonlyArray<ServerKey> }
  SessionStarted: { readonly sender: RemotePeer; readonly service: string }
  SessionEnded: Ended
  SessionFailed: Ended
  ConnectionRefused: {
    readonly from: string
    readonly reason: string
    /** Number of connections: 1, or those that followed within an interval. */
    readonly count: number
    /** The target of a tunnel; absent on a server. */
    readonly target?: string
    /** The key of the client, where it has shown one; absent in a count of several keys. */
    readonly publicKey?: Uint8Array | undefined
  }
}

const sessionOf = ({ sender, service }: Ended): string =>
  `${formatSender(sender)}: ${Printable.line(service)} session`

const endedFields = ({ sender, service, counted, error }: Ended) => ({
  ...senderFields(sender),
  service,
  counters: counted,
  ...(error === undefined ? {} : { reason: error })
})

/** The fingerprint of a refused key, and the command that would authorize it. */
const aboutKey = (reason: string, publicKey: Uint8Array | undefined): string => {
  if (publicKey === undefined) return ""
  const allow =
    reason === notListed
      ? `; to allow it: sealwire peers add NAME ${PublicKey.encode(publicKey)}`
      : ""
  return ` (${PublicKey.fingerprint(publicKey)}${allow})`
}

export const serverTexts: EventTexts<ServerEvents> = {
  ConfigValid: {
    code: "config-valid",
    level: LogLevel.Info,
    line: ({ file, options }) => `${file}: OK (${plural(options, "option")})`,
    fields: ({ file, options }) => ({ file, options })
  },
  Warning: {
    code: "warning",
    level: LogLevel.Warning,
    line: ({ text }) => text,
    fields: ({ text }) => ({ message: text })
  },
  ServerListening: {
    code: "server-listening",
    level: LogLevel.Info,
    line: ({ address, suites, publicKey }) =>
      `listening on ${address} (${suites.join(", ")})` +
      `${publicKey === undefined ? "" : `, public key ${PublicKey.encode(publicKey)}`}; press Ctrl-C to stop`,
    fields: ({ address, suites, publicKey }) => ({ address, suites, ...keyFields(publicKey) })
  },
  ServerKeysAnnounced: {
    code: "server-keys-announced",
    level: LogLevel.Info,
    line: ({ keys }) =>
      `announcing ${plural(keys.length, "key")} to clients: ${keys.map(formatServerKey).join(", ")}`,
    fields: ({ keys }) => ({ keys: keys.map(serverKeyFields) })
  },
  SessionStarted: {
    code: "session-started",
    level: LogLevel.Debug,
    line: ({ sender, service }) =>
      `${formatSender(sender)}: ${Printable.line(service)} session started (${sender.suite})`,
    fields: ({ sender, service }) => ({ ...senderFields(sender), service })
  },
  SessionEnded: {
    code: "session-ended",
    level: LogLevel.Debug,
    line: (ended) => `${sessionOf(ended)} ended${countersSuffix(ended.counted)}`,
    fields: endedFields
  },
  SessionFailed: {
    code: "session-failed",
    level: LogLevel.Warning,
    line: (ended) => `${sessionOf(ended)} failed${countersSuffix(ended.counted)}: ${ended.error}`,
    fields: endedFields
  },
  ConnectionRefused: {
    code: "connection-refused",
    level: LogLevel.Warning,
    line: ({ from, reason, count, target = "", publicKey }) => {
      const what = count === 1 ? from : `${plural(count, "more connection")} from ${from}`
      return `refused ${what}${target === "" ? "" : ` (${target})`}: ${reason}${aboutKey(reason, publicKey)}`
    },
    fields: ({ from, reason, count, target, publicKey }) => ({
      from,
      ...(target === undefined ? {} : { target }),
      reason,
      count,
      ...keyFields(publicKey)
    })
  }
}

// What a server says of itself and of those who come.
import * as LogLevel from "effect/LogLevel"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { ServerKey } from "../../../peers/KnownPeers.ts"
import type { Counters, RemotePeer } from "../../../services/Service.ts"
import {
  formatCounters,
  keyFields,
  plural,
  senderFields,
  formatServerKey,
  serverKeyFields,
  formatSender
} from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** How a session went. */
interface Ended {
  readonly sender: RemotePeer
  readonly service: string
  readonly counted: Readonly<Counters>
  readonly error: string | undefined
}

/** What happens. */
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
    /** The target of a tunnel; absent on a server. */
    readonly target?: string
  }
}

const endedLine = ({ sender, counted, error }: Ended): string =>
  `${formatSender(sender)}: session ended after ${formatCounters(counted)}${error === undefined ? "" : `: ${error}`}`

const endedFields = ({ sender, service, counted, error }: Ended) => ({
  ...senderFields(sender),
  service,
  ...counted,
  ...(error === undefined ? {} : { error })
})

export const serverTexts: EventTexts<ServerEvents> = {
  ConfigValid: {
    code: "config-valid",
    level: LogLevel.Info,
    line: ({ file, options }) => `${file} would do: ${plural(options, "option")}`,
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
      `listening at ${address} (${suites.join(", ")})${publicKey === undefined ? "" : `; public key ${PublicKey.encode(publicKey)}`}; Ctrl-C stops`,
    fields: ({ address, suites, publicKey }) => ({ address, suites, ...keyFields(publicKey) })
  },
  ServerKeysAnnounced: {
    code: "server-keys-announced",
    level: LogLevel.Info,
    line: ({ keys }) =>
      `clients are told of ${plural(keys.length, "key")}: ${keys.map(formatServerKey).join(", then ")}`,
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
    line: endedLine,
    fields: endedFields
  },
  SessionFailed: {
    code: "session-failed",
    level: LogLevel.Warning,
    line: endedLine,
    fields: endedFields
  },
  ConnectionRefused: {
    code: "connection-refused",
    level: LogLevel.Warning,
    line: ({ from, reason }) => `${from}: refused: ${reason}`,
    fields: ({ from, reason, target }) => ({
      from,
      ...(target === undefined ? {} : { target }),
      reason
    })
  }
}

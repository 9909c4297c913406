// What a server says of itself and of those who come.
import * as LogLevel from "effect/LogLevel"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { ServerKey } from "../../../services/KeyAnnouncement.ts"
import type { Counted, Sender } from "../../../services/Service.ts"
import { doneOf, keyOf, plural, senderOf, serverKey, serverKeyFields, whoIs } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** How a session went. */
interface Ended {
  readonly sender: Sender
  readonly service: string
  readonly counted: Readonly<Counted>
  readonly error: string | undefined
}

/** What happens. */
export type ServerEvents = {
  ConfigFine: { readonly file: string; readonly options: number }
  Danger: { readonly text: string }
  Serving: {
    readonly address: string
    readonly suites: ReadonlyArray<string>
    readonly publicKey: Uint8Array | undefined
  }
  ServerKeys: { readonly keys: ReadonlyArray<ServerKey> }
  SessionStarted: { readonly sender: Sender; readonly service: string }
  SessionEnded: Ended
  SessionFailed: Ended
  ConnectionRefused: { readonly from: string; readonly reason: string }
}

const endedLine = ({ sender, counted, error }: Ended): string =>
  `${whoIs(sender)}: session ended after ${doneOf(counted)}${error === undefined ? "" : `: ${error}`}`

const endedFields = ({ sender, service, counted, error }: Ended) => ({
  ...senderOf(sender),
  service,
  ...counted,
  ...(error === undefined ? {} : { error })
})

export const serverWords: EventTexts<ServerEvents> = {
  ConfigFine: {
    code: "config-fine",
    level: LogLevel.Info,
    line: ({ file, options }) => `${file} would do: ${plural(options, "option")}`,
    fields: ({ file, options }) => ({ file, options })
  },
  Danger: {
    code: "danger",
    level: LogLevel.Warning,
    line: ({ text }) => text,
    fields: ({ text }) => ({ message: text })
  },
  Serving: {
    code: "listening",
    level: LogLevel.Info,
    line: ({ address, suites, publicKey }) =>
      `listening at ${address} (${suites.join(", ")})${publicKey === undefined ? "" : `; public key ${PublicKey.encode(publicKey)}`}; Ctrl-C stops`,
    fields: ({ address, suites, publicKey }) => ({ address, suites, ...keyOf(publicKey) })
  },
  ServerKeys: {
    code: "server-keys",
    level: LogLevel.Info,
    line: ({ keys }) =>
      `clients are told of ${plural(keys.length, "key")}: ${keys.map(serverKey).join(", then ")}`,
    fields: ({ keys }) => ({ keys: keys.map(serverKeyFields) })
  },
  SessionStarted: {
    code: "session-started",
    level: LogLevel.Debug,
    line: ({ sender, service }) =>
      `${whoIs(sender)}: ${Printable.line(service)} session started (${sender.suite})`,
    fields: ({ sender, service }) => ({ ...senderOf(sender), service })
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
    code: "refused",
    level: LogLevel.Warning,
    line: ({ from, reason }) => `${from}: refused: ${reason}`,
    fields: ({ from, reason }) => ({ from, reason })
  }
}

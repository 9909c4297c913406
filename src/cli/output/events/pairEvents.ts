// What there is to say while two sides are paired.
import * as LogLevel from "effect/LogLevel"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { keyFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What happens. */
export type PairEvents = {
  PairingListening: {
    readonly address: string
    readonly lasts: string
    readonly reachable: boolean
    readonly code: string
  }
  PartnerVerified: {
    readonly from: string
    readonly suggestion: string
    readonly publicKey: Uint8Array
  }
  PairingCompleted: {
    /** Where the partner is reached, when it is a server. */
    readonly address: string | undefined
    readonly name: string
    readonly publicKey: Uint8Array
    readonly file: string
    /** It stood there before. */
    readonly before: boolean
  }
}

export const pairTexts: EventTexts<PairEvents> = {
  PairingListening: {
    code: "pairing-listening",
    level: LogLevel.Info,
    line: ({ address, lasts, reachable }) =>
      `waiting at ${address} for ${lasts}${reachable ? "" : " (this machine alone can reach it; for others: --listen 0.0.0.0:PORT)"}; ` +
      `on the other side run sealwire pair ADDRESS, with the address of this one, and type this code there:`,
    fields: ({ address, lasts, code }) => ({ address, lasts, code })
  },
  PartnerVerified: {
    code: "partner-verified",
    level: LogLevel.Info,
    line: ({ from, suggestion, publicKey }) =>
      `${from} has the code; it calls itself ${suggestion}, and its key is ${PublicKey.fingerprint(publicKey)}`,
    fields: ({ from, suggestion, publicKey }) => ({ from, suggestion, ...keyFields(publicKey) })
  },
  PairingCompleted: {
    code: "pairing-completed",
    level: LogLevel.Info,
    line: ({ address, name, publicKey, file, before }) =>
      `paired: ${address === undefined ? `${name} may come in` : `${address} is known as ${name}`}${before ? ", as before" : ""} ` +
      `(${PublicKey.fingerprint(publicKey)}, ${file})`,
    fields: ({ address, name, publicKey, file, before }) => ({
      ...(address === undefined ? {} : { address }),
      name,
      ...keyFields(publicKey),
      file,
      before
    })
  }
}

// Events of pairing two sides with a code.
import * as LogLevel from "effect/LogLevel"
import * as Duration from "effect/Duration"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { keyFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

export type PairEvents = {
  PairingListening: {
    readonly address: string
    /** The lifetime of the code, such as "10 minutes". */
    readonly lasts: Duration.DurationInput
    readonly reachable: boolean
    readonly code: string
  }
  PartnerVerified: {
    readonly from: string
    readonly suggestion: string
    readonly publicKey: Uint8Array
  }
  PairingCompleted: {
    /** The address of a partner that is a server; undefined for a client. */
    readonly address: string | undefined
    readonly name: string
    readonly publicKey: Uint8Array
    readonly file: string
    /** The file listed the partner already. */
    readonly existed: boolean
  }
}

export const pairTexts: EventTexts<PairEvents> = {
  PairingListening: {
    code: "pairing-listening",
    level: LogLevel.Info,
    line: ({ address, lasts, reachable }) =>
      `waiting on ${address} for ${Duration.format(Duration.decode(lasts))}` +
      `${reachable ? "" : " (reachable only from this machine; for others: --listen 0.0.0.0:PORT)"}; ` +
      "on the other side run sealwire pair ADDRESS with the address of this machine, and enter this code:",
    fields: ({ address, lasts, code }) => ({
      address,
      validSeconds: Duration.toSeconds(lasts),
      code
    })
  },
  PartnerVerified: {
    code: "partner-verified",
    level: LogLevel.Info,
    line: ({ from, suggestion, publicKey }) =>
      `${from} entered the code; suggested name ${suggestion}, key ${PublicKey.fingerprint(publicKey)}`,
    fields: ({ from, suggestion, publicKey }) => ({
      from,
      suggestedName: suggestion,
      ...keyFields(publicKey)
    })
  },
  PairingCompleted: {
    code: "pairing-completed",
    level: LogLevel.Info,
    line: ({ address, name, publicKey, file, existed }) =>
      `paired: ${address === undefined ? `${name} is authorized` : `${address} is known as ${name}`}` +
      `${existed ? ", as before" : ""} (${PublicKey.fingerprint(publicKey)}, ${file})`,
    fields: ({ address, name, publicKey, file, existed }) => ({
      ...(address === undefined ? {} : { address }),
      name,
      ...keyFields(publicKey),
      file,
      existing: existed
    })
  }
}

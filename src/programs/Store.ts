import type * as Effect from "effect/Effect"
import * as PublicKey from "../keys/PublicKey.ts"
import type { InboxRefused } from "./InboxErrors.ts"
import type { Message } from "./MessageFrame.ts"
import type { Sender } from "./Server.ts"

/** A message as it comes: its id is the same whenever it is sent again. */
export type Incoming = Pick<Message, "id" | "text">

/** Takes messages; when it is done, they are safe, and a receipt may go back. One that it has already is not taken twice. */
export interface Store {
  readonly store: (messages: ReadonlyArray<Incoming>, sender: Sender) => Effect.Effect<void, InboxRefused>
}

/** Who sent a message, the same at every reconnect: its key; where all share one key, nobody is told apart. */
export const peerOf = ({ peer, from, publicKey }: Sender): string =>
  publicKey !== undefined ? PublicKey.fingerprint(publicKey) : peer === from ? "shared key" : peer

import type * as Effect from "effect/Effect"
import * as PublicKey from "../../keys/PublicKey.ts"
import type { InboxRefused } from "../inbox/InboxErrors.ts"
import type { Message } from "./MessageFrame.ts"
import type { Sender } from "../Service.ts"

/** A message as it comes: its id is the same whenever it is sent again. */
export type IncomingMessage = Pick<Message, "id" | "text">

/**
 * Takes messages; when it is done, they are safe, and a receipt may go back. One that it has already is not taken twice. Where it fails
 * at one of them, those before it may be told of as taken (`handled`).
 */
export interface MessageHandler {
  /** Takes these; done when they are safe, or handled. */
  readonly store: (
    messages: ReadonlyArray<IncomingMessage>,
    sender: Sender
  ) => Effect.Effect<void, InboxRefused>
  /** Takes a message that asks for a reply, and gives it. Not where messages are only kept. */
  readonly answer?: (
    message: IncomingMessage,
    sender: Sender
  ) => Effect.Effect<Uint8Array, InboxRefused>
}

/** Who sent a message, the same at every reconnect: its key; where all share one key, nobody is told apart. */
export const peerOf = ({ peer, from, publicKey }: Sender): string =>
  publicKey !== undefined ? PublicKey.fingerprint(publicKey) : peer === from ? "shared key" : peer

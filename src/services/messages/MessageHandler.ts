import type * as Effect from "effect/Effect"
import * as PublicKey from "../../keys/PublicKey.ts"
import type { Message } from "./MessageFrame.ts"
import type { RemotePeer } from "../Service.ts"

/** A received message. A client that sends it again sends it under the same id. */
export type IncomingMessage = Pick<Message, "id" | "text">

/**
 * The failure of a MessageHandler. The server answers it with a receipt of status "later" or
 * "refused".
 */
export interface HandlerFailure {
  /** A clause for the server's log: "the disk is full". */
  readonly reason: string
  /** True when the same messages may succeed later. */
  readonly retry: boolean
  /** Number of messages, from the first, that were handled before the failure. Default: 0. */
  readonly handled?: number
}

/**
 * Stores or handles the messages of a server. A handler succeeds when the messages are durable or
 * handled; the server then sends the receipt. It does not handle the same message twice.
 */
export interface MessageHandler<E extends HandlerFailure = HandlerFailure> {
  /** Stores or handles the messages, in order. */
  readonly handle: (
    messages: ReadonlyArray<IncomingMessage>,
    sender: RemotePeer
  ) => Effect.Effect<void, E>
  /**
   * Handles a message that requests a reply and returns the reply. Absent in a handler that only
   * stores.
   */
  readonly reply?: (message: IncomingMessage, sender: RemotePeer) => Effect.Effect<Uint8Array, E>
}

/**
 * Returns the identity of the sender, the same in every session: the fingerprint of its public key.
 * Peers that share one key are one identity.
 */
export const senderId = ({ peer, from, publicKey }: RemotePeer): string =>
  publicKey !== undefined ? PublicKey.fingerprint(publicKey) : peer === from ? "shared key" : peer

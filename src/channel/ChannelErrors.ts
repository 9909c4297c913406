import * as Data from "effect/Data"
import * as Predicate from "effect/Predicate"
import { shown } from "../bytes/excerpt.ts"
import { descriptionOf, type HandshakeFailure } from "./HandshakeFailure.ts"

/**
 * The channel was not established: the peer closed the connection, or a deadline passed. The peer
 * is never told the reason.
 */
export class HandshakeFailed extends Data.TaggedError("HandshakeFailed")<{
  readonly peer: string
  /** The reason as this side sees it, for its log: "decrypt failed", "timed out" … */
  readonly reason: string
  /** The kind of failure that a client can recognise; undefined on a server. */
  readonly failure?: HandshakeFailure
  /** The next step, where the caller knows a better one than that of the failure. */
  readonly hint?: string
  /** The client's public key, on a server to which it was shown. */
  readonly publicKey?: Uint8Array | undefined
  /** True on a server whose client closed the connection before it had sent a byte. */
  readonly isSilent?: boolean
}> {
  override get message(): string {
    const { clause, advice } =
      this.failure === undefined ? unclassified : descriptionOf(this.failure)
    return `${this.peer} ${clause} (${this.reason}); ${this.hint ?? advice}`
  }
  /** A later attempt may succeed: no server that refuses this client fails this way. */
  get transient(): boolean {
    return this.failure !== undefined && descriptionOf(this.failure).transient
  }
  /** A server that has accepted this client may stop in the middle of a later handshake. */
  get transientOnceConnected(): boolean {
    return true
  }
}

/** A handshake that a server has ended, or a program that a client runs. */
const unclassified = {
  clause: "did not complete the handshake",
  advice: "check that both sides have the right keys"
}

/** The byte stream ended before FIN or CLOSE. The bytes already read are an incomplete prefix. */
export class StreamTruncated extends Data.TaggedError("StreamTruncated")<{
  readonly peer: string
  readonly code: string
}> {
  override get message(): string {
    return `the stream from ${this.peer} was truncated (${this.code})`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

/** A record failed authentication or violates the protocol. The connection was closed. */
export class ChannelTampered extends Data.TaggedError("ChannelTampered")<{
  readonly peer: string
  readonly detail: string
}> {
  override get message(): string {
    return `data from ${this.peer} was modified in transit or violates the protocol (${this.detail}); the connection was closed`
  }
}

/** The peer sent CLOSE, or this side has closed the channel. */
export class ChannelClosed extends Data.TaggedError("ChannelClosed")<{
  readonly peer: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.peer} closed the channel: ${this.reason}`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

/**
 * The rules of the peer do not allow the request, or not at this rate. The peer does not tell which
 * rule.
 */
export class ChannelRefused extends Data.TaggedError("ChannelRefused")<{ readonly peer: string }> {
  override get message(): string {
    return `${this.peer} refused the request: its rules for this key do not allow it, or not now; ask its administrator`
  }
}

/** The peer does not offer the service that this channel was opened for. */
export class NotOffered extends Data.TaggedError("NotOffered")<{
  readonly peer: string
  /** The opening that the client sent. */
  readonly opening: string
  /** The next step. */
  readonly hint?: string
}> {
  override get message(): string {
    return `${this.peer} does not offer "${shown(this.opening)}"; ${this.hint ?? "ask its administrator"}`
  }
}

/** The peer did not answer PINGs, or took no bytes for `limits.stalledKeepalives`. */
export class PeerDead extends Data.TaggedError("PeerDead")<{ readonly peer: string }> {
  override get message(): string {
    return `${this.peer} no longer responds`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

/** Every error with which a channel ends. */
export type ChannelError =
  | HandshakeFailed
  | StreamTruncated
  | ChannelTampered
  | ChannelClosed
  | ChannelRefused
  | NotOffered
  | PeerDead

const vanished: ReadonlySet<unknown> = new Set(["StreamTruncated", "PeerDead", "ConnectionLost"])

/**
 * True for the error of a peer that has vanished: its connection is lost, or it no longer responds.
 * On a server that is no fault, and is logged for debugging only.
 */
export const isVanished = (error: unknown): boolean =>
  Predicate.hasProperty(error, "_tag") && vanished.has(error._tag)

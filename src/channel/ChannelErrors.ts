import * as Data from "effect/Data"

/** Before READY: the other side went without a word, or did not finish in time. Whose fault, nobody is told. */
export class HandshakeFailed extends Data.TaggedError("HandshakeFailed")<{
  readonly peer: string
  /** For the log of this side: "decrypt failed", "closed", "deadline" … */
  readonly reason: string
  /** What to look at, where something is known of it. */
  readonly hint?: string
  /**
   * True when no server that refuses our keys ends it so: it went without a byte and sooner than any refusal, it said nothing in time, or it
   * had let us in. A balancer whose server is dead does that, and another attempt may succeed.
   */
  readonly transient?: boolean
}> {
  override get message(): string {
    const hint = this.hint ?? "do both sides hold the right keys, and is it a Sealwire server?"
    return `${this.peer} did not complete the handshake (${this.reason}); ${hint}`
  }
  /** A server that has accepted this client may stop in the middle of a later handshake. */
  get transientOnceConnected(): boolean {
    return true
  }
}

/** The stream ended, or was cut, before the peer said that it was whole. What was read is only a beginning. */
export class StreamTruncated extends Data.TaggedError("StreamTruncated")<{
  readonly peer: string
  readonly code: string
}> {
  override get message(): string {
    return `the stream from ${this.peer} was cut before its end (${this.code})`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

/** A record that does not open, or says what no peer that keeps to the protocol says. The channel is over. */
export class ChannelTampered extends Data.TaggedError("ChannelTampered")<{
  readonly peer: string
  readonly detail: string
}> {
  override get message(): string {
    return `what ${this.peer} sent was changed on the way, or breaks the protocol (${this.detail}); the connection was ended`
  }
}

/** The peer closed the channel before it was done, and said so. */
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

/** The peer, who knows us, does not allow what we want, or not so much of it. Why, it does not tell. */
export class ChannelRefused extends Data.TaggedError("ChannelRefused")<{ readonly peer: string }> {
  override get message(): string {
    return `${this.peer} refused this: its rules for our key do not allow it, or not now; ask who runs it`
  }
}

/** The peer does not do here what this channel was opened for. */
export class NotOffered extends Data.TaggedError("NotOffered")<{
  readonly peer: string
  /** What it was opened for. */
  readonly opening: string
  /** What to do about it. */
  readonly hint?: string
}> {
  override get message(): string {
    return `${this.peer} does not offer "${this.opening}"; ${this.hint ?? "ask who runs it"}`
  }
}

/** Nothing was heard, PINGs included. */
export class PeerDead extends Data.TaggedError("PeerDead")<{ readonly peer: string }> {
  override get message(): string {
    return `${this.peer} no longer answers`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

/** Every way a channel ends that is not a good end. */
export type ChannelError =
  | HandshakeFailed
  | StreamTruncated
  | ChannelTampered
  | ChannelClosed
  | ChannelRefused
  | NotOffered
  | PeerDead

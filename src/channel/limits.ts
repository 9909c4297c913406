// Every bound of the channel, by name. First what PROTOCOL.md fixes for both sides, then what is this side's own.

/** PROTOCOL.md. */
export const protocolLimits = {
  /** A Noise message, and so a frame's length field. Noise section 3. */
  messageBytes: 65_535,
  /** A record's plaintext: a Noise message less its tag. */
  recordBytes: 65_519,
  /** A record's body: plaintext less type and length. */
  bodyBytes: 65_516,
  /** The body of a client's READY: what it opens the channel for. A server's is empty. */
  openingBytes: 255,
  /** A CONTROL body. */
  controlBytes: 4096,
  /** Each direction rekeys after so many records. */
  recordsPerKey: 65_536,
  /** A session ends before this many records in one direction. */
  recordsPerSession: 2 ** 48,
  /** Server name and application protocol in the prologue. */
  nameBytes: 65_535
} as const

/** Ours. */
export const limits = {
  /** From accepting to the first byte. */
  firstByteDeadline: "5 seconds",
  /** From accepting to READY. */
  handshakeDeadline: "10 seconds",
  /** A refused stranger is let go at the next multiple of this after it came, so that every refusal takes the same time. */
  refusalQuantumMillis: 500,
  /** Shared keys that a server tries on one message 1. */
  sharedKeys: 8,
  /** Long-term keys that a server tries on one message 1. */
  identities: 4,
  /** Message 1s that opened, by which a replay is known to the gate. */
  rememberedFirstMessages: 8192,
  /** Connections without READY, in all. */
  halfOpen: 1024,
  /** Connections without READY from one address (IPv6: one /64). */
  halfOpenPerSource: 64,
  /** Opened bytes that wait for the application; above it the socket is not read. */
  unreadBytes: 256 * 1024,
  /** Records to one write of the socket. */
  recordsPerWrite: 8,
  /** Memory of full writes, half a MiB each, that all channels together keep for the next. */
  idleWriteBuffers: 8,
  /** Memory of gathered frames, 64 KiB each, that all channels together keep for the next. */
  idleFrameBuffers: 16,
  /** Silence after which a PING goes out. */
  keepalive: "25 seconds",
  /** Unanswered PINGs after which the peer is dead. */
  keepaliveMisses: 3,
  /** The same of a channel that is kept ready, for whoever takes it next: a PING at every look. */
  closeKeepalive: "5 seconds",
  closeKeepaliveMisses: 1,
  /** Keepalives in a row at which what waits to be written has not moved, after which the peer is dead: ten minutes. */
  stalledKeepalives: 24,
  /** How long a close waits for the peer's. */
  closeDeadline: "5 seconds"
} as const

// Limits of the channel: those of PROTOCOL.md, which hold for both sides, and those of this side.

/** Limits that PROTOCOL.md fixes for both sides. */
export const protocolLimits = {
  /**
   * Length of a Noise message, in bytes, and so the maximum of a frame's length field. Noise
   * section 3.
   */
  messageBytes: 65_535,
  /** Length of a record's plaintext: a Noise message less its tag. */
  recordBytes: 65_519,
  /** Length of a record's body: the plaintext less type and length. */
  bodyBytes: 65_516,
  /** Length of the body of a client's READY, the opening. A server's is empty. */
  openingBytes: 255,
  /** Length of the body of CONTROL. */
  controlBytes: 4096,
  /** Records of one direction after which its key is changed. */
  recordsPerKey: 65_536,
  /** Records of one direction before which the session must end. */
  recordsPerSession: 2 ** 48,
  /** Length of the server name, and of the application protocol, in the prologue. */
  nameBytes: 65_535
} as const

/** Limits of this side. */
export const limits = {
  /** Time from accepting a connection to its first byte. */
  firstByteDeadline: "5 seconds",
  /** Time from accepting a connection to READY. */
  handshakeDeadline: "10 seconds",
  /**
   * A server closes a connection that it rejects at the next multiple of this many milliseconds
   * after accepting it, so that the time does not reveal the reason.
   */
  refusalQuantumMillis: 500,
  /**
   * A client takes a close for a rejection from this many milliseconds before the first multiple
   * on: clocks are rounded, run at different speeds, and let a timer fire early.
   */
  refusalMarginMillis: 50,
  /** Shared keys that a server tries for one message 1. */
  sharedKeys: 8,
  /** Long-term keys that a server tries for one message 1. */
  identities: 4,
  /** Valid first messages that a process remembers, to detect replays. */
  rememberedFirstMessages: 8192,
  /** Connections without READY, per server. */
  halfOpen: 1024,
  /**
   * Connections without READY from one source: an IPv4 address or an IPv6 /64. Clients of a Unix
   * socket have no source.
   */
  halfOpenPerSource: 64,
  /** Decrypted bytes that the program has not read, above which the socket is not read. */
  unreadBytes: 256 * 1024,
  /** Records in one write to the socket. */
  recordsPerWrite: 8,
  /** Buffers of full writes, half a MiB each, that all channels together keep for reuse. */
  idleWriteBuffers: 8,
  /** Buffers of frames, 64 KiB each, that all channels together keep for reuse. */
  idleFrameBuffers: 16,
  /** Time between two checks; a check after which nothing has arrived sends PING. */
  keepalive: "25 seconds",
  /** Unanswered PINGs after which the peer counts as dead. */
  keepaliveMisses: 3,
  /** The same for an idle channel of a pool. Here every check sends PING. */
  idleKeepalive: "5 seconds",
  idleKeepaliveMisses: 1,
  /** Time in which a peer that is asked for a sign of life must answer, and between two looks. */
  probeMillis: 3000,
  probeStepMillis: 50,
  /**
   * Successive checks without any progress in sending, after which the peer counts as dead: 10
   * minutes.
   */
  stalledKeepalives: 24,
  /** Time that a close waits for the end of the peer's byte stream. */
  closeDeadline: "5 seconds"
} as const

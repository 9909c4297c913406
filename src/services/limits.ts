/** The limits of a server, and of one peer over all its sessions. PEERS.md section 6. */
export const limits = {
  /**
   * Default number of open connections of one peer; never more than half of the connections that
   * the listener has.
   */
  peerConnections: 256,
  /** Connections over that number that are told so at the same time; further ones are reset. */
  refusedConnections: 16,
  /**
   * Default number of bytes that the server holds for the unfinished requests of one peer: messages
   * that are not handled yet, and manifests. The longest manifest needs less.
   */
  peerMemory: 256 * 1024 * 1024,
  /** Bytes that a session may hold without a reservation: a record, and a little more. */
  unreservedBytes: 128 * 1024,
  /** Time that a request waits for memory that other sessions of its peer hold. */
  memoryDeadline: "30 seconds",
  /**
   * Age in milliseconds from which on a channel begins no further session: it bounds how much one
   * pair of keys has sealed, and how long a key that has retired is used.
   */
  reuseMillis: 120_000,
  /** Events of a server that wait for a reader of `Server.events`. */
  pendingEvents: 1024,
  /** Longest pause of a stream that exceeds its bytes per minute, in milliseconds. */
  throttleMillis: 1000
} as const

/** The limits of inboxes. */
export const limits = {
  /**
   * Messages per transaction. SQLite blocks this thread: 512 messages of 100 bytes take about 10
   * ms.
   */
  transactionMessages: 512,
  /** Bytes of text per transaction. A single message may be longer. */
  transactionBytes: 4 * 1024 * 1024,
  /** Bytes of text that wait for a transaction, over all sessions. Sessions with more wait. */
  queuedBytes: 64 * 1024 * 1024,
  /**
   * Milliseconds that this thread blocks while another process holds SQLite's write lock. Our own
   * transactions hold it for milliseconds.
   */
  busyMillis: 50,
  /**
   * Time to retry while another process holds the lock before messages are refused, and the pause
   * between attempts.
   */
  lockTimeoutMillis: 5000,
  lockRetryInterval: "20 millis",
  /** Timeout of a connection attempt to PostgreSQL. */
  connectMillis: 5000,
  /** Timeout of a statement in PostgreSQL. */
  statementMillis: 10_000,
  /**
   * Longest silence of PostgreSQL: longer than `statementMillis`, so that its own timeout error can
   * arrive.
   */
  responseMillis: 15_000,
  /** Connections of one server to PostgreSQL. */
  connections: 4,
  /** Messages per lease request, and bytes of text in them. A single message may be longer. */
  leaseMessages: 256,
  leaseBytes: 16 * 1024 * 1024,
  /**
   * Rows that `prune` deletes or looks at per transaction, and bytes of text in them (a single text
   * may be longer). A transaction takes some tens of milliseconds.
   */
  prunedMessages: 1024,
  prunedBytes: 4 * 1024 * 1024,
  /** Pause between two transactions of `prune`, in which senders get SQLite's write lock. */
  prunePause: "20 millis",
  /** The largest depth that is reported: the database counts the messages on every request. */
  countedMessages: 1_000_000,
  /** Pause between two looks for new messages by a consumer that waits. */
  pollInterval: "500 millis",
  /** Default time limit of a command for one message. */
  execDeadline: "60 seconds",
  /**
   * Default number of commands that run at the same time, over all sessions; each session runs one.
   */
  execConcurrency: 16,
  /** Part of these commands that one peer may have; at least one. */
  execShare: 0.75,
  /** Characters of an output line of a command that are logged, and lines per run. */
  execLineCharacters: 1000,
  execLines: 100
} as const

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
  /** Bytes of a disk that messages never take: a consumer needs them to acknowledge others. */
  spareBytes: 128 * 1024,
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
  /** Default duration of a lease, and the part of it after which a worker renews it. */
  lease: "1 minute",
  renewAfter: 1 / 3,
  /** Default number of failed attempts after which a message is a dead letter. */
  attempts: 10,
  /**
   * Pause after the first failed attempt, in milliseconds. It doubles with each further failure;
   * jitter takes up to half of it. The ten attempts of the default take up to 9 minutes.
   */
  firstPauseMillis: 1000,
  longestPauseMillis: 600_000,
  /** Characters of the error that is stored with a message. */
  errorCharacters: 500,
  /** Default number of messages that `inbox work` handles at the same time, and the largest. */
  workConcurrency: 4,
  maxWorkConcurrency: 256,
  /**
   * Pause of a waiting worker after the first failure to read the inbox, in milliseconds; it
   * doubles. The worker ends with the error when the inbox stays unavailable for so long.
   */
  firstOutagePause: 250,
  longestOutagePause: 10_000,
  outageMillis: 300_000,
  /** Longest time to release a message whose handler was interrupted. */
  releaseTimeout: "1 second",
  /**
   * Longest time of a statement that migrates the tables of a PostgreSQL inbox, in milliseconds:
   * it makes an index over all messages.
   */
  migrationMillis: 600_000,
  /** Default time limit of a command for one message. */
  execDeadline: "60 seconds",
  /**
   * Default number of commands that run at the same time, over all sessions; each session runs one.
   */
  execConcurrency: 16,
  /** Part of these commands that one peer may have; at least one. */
  execShare: 0.75,
  /** Characters of an output line of a command that are logged, and lines per run before the last. */
  execLineCharacters: 1000,
  execLines: 100
} as const

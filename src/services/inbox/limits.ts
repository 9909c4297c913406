/** Every bound of the inboxes, by name. */
export const limits = {
  /** Messages in one transaction: SQLite works on this thread, and so many of 100 bytes keep it for some 10 ms. */
  transactionMessages: 512,
  /** Bytes of text in one transaction; a single message may be as long as messages are. */
  transactionBytes: 4 * 1024 * 1024,
  /** Bytes of text that wait for a transaction, of all sessions together; who comes with more waits until there is room. */
  queuedBytes: 64 * 1024 * 1024,
  /** How long this thread stops for another process that holds SQLite's write lock; ours hold it for milliseconds. */
  busyMillis: 50,
  /** How long another may hold it before messages are refused, and the pauses in which this process goes on meanwhile. */
  lockedMillis: 5000,
  lockedPause: "20 millis",
  /** How long PostgreSQL may take to let us in. */
  connectMillis: 5000,
  /** How long PostgreSQL may take for one statement. */
  statementMillis: 10_000,
  /** How long nothing at all may come from it; longer, so that it can say itself that it took too long. */
  answerMillis: 15_000,
  /** Connections of one server to PostgreSQL. */
  connections: 4,
  /** Messages that are read in one go, and bytes of text in them; a single message may be longer. */
  leaseMessages: 256,
  leaseBytes: 16 * 1024 * 1024,
  /** Up to how many messages an inbox says how many it has: it counts them each time. */
  counted: 1_000_000,
  /** How often who waits for messages looks again. */
  waitPause: "500 millis",
  /** How long a command may take for one message, unless told otherwise. */
  execDeadline: "60 seconds",
  /** Commands that run at once, unless told otherwise: one for each session, and so many in all. */
  execAtOnce: 16,
  /** Characters of one line of a command's output that are logged, and lines of one run. */
  execLineCharacters: 1000,
  execLines: 100
} as const

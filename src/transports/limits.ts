import { readFileSync } from "node:fs"

/** Limits of the transports. */
export const limits = {
  /** Bytes read ahead of the reader, per connection. */
  readAheadBytes: 256 * 1024,
  /** Most bytes of one read of a socket: the buffer that all sockets of a process share. */
  readBytes: 256 * 1024,
  /** Most bytes that one `Connection.read` returns. */
  chunkBytes: 64 * 1024,
  /**
   * Chunks read ahead, per connection: each costs about 100 bytes of overhead, and a peer may send
   * single bytes.
   */
  readAheadChunks: 1024,
  /**
   * Bytes queued for the kernel, per connection, above which a writer waits. With Node's default of
   * 16 KiB a writer would wait after every full record.
   */
  writeBufferBytes: 128 * 1024,
  /** Deadline of a connection attempt, all addresses of a name together. */
  connectDeadline: "10 seconds",
  /** Milliseconds after which the next address of a name is tried (RFC 8305 section 5). */
  connectAttemptMillis: 250,
  /** Milliseconds between attempts to reach a Unix socket whose queue of connections is full. */
  fullQueuePauseMillis: 50,
  /** Most addresses of one name that are tried. */
  connectAddresses: 16,
  /**
   * Milliseconds of silence before the kernel sends a TCP keepalive probe; its default of two hours
   * is too long.
   */
  keepAliveDelayMillis: 60_000,
  /** Time that closing waits for a peer to take the bytes already written. */
  closeDeadline: "5 seconds",
  /** Time that a closing listener waits for its open connections. */
  drainDeadline: "10 seconds",
  /**
   * Milliseconds of real time that a release waits at most for its peers under another clock than
   * the system's, such as a TestClock, which nobody may advance any more.
   */
  virtualReleaseMillis: 1000,
  /**
   * Milliseconds that the owner of a Unix socket file has to respond; a slow owner keeps the file.
   */
  staleProbeMillis: 1000,
  /**
   * Length of the kernel's queue of connections that are not accepted yet; Linux takes 4,096 at most
   * by default. A full queue drops a client's SYN, which costs it a second.
   */
  backlog: 4096,
  /** Concurrent connections per listener, unless the descriptor limit or the program sets fewer. */
  connections: 10_000,
  /**
   * Interval of the reports about events that strangers cause: after the first of a group, its
   * others are counted.
   */
  reportInterval: "1 minute",
  /** Groups of such events that are told apart; the others are counted together. */
  reportGroups: 1024,
  /** Keys of one source that have a report of their own in an interval. */
  reportKeysPerSource: 16,
  /** Keys of all sources that have one: fewer than there are groups, for sources without a key. */
  reportKeys: 256,
  /** File descriptors kept free for files, name resolution and the program's own connections. */
  reservedDescriptors: 64
} as const

/** Returns the number of connections that fit below the file-descriptor limit of this process. */
export const connectionsBelowDescriptorLimit = (): number =>
  Math.max(1, Math.min(limits.connections, descriptorLimit() - limits.reservedDescriptors))

const descriptorLimit = (): number => {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // Not Linux; 256 is the default soft limit of macOS.
    return 256
  }
}

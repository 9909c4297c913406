// Every limit of a transfer, by name: first the ones TRANSFER.md fixes for both sides, then the
// ones this implementation chose.

/** Limits of TRANSFER.md. */
export const protocolLimits = {
  /** Longest body of a frame, in bytes; SMALLFILE may have 36 more. */
  frameBytes: 1024 * 1024,
  /** Size of a piece, the unit of digests and BYTES frames; also the largest SMALLFILE. */
  pieceBytes: 1024 * 1024,
  /** Size of a block, the unit of resuming: eight pieces. */
  blockBytes: 8 * 1024 * 1024,
  /** Most entries of one manifest. */
  entries: 262_144,
  /** Most bytes of one manifest. */
  manifestBytes: 32 * 1024 * 1024,
  /** Longest name of a file or folder, in bytes: the limit of most file systems (NAME_MAX). */
  nameBytes: 255,
  /** Longest path, in bytes: PATH_MAX of Linux without its NUL. */
  pathBytes: 4095,
  /** Most names in one path. */
  depth: 128,
  /** Longest target of a symbolic link, in bytes. */
  targetBytes: 4095,
  /** Largest file: 8 TiB. */
  fileBytes: 8 * 1024 ** 4,
  /** Most paths that one PULL requests. */
  pullNames: 1024,
  /** Most entries that are answered before the sender has acted on them. */
  answersAhead: 4096,
  /** Most digests of these entries, unless a single file has more: 512 GiB of files. */
  digestsAhead: 65_536
} as const

/** Limits of this implementation. */
export const limits = {
  /** Small frames are joined up to this many bytes before they are written. */
  batchBytes: 256 * 1024,
  /** Files up to this size are read and written in one synchronous call. */
  smallBytes: 64 * 1024,
  /**
   * Time in milliseconds after which a change of a file gives it another ctime. Kernels set it from
   * a clock that ticks every 10 ms or more often; some file systems round it to one or two seconds.
   */
  fileTickMillis: 20,
  wholeSecondTickMillis: 2000,
  /** Buffers of one piece each that one side of a session uses in turn. */
  pieceBuffers: 3,
  /** Most written files that wait for one flush. */
  commitFiles: 2048,
  /** Time that written files wait for more before they are flushed. */
  commitDelay: "40 millis",
  /**
   * Age of the last change, in milliseconds, from which a file that is there counts as flushed:
   * systems write changes to the disk within a minute.
   */
  unflushedMillis: 600_000,
  /** Most flushes of files that run at the same time, and as many of directories. */
  flushes: 8,
  /** Most directories that are kept open. */
  openDirectories: 64,
  /** Entries that are processed before the event loop gets a turn. */
  entriesPerTurn: 256,
  /** Paths that are sorted or merged before the event loop gets a turn. */
  sortedPerTurn: 2048,
  /** Age in milliseconds after which a partial small file counts as abandoned. */
  leftoverMillis: 60_000,
  /** Attempts to lock a partial file that another session seems to hold. */
  lockAttempts: 4,
  /** Longest pause between those, in milliseconds. */
  lockPauseMillis: 20,
  /** Pauses between attempts to get a partial file that another session of the peer writes. */
  firstLockPauseMillis: 20,
  longestLockPauseMillis: 1000,
  /** Time in milliseconds without progress after which that session is ended. */
  stalledMillis: 120_000,
  /** The same for a session of another process, after which the file is busy. */
  foreignStalledMillis: 5000,
  /**
   * Time for which a client tries again while a file is busy, by default. Longer than a channel
   * takes to notice a dead peer: a server of another process may have it.
   */
  busyPatience: "150 seconds",
  /** Age in milliseconds from which a lock counts as stale that cannot be asked. */
  lockStaleMillis: 120_000,
  /** Time in milliseconds after which a held lock is marked as in use. */
  lockBeatMillis: 30_000,
  /** Most numbered names, `report (1).txt`, that are tried for a file whose name is taken. */
  renameAttempts: 1000,
  /** Bytes that a quota charges for each file, folder and link besides a file's content. */
  entryBytes: 4096,
  /** Bytes by which a folder may exceed its quota while small files replace others. */
  replacingBytes: 1024 * 1024,
  /**
   * Memory of a session besides its manifest, which counts against its peer: `pieceBuffers`, two
   * buffers for comparing, and one frame.
   */
  sessionMemory: 6 * 1024 * 1024,
  /** Memory of an entry of a manifest, and of each character of its path, in bytes. */
  entryMemory: 256,
  characterMemory: 4,
  /** Memory of the digest of a block that an answer has, in bytes. */
  digestMemory: 160
} as const

// Every bound of a transfer, by name. First what TRANSFER.md fixes for both sides, then what is this side's own.

/** TRANSFER.md. */
export const protocolLimits = {
  /** The body of a frame that is not WHOLE. */
  frameBytes: 1024 * 1024,
  /** What a file is digested by, and the most that WHOLE carries. */
  pieceBytes: 1024 * 1024,
  /** What a receiver proves that it has: eight pieces. */
  blockBytes: 8 * 1024 * 1024,
  /** Entries of one manifest, and bytes of it. */
  entries: 262_144,
  manifestBytes: 32 * 1024 * 1024,
  /** A name of a file or folder; what most file systems take. */
  nameBytes: 255,
  /** A path, and how many names it has. */
  pathBytes: 4095,
  depth: 128,
  /** Where a symbolic link leads. */
  targetBytes: 4095,
  /** The largest file: 8 TiB. */
  fileBytes: 8 * 1024 ** 4,
  /** Names that one pull asks for. */
  pullNames: 1024,
  /** Entries that are answered, and about which the sender has said nothing yet. */
  answersAhead: 4096,
  /** Digests of those entries, unless they are of one alone: 512 GiB of files. */
  digestsAhead: 65_536
} as const

/** Ours. */
export const limits = {
  /** Small frames are put together up to so many bytes. */
  batchBytes: 256 * 1024,
  /** Files up to here are read and written in one go; longer ones piece by piece, beside other work. */
  smallBytes: 64 * 1024,
  /** Buffers of one piece each that a side of a session uses in turn. */
  pieceBuffers: 3,
  /** Files whose content is written and that wait together for the disk, and their bytes. */
  commitFiles: 2048,
  /** How long files wait for others to be flushed with, while more are to come. */
  commitDelay: "40 millis",
  /** From so many files on, one flush of the whole file system is asked for in place of one for each. */
  flushTogether: 24,
  /** Folders that are kept open. */
  openDirectories: 64,
  /** Entries that are looked at before others have a turn. */
  entriesPerTurn: 256,
  /** An unfinished small file that is older was left behind, in milliseconds. */
  leftoverMillis: 60_000,
  /** Other names that are tried for a file whose name is taken. */
  renameAttempts: 1000,
  /** What a quota counts for each file, folder and link, besides the bytes of a file. */
  entryBytes: 4096,
  /** How long one flush of the disk may take before each file is flushed by itself. */
  flushDeadline: "60 seconds"
} as const

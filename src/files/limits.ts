/** Every bound of this room, by name. */
export const limits = {
  /** The header of a file. FORMAT.md. */
  headerBytes: 65_536,
  /** The stanzas of a header. FORMAT.md. */
  recipients: 256,
  /** What a file may ask of scrypt, from floor to ceiling: 32 MiB to 1 GiB, once. A stranger may have written it. FORMAT.md. */
  scrypt: { log2N: [15, 20], r: [8, 8], p: [1, 1] },
  /** Chunks that are read, sealed and written at once: 256 KiB, which stays in the cache. */
  pieceChunks: 16,
  /** What is read of a stream at once. */
  streamedBytes: 128 * 1024,
  /** Threads that seal or open a file. */
  threads: 2,
  /** Below this a file is done before a thread has started. */
  threadedBytes: 16 * 1024 * 1024,
  /** A file of public keys, in bytes. */
  keysFileBytes: 1024 * 1024
} as const

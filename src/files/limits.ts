/** The limits of this folder. */
export const limits = {
  /** Maximum length of a file's header. FORMAT.md. */
  headerBytes: 65_536,
  /** Maximum number of stanzas in a header. FORMAT.md. */
  recipients: 256,
  /**
   * Bounds of a file's scrypt parameters: 32 MiB to 1 GiB, once. An attacker may have written the
   * file. FORMAT.md.
   */
  scrypt: { log2N: [15, 20], r: [8, 8], p: [1, 1] },
  /** Chunks that are read, sealed and written at once: 256 KiB, which stays in the CPU cache. */
  batchChunks: 16,
  /** Bytes read at once from a file that is streamed. */
  streamReadBytes: 128 * 1024,
  /** Number of threads that seal or open a file. */
  threads: 2,
  /** Minimum length for threads: a shorter file is finished before a thread has started. */
  minThreadedBytes: 16 * 1024 * 1024,
  /** Maximum length of a file of public keys. */
  keysFileBytes: 1024 * 1024
} as const

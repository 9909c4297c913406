/**
 * The limits of this folder. The content of a key location is limited by `maxKeyText` (KeyText.ts).
 */
export const limits = {
  /** Time to read a key or a passphrase from a descriptor: a pipe may have no writer. */
  descriptorDeadline: "10 seconds",
  /** Time for a command to print a key: the user may have to touch a token. */
  commandDeadline: "30 seconds",
  /** Milliseconds between SIGTERM and SIGKILL for a command. */
  killMillis: 1000,
  /** Milliseconds after the exit of a command in which output of its descendants is read. */
  outputGraceMillis: 1000,
  /** Bytes kept from the end of a command's standard error. */
  errorOutputBytes: 4096,
  /** Characters shown of the last line of a command's standard error. */
  errorLineCharacters: 200,
  /** Time for the desktop's keyring to answer: the user may have to unlock it. */
  keyringDeadline: "60 seconds",
  /** Maximum length of a passphrase, in bytes. */
  passphraseBytes: 1024,
  /** Bounds of a protected key's scrypt parameters: 32 MiB to 2 GiB, up to four times. */
  scrypt: { log2N: [15, 20], r: [8, 16], p: [1, 4] }
} as const

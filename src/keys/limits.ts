/** Every bound of this room, by name. What is read from a place that keeps a key ends at `maxKeyText` (KeyText.ts). */
export const limits = {
  /** How long a file descriptor may take to give a key or a passphrase: a pipe may have nobody who writes. */
  descriptorDeadline: "10 seconds",
  /** How long a command may take to print a key: a person may have to touch a token. */
  commandDeadline: "30 seconds",
  /** How long a command that was told to stop (SIGTERM) may take before it is killed (SIGKILL). */
  killMillis: 1000,
  /** The part of a command's complaints that is kept, from the end, in bytes. */
  complaintBytes: 4096,
  /** The part of a command's last line that is shown, in characters. */
  complaintCharacters: 200,
  /** How long the desktop's keyring may take: a person may have to unlock it. */
  keyringDeadline: "60 seconds",
  /** The longest passphrase, in bytes. */
  passphraseBytes: 1024,
  /** What a protected key may ask of scrypt, from floor to ceiling: 32 MiB to 2 GiB, four times over at most. */
  scrypt: { log2N: [15, 20], r: [8, 16], p: [1, 4] }
} as const

/**
 * Encrypted files at rest: encryption for keys, people and passphrases, streams, and reads at any
 * position. FORMAT.md.
 *
 * @packageDocumentation
 */
export * from "./core.ts"
export * as EncryptedFile from "./files/EncryptedFile.ts"
export {
  FileExists,
  FileFromNewer,
  FileTampered,
  FileTruncated,
  FileUnreadable,
  FileUnwritable,
  NotEncrypted,
  NotForThisKey,
  RecipientRefused,
  type DamagedError
} from "./files/FileErrors.ts"
export * as Input from "./files/Input.ts"
export type { DecryptionKeys, WrapError } from "./files/Stanzas.ts"
export * as Output from "./files/Output.ts"
export { ByteCounter } from "./files/Payload.ts"
export * as RandomAccess from "./files/RandomAccess.ts"
export { Recipients } from "./files/Recipients.ts"

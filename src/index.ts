/**
 * Sealwire: encrypted, mutually authenticated messages, files and byte streams between programs that know each other's key.
 *
 * @packageDocumentation
 */
export { Cipher, DecryptFailed } from "./ciphers/Cipher.ts"
export type { CipherKind, Sealer } from "./ciphers/CipherKind.ts"
export { ciphers } from "./ciphers/ciphers.ts"
export {
  KeyExists,
  KeyFileMissing,
  KeyNotCreated,
  KeyRejected,
  KeyUnavailable,
  type KeyCreateError,
  type KeyLoadError,
  type Rejection
} from "./keys/KeyErrors.ts"
export { ClassicGcmKey, ClassicKey, kinds, type KeyKind } from "./keys/KeyKind.ts"
export { KeyStore } from "./keys/KeyStore.ts"
export { Secret } from "./bytes/Secret.ts"
export * as Classic from "./programs/Classic.ts"
export type { Accepted, Handler, ListenOptions } from "./transports/Acceptor.ts"
export * as Address from "./transports/Address.ts"
export type { Connection } from "./transports/Connection.ts"
export type { MemoryOptions } from "./transports/Memory.ts"
export { Transport } from "./transports/Transport.ts"
export { ConnectFailed, ConnectionLost, ListenFailed, PortInUse, type ConnectFailure } from "./transports/TransportErrors.ts"

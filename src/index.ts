/**
 * Sealwire: encrypted, mutually authenticated messages, files and byte streams between programs
 * that know each other's key. The stores of messages in SQLite and PostgreSQL are in sealwire/inbox
 * and sealwire/sql.
 *
 * @packageDocumentation
 */
export * from "./core.ts"
export * from "./files.ts"
export * from "./inboxCore.ts"
export * from "./messages.ts"
export * from "./transfer.ts"
export * from "./tunnel.ts"
export { Cipher, DecryptFailed } from "./classic/Cipher.ts"
export type { CipherKind, KeyedCipher } from "./classic/CipherKind.ts"
export { ciphers } from "./classic/ciphers.ts"
export * as Classic from "./classic/Classic.ts"
export * as Pairing from "./services/pairing/Pairing.ts"
export * as RpcRules from "./services/rpc/rules.ts"

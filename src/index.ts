/**
 * Sealwire: encrypted, mutually authenticated messages, files and byte streams between programs that know each other's key.
 *
 * @packageDocumentation
 */
export * as Channel from "./channel/Channel.ts"
export {
  ChannelClosed,
  ChannelRefused,
  ChannelTampered,
  HandshakeFailed,
  NotOffered,
  PeerDead,
  ServerKeyChanged,
  StreamTruncated,
  type ChannelError
} from "./channel/ChannelErrors.ts"
export type { Agreement, ClientKeys, Guest, NamedKey, ServerKeys } from "./channel/Handshake.ts"
export type { Protocol } from "./noise/Protocol.ts"
export type { Pattern, Token } from "./noise/Pattern.ts"
export * as Padding from "./channel/Padding.ts"
export * as Plain from "./channel/Plain.ts"
export { suiteFor, suites, type Suite } from "./channel/Suite.ts"
export { Cipher, DecryptFailed } from "./ciphers/Cipher.ts"
export type { CipherKind, Sealer } from "./ciphers/CipherKind.ts"
export { ciphers } from "./ciphers/ciphers.ts"
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
export type { Keys, LockError } from "./files/Lock.ts"
export * as Output from "./files/Output.ts"
export { Meter } from "./files/Payload.ts"
export * as RandomAccess from "./files/RandomAccess.ts"
export { To } from "./files/To.ts"
export {
  KeyExists,
  KeyFileMissing,
  KeyNotCreated,
  KeyNotReplaced,
  KeyReferenceInvalid,
  KeyRejected,
  KeyUnavailable,
  PassphraseRefused,
  type KeyCreateError,
  type KeyLoadError,
  type Rejection
} from "./keys/KeyErrors.ts"
export { ClassicGcmKey, ClassicKey, FileKey, Identity, kinds, SharedKey, type KeyKind } from "./keys/KeyKind.ts"
export type { Place, Provider } from "./keys/Provider.ts"
export * as KeyText from "./keys/KeyText.ts"
export * as KeyPair from "./keys/KeyPair.ts"
export { KeyStore } from "./keys/KeyStore.ts"
export { Passphrase } from "./keys/Passphrase.ts"
export { PeerList } from "./keys/PeerList.ts"
export { parseAuthorized, parseKnown, PeersInvalid, type AuthorizedPeer, type KnownPeer } from "./keys/Peers.ts"
export * as PublicKey from "./keys/PublicKey.ts"
export * as Rules from "./keys/Rules.ts"
export * as Code from "./bytes/Code.ts"
export { Secret } from "./bytes/Secret.ts"
export * as Outbox from "./programs/Outbox.ts"
export { OutboxElsewhere, OutboxFailed, OutboxWaits } from "./programs/OutboxErrors.ts"
export type { ServerKey } from "./programs/Announcement.ts"
export * as Classic from "./programs/Classic.ts"
export * as Client from "./programs/Client.ts"
export { Delivery, Undelivered } from "./programs/Delivery.ts"
export type { Retry } from "./programs/Retry.ts"
export { Inbox, InboxMessages, type Taken, type TakeOptions } from "./programs/Inbox.ts"
export { InboxRefused, InboxUnusable } from "./programs/InboxErrors.ts"
export type { Incoming, Store } from "./programs/Store.ts"
export type { Depth, Stored, StoredMessages } from "./programs/Stored.ts"
export type { Options as ExecOptions } from "./programs/ExecInbox.ts"
export type { DialOptions, OnServerKeys } from "./programs/Dial.ts"
export * as Files from "./programs/Files.ts"
export * as Transfer from "./programs/Transfer.ts"
export { Folders } from "./programs/transfer/Folder.ts"
export { Survey, type Item } from "./programs/transfer/Source.ts"
export type { Entry as FileEntry } from "./programs/transfer/Manifest.ts"
export type { Progress as TransferProgress } from "./programs/transfer/Progress.ts"
export { DiskFailed, TransferStopped } from "./programs/transfer/TransferErrors.ts"
export { NotTaken, ReplyLost } from "./programs/MessageErrors.ts"
export type { Message } from "./programs/MessageFrame.ts"
export * as Messages from "./programs/Messages.ts"
export * as Pair from "./programs/Pair.ts"
export { Expelled, RefusedByRules, Roster, type Seat } from "./programs/Roster.ts"
export * as Server from "./programs/Server.ts"
export { NotServed, type Counted, type Sender, type Service, type Session, type SessionError } from "./programs/Service.ts"
export { TunnelIdle } from "./programs/Splice.ts"
export * as Tunnel from "./programs/Tunnel.ts"
export * as TunnelClient from "./programs/TunnelClient.ts"
export * as TunnelPool from "./programs/TunnelPool.ts"
export { acceptor, type Accepted, type Acceptor, type Handler, type ListenOptions } from "./transports/Acceptor.ts"
export * as Address from "./transports/Address.ts"
export { fromWire, type Connection, type Flow, type Sink, type Wire } from "./transports/Connection.ts"
export type { Cut, MemoryOptions } from "./transports/Memory.ts"
export { Transport, type ConnectOptions } from "./transports/Transport.ts"
export { ConnectFailed, ConnectionLost, ListenFailed, PortInUse, type ConnectFailure } from "./transports/TransportErrors.ts"

/**
 * Sealwire: encrypted, mutually authenticated messages, files and byte streams between programs
 * that know each other's key.
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
  StreamTruncated,
  type ChannelError
} from "./channel/ChannelErrors.ts"
export type {
  PrologueFields,
  AuthorizedClient,
  NamedSharedKey,
  ServerKeys
} from "./channel/HandshakeKeys.ts"
export type {
  CheckServer,
  ClientKeys,
  PairingCode,
  PinnedServer,
  ServerCredentials,
  SharedKeyOnly,
  UnpinnedServer
} from "./channel/ClientKeys.ts"
export type { Protocol } from "./noise/Protocol.ts"
export type { Pattern, Token } from "./noise/Pattern.ts"
export * as Padding from "./channel/Padding.ts"
export { suiteFor, suiteNamed, suites, type Suite, type SuiteName } from "./channel/Suite.ts"
export { Cipher, DecryptFailed } from "./classic/Cipher.ts"
export type { CipherKind, KeyedCipher } from "./classic/CipherKind.ts"
export { ciphers } from "./classic/ciphers.ts"
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
  type RejectionReason
} from "./keys/KeyErrors.ts"
export {
  ClassicGcmKey,
  ClassicKey,
  FileKey,
  Identity,
  kinds,
  SharedKey,
  type KeyKind
} from "./keys/KeyKind.ts"
export type { KeyLocation, Provider } from "./keys/Provider.ts"
export * as KeyText from "./keys/KeyText.ts"
export * as KeyPair from "./keys/KeyPair.ts"
export { KeyStore } from "./keys/KeyStore.ts"
export { Passphrase } from "./keys/Passphrase.ts"
export * as AuthorizedPeers from "./peers/AuthorizedPeers.ts"
export * as KnownPeers from "./peers/KnownPeers.ts"
export type { ServerKey } from "./peers/KnownPeers.ts"
export { ServerKeyChanged, ServerKeyWithdrawn, ServerUnknown } from "./peers/PeerErrors.ts"
export { PeersBusy } from "./peers/PeerLock.ts"
export { PeerList } from "./peers/PeerList.ts"
export {
  parseAuthorized,
  parseAuthorizedInTurns,
  parseKnown,
  PeersInvalid,
  type AuthorizedPeer,
  type KnownPeer
} from "./peers/Peers.ts"
export * as PublicKey from "./keys/PublicKey.ts"
export * as OptionSpec from "./peers/OptionSpec.ts"
export * as Rules from "./peers/Rules.ts"
export * as Code from "./bytes/Code.ts"
export { Secret } from "./bytes/Secret.ts"
export * as Outbox from "./services/inbox/Outbox.ts"
export { OutboxElsewhere, OutboxFailed, OutboxWaits } from "./services/inbox/OutboxErrors.ts"
export * as Classic from "./classic/Classic.ts"
export * as MessageClient from "./services/messages/MessageClient.ts"
export { Delivery, Undelivered } from "./services/messages/Delivery.ts"
export type { Retry } from "./services/Retry.ts"
export {
  Inbox,
  InboxMessages,
  type LeasedMessage,
  type ConsumeOptions
} from "./services/inbox/Inbox.ts"
export { InboxRefused, InboxUnusable } from "./services/inbox/InboxErrors.ts"
export type {
  HandlerFailure,
  IncomingMessage,
  MessageHandler
} from "./services/messages/MessageHandler.ts"
export { HandlingFailed, type Consequence, type Verdict } from "./services/inbox/Redelivery.ts"
export {
  failuresOf,
  type Deferral,
  type Depth,
  type LeaseOptions,
  type LeaseOrder,
  type StoredMessage,
  type StoredMessages
} from "./services/inbox/StoredMessage.ts"
export {
  WorkEvent,
  type Handle as HandleStored,
  type WorkOptions
} from "./services/inbox/Worker.ts"
export type { Options as ExecOptions } from "./services/inbox/ExecInbox.ts"
export { dial, type DialKeys, type DialOptions, type OnServerKeys } from "./services/Dial.ts"
export * as FileService from "./services/transfer/FileService.ts"
export * as FileClient from "./services/transfer/FileClient.ts"
export { SafeDirectories } from "./services/transfer/SafeDirectory.ts"
export { SafePath } from "./services/transfer/SafePath.ts"
export { FileWalker } from "./services/transfer/FileWalker.ts"
export type { SourceEntry } from "./services/transfer/SourceFile.ts"
export type { Entry as FileEntry } from "./services/transfer/Manifest.ts"
export { noProgress, type TransferProgress } from "./services/transfer/TransferProgress.ts"
export { DiskFailed, TransferStopped } from "./services/transfer/TransferErrors.ts"
export { MessageTooLong, NotTaken, ReplyLost } from "./services/messages/MessageErrors.ts"
export type { Message } from "./services/messages/MessageFrame.ts"
export * as MessageService from "./services/messages/MessageService.ts"
export * as Pairing from "./services/pairing/Pairing.ts"
export {
  Expelled,
  RefusedByRules,
  PeerSessions,
  type PeerSession
} from "./services/PeerSessions.ts"
export * as PeerReload from "./services/PeerReload.ts"
export * as Metrics from "./services/Metrics.ts"
export * as Credentials from "./services/Credentials.ts"
export * as Server from "./services/Server.ts"
export { ruleOptions, serviceNames } from "./services/builtin/index.ts"
export * as MessageRules from "./services/messages/rules.ts"
export * as RpcRules from "./services/rpc/rules.ts"
export { bytesPerMinute, spendBytes } from "./services/rules.ts"
export * as FileRules from "./services/transfer/rules.ts"
export * as TunnelRules from "./services/tunnel/rules.ts"
export * as ServerConnection from "./services/ServerConnection.ts"
export {
  NotServed,
  type Counters,
  type RemotePeer,
  type Service,
  type ServiceSession,
  type SessionError
} from "./services/Service.ts"
export { TunnelIdle } from "./services/tunnel/Splice.ts"
export * as TunnelService from "./services/tunnel/TunnelService.ts"
export * as TunnelClient from "./services/tunnel/TunnelClient.ts"
export * as ChannelPool from "./services/tunnel/ChannelPool.ts"
export {
  acceptor,
  type Accepted,
  type Acceptor,
  type Begin,
  type Continuation,
  type Handler,
  type ListenOptions
} from "./transports/Acceptor.ts"
export * as Address from "./transports/Address.ts"
export {
  Connection,
  fromWire,
  type Flow,
  type FlowListener,
  type Wire
} from "./transports/Connection.ts"
export type { SinkOptions } from "./transports/ByteStreams.ts"
export type { Cut, MemoryOptions } from "./transports/Memory.ts"
export { Transport } from "./transports/index.ts"
export type { ConnectOptions } from "./transports/Transport.ts"
export {
  ConnectFailed,
  ConnectionLost,
  ListenFailed,
  PortInUse,
  type ConnectFailure
} from "./transports/TransportErrors.ts"

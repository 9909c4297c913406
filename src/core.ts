/**
 * The modules that every subject needs: keys, peers, transports, the channel and its server. Each
 * entry point of a subject exports them, too.
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
export type { Retry } from "./services/Retry.ts"
export { dial, type DialKeys, type DialOptions, type OnServerKeys } from "./services/Dial.ts"
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
export { bytesPerMinute, spendBytes } from "./services/rules.ts"
export * as ServerConnection from "./services/ServerConnection.ts"
export {
  again,
  NotServed,
  type Counters,
  type RemotePeer,
  type Service,
  type ServiceSession,
  type SessionError
} from "./services/Service.ts"
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

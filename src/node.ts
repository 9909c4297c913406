/**
 * The API for programs without Effect: Node.js streams over the channel, and promises.
 *
 * @packageDocumentation
 */
export { type DuplexOptions, type Peer } from "./platform/ChannelDuplex.ts"
export {
  connect,
  listen,
  loadIdentity,
  loadSharedKey,
  type ConnectOptions,
  type Listening,
  type ListenOptions,
  type SecureDuplex
} from "./platform/NodeStreams.ts"
export { SealwireError, type Tagged } from "./platform/SealwireError.ts"
export * as Address from "./transports/Address.ts"
export * as KeyPair from "./keys/KeyPair.ts"
export * as Padding from "./channel/Padding.ts"
export * as PublicKey from "./keys/PublicKey.ts"
export { Secret } from "./bytes/Secret.ts"

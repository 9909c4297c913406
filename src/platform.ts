/**
 * Adapters for @effect/platform and @effect/rpc: their sockets and protocols, over the channel.
 *
 * @packageDocumentation
 */
export { Peer, peerOf, type PeerShape } from "./platform/Peer.ts"
export * as SecureRpc from "./platform/SecureRpc.ts"
export * as SecureSocket from "./platform/SecureSocket.ts"
export * as SecureSocketServer from "./platform/SecureSocketServer.ts"
export * as SocketTransport from "./platform/SocketTransport.ts"

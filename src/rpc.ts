/**
 * Rpcs of @effect/rpc over the channel: each handler knows its peer, and rules say what a peer may
 * call.
 *
 * @packageDocumentation
 */
export * from "./core.ts"
export { Peer, peerOf, type PeerShape } from "./platform/Peer.ts"
export * as SecureRpc from "./platform/SecureRpc.ts"
export * as RpcRules from "./services/rpc/rules.ts"

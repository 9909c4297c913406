/**
 * The adapter for @effect/cluster: its runners over the channel.
 *
 * @packageDocumentation
 */
export * as SecureCluster from "./platform/SecureCluster.ts"

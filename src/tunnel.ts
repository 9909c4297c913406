/**
 * TCP connections over a channel: the two ends of a tunnel. TUNNEL.md.
 *
 * @packageDocumentation
 */
export * from "./core.ts"
export * as TunnelRules from "./services/tunnel/rules.ts"
export { TunnelIdle } from "./services/tunnel/SpliceOptions.ts"
export * as TunnelService from "./services/tunnel/TunnelService.ts"
export * as TunnelClient from "./services/tunnel/TunnelClient.ts"
export * as ChannelPool from "./services/tunnel/ChannelPool.ts"
export { openReusable, type OpenFor } from "./services/tunnel/openReusable.ts"

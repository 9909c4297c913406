import { counter } from "../Metrics.ts"

/** The metrics of a tunnel, for each target, by the names of its session counters. */
export const metrics = {
  connections: counter("sealwire_tunnel_connections_total", "Connections through the tunnel."),
  bytesIn: counter("sealwire_tunnel_in_bytes_total", "Bytes sent to the target."),
  bytesOut: counter("sealwire_tunnel_out_bytes_total", "Bytes received from the target.")
} as const

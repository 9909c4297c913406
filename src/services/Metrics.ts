// What is counted of servers and tunnels: one table of names, for the /metrics page of `serve` and as metrics of Effect, which any exporter takes.
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"

interface Figure {
  readonly name: string
  readonly type: "gauge" | "counter"
  readonly help: string
}

const gauge = (name: string, help: string): Figure => ({ name, type: "gauge", help })
const counter = (name: string, help: string): Figure => ({ name, type: "counter", help })

/** No label names a peer: who may look at figures need not know who is there. */
export const metrics = {
  began: gauge("sealwire_start_time_seconds", "When the server began."),
  sessions: gauge("sealwire_sessions", "Peers that are in now."),
  halfOpen: gauge(
    "sealwire_half_open_connections",
    "Connections that have not shown who they are."
  ),
  allSessions: counter("sealwire_sessions_total", "Peers that came in."),
  failedSessions: counter(
    "sealwire_sessions_failed_total",
    "Sessions that ended before all was said."
  ),
  strangers: counter("sealwire_strangers_refused_total", "Connections that were refused."),
  messages: counter("sealwire_messages_total", "Messages that were handled."),
  messageBytes: counter("sealwire_message_bytes_total", "Bytes of those messages."),
  inboxReadable: gauge("sealwire_inbox_readable", "1 when the inbox can say how much is in it."),
  inboxMessages: gauge(
    "sealwire_inbox_messages",
    "Messages in the inbox that nobody has done with."
  ),
  inboxOldest: gauge(
    "sealwire_inbox_oldest_seconds",
    "How long the oldest of them has been there."
  ),
  filesStored: counter(
    "sealwire_files_stored_total",
    "Files that were taken, and are on the disk."
  ),
  fileBytesReceived: counter("sealwire_file_bytes_received_total", "Bytes of files that came."),
  filesSent: counter("sealwire_files_sent_total", "Files that were given."),
  fileBytesSent: counter("sealwire_file_bytes_sent_total", "Bytes of files that went."),
  tunnelConnections: counter("sealwire_tunnel_connections_total", "Connections through a tunnel."),
  tunnelBytesIn: counter("sealwire_tunnel_in_bytes_total", "Bytes towards its target."),
  tunnelBytesOut: counter("sealwire_tunnel_out_bytes_total", "Bytes from its target.")
} as const

export type Name = keyof typeof metrics

/** What is there now may go down, and several servers of one process add up. */
const sums = new Map(
  Object.entries(metrics).map(([name, { name: called, type, help }]) => [
    name,
    Metric.counter(called, { description: help, incremental: type === "counter" })
  ])
)

const gauges = new Map(
  Object.entries(metrics).map(([name, { name: called, help }]) => [
    name,
    Metric.gauge(called, { description: help })
  ])
)

/** So many more (or fewer, of what is there now). 30 ns: once a batch or piece, not once a byte. */
export const add = (name: Name, count: number): void => sums.get(name)?.unsafeUpdate(count, [])

/** As it is now. */
export const set = (name: Name, value: number): void => gauges.get(name)?.unsafeUpdate(value, [])

/** Adds to the figure of one target, whose names are the server's own. */
export const ofTarget = (name: Name, target: string): ((count: number) => void) => {
  const { name: called, help } = metrics[name]
  // A metric that is tagged looks its key up at each update; one of a tagged key does not.
  const key = MetricKey.tagged(
    MetricKey.counter(called, { description: help, incremental: true }),
    "target",
    target
  )
  const metric = Metric.fromMetricKey(key)
  return (count) => metric.unsafeUpdate(count, [])
}

// The status of a running server, collected from its events: open sessions and counters.
import { shown } from "../../bytes/excerpt.ts"
import * as Data from "effect/Data"
import * as Printable from "../../bytes/Printable.ts"
import { metrics, targetedServices } from "../../services/builtin/index.ts"
import type { NotReady } from "../../services/Readiness.ts"
import type { Distribution, Histogram, Metric } from "../../services/Metrics.ts"
import type { ServerEvent } from "../../services/Server.ts"
import type { Counters, RemotePeer } from "../../services/Service.ts"

/** The control socket sent no valid status within the limits of time and length. */
export class NoStatus extends Data.TaggedError("NoStatus")<{ readonly socket: string }> {
  override get message(): string {
    return `${shown(this.socket)} is not the control socket of a Sealwire server (serve --control)`
  }
}

/** The status at one moment, as `status --json` prints it. Times are milliseconds since 1970. */
export interface Snapshot {
  readonly pid: number
  readonly address: string
  readonly since: number
  /** The time of the snapshot. */
  readonly at: number
  /** Connections whose handshake is not finished. */
  readonly halfOpen: number
  readonly sessions: ReadonlyArray<{
    readonly peer: string
    readonly from: string
    readonly suite: string
    readonly service: string
    readonly since: number
    /** The counters of its service so far: { messages: 3, bytes: 12 }. */
    readonly counted: Readonly<Counters>
  }>
  readonly total: { readonly sessions: number; readonly refused: number; readonly failed: number }
  /** The sums of all sessions, open ones included, by service. */
  readonly counted: Readonly<Record<string, Readonly<Counters>>>
  /**
   * The pending messages in the inbox, the arrival of the oldest, and the dead letters, or why the
   * inbox is unavailable.
   */
  readonly inbox?:
    | { readonly messages: number; readonly oldest?: number; readonly dead: number }
    | { readonly fault: string }
  /** Why it cannot do its work; empty when it is ready. */
  readonly notReady: ReadonlyArray<NotReady<string>>
}

interface OpenSession {
  readonly service: string
  readonly since: number
  readonly counted: Readonly<Counters>
}

export class Status {
  readonly #since = Date.now()
  readonly #sessions = new Map<RemotePeer, OpenSession>()
  readonly #total = { sessions: 0, refused: 0, failed: 0 }
  /** Counters of ended sessions, by service. */
  readonly #ended = new Map<string, Counters>()
  #address = ""
  #halfOpen = () => 0

  /** Records an event of the server. */
  record(
    event: ServerEvent,
    format: (address: Extract<ServerEvent, { readonly _tag: "Listening" }>["address"]) => string
  ): void {
    switch (event._tag) {
      case "Listening":
        // Several tunnels of one process listen on several addresses.
        this.#address = [
          ...(this.#address === "" ? [] : [this.#address]),
          format(event.address)
        ].join(", ")
        this.#halfOpen = event.halfOpen
        return
      case "Stopping":
        return
      case "SessionStarted":
        this.#total.sessions++
        this.#sessions.set(event.sender, {
          service: event.service,
          since: Date.now(),
          counted: event.counted
        })
        return
      case "SessionEnded":
        if (event.error !== undefined) this.#total.failed++
        this.#sessions.delete(event.sender)
        if (Object.keys(event.counted).length > 0)
          this.#ended.set(event.service, add(this.#ended.get(event.service) ?? {}, event.counted))
        return
      case "ConnectionRefused":
        this.#total.refused++
    }
  }

  snapshot(inbox: Snapshot["inbox"], notReady: Snapshot["notReady"] = []): Snapshot {
    return {
      pid: process.pid,
      address: this.#address,
      since: this.#since,
      at: Date.now(),
      halfOpen: this.#halfOpen(),
      sessions: [...this.#sessions].map(([{ peer, from, suite }, { service, since, counted }]) => {
        return { peer, from, suite, service, since, counted: { ...counted } }
      }),
      total: { ...this.#total },
      counted: this.#counted,
      ...(inbox === undefined ? {} : { inbox }),
      notReady
    }
  }

  get #counted(): Snapshot["counted"] {
    const all = new Map(this.#ended)
    for (const { service, counted } of this.#sessions.values())
      if (Object.keys(counted).length > 0) all.set(service, add(all.get(service) ?? {}, counted))
    return Object.fromEntries(all)
  }
}

const add = (one: Readonly<Counters>, other: Readonly<Counters>): Counters => {
  const sum: Counters = { ...one }
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + count
  return sum
}

/**
 * Formats a snapshot in the text format of Prometheus (0.0.4). No label names a peer: metrics do
 * not reveal peers.
 */
export const formatMetrics = (snapshot: Snapshot): string =>
  Object.entries(metrics)
    .map(([part, table]) => {
      if (part === "server")
        return `${upSamples(snapshot)}${buildInfo}${samples(serverRows(snapshot))}`
      if (part === "inbox") return samples(inboxRows(snapshot))
      return targetedServices.includes(part)
        ? targetSamples(part, table, snapshot)
        : samples(counterRows(table, snapshot.counted[part]))
    })
    .join("")

type Table = Readonly<Record<string, Metric>>
type Row = readonly [metric: Metric, value: number | Distribution]

declare const SEALWIRE_VERSION: string | undefined

/** The build writes the version of the package into the command; the sources alone have none. */
const version = typeof SEALWIRE_VERSION === "string" ? SEALWIRE_VERSION : "unknown"

const buildInfo =
  `${headerOf(metrics.server.buildInfo)}\n` +
  `${metrics.server.buildInfo.name}{version="${version}",node="${process.versions.node}"} 1\n`

/** One sample for each reason why the server is not ready: 0. Without one: 1, reason "ready". */
const upSamples = ({ notReady }: Snapshot): string => {
  const { up } = metrics.server
  const reasons = [...new Set(notReady.map(({ reason }) => reason))]
  const rows =
    reasons.length === 0 ? [["ready", 1] as const] : reasons.map((reason) => [reason, 0] as const)
  return [
    headerOf(up),
    ...rows.map(([reason, value]) => `${up.name}{reason="${reason}"} ${value}`),
    ""
  ].join("\n")
}

const serverRows = ({ since, halfOpen, sessions, total }: Snapshot): ReadonlyArray<Row> => {
  const { server } = metrics
  return [
    [server.startTime, since / 1000],
    [server.sessions, sessions.length],
    [server.halfOpen, halfOpen],
    [server.handshake, server.handshake.current()],
    [server.sessionsStarted, total.sessions],
    [server.sessionsFailed, total.failed],
    [server.connectionsRefused, total.refused]
  ]
}

/** One row per metric of a service; its key is the name of the counter (`sessionCounter`). */
const counterRows = (table: Table, counters: Readonly<Counters> = {}): ReadonlyArray<Row> =>
  Object.entries(table).map(([name, metric]) => [
    metric,
    isHistogram(metric) ? metric.current() : (counters[name] ?? 0)
  ])

const isHistogram = (metric: Metric): metric is Histogram => metric.type === "histogram"

const inboxRows = ({ inbox, at }: Snapshot): ReadonlyArray<Row> => {
  const { readable, messages, oldest, dead } = metrics.inbox
  if (inbox === undefined) return []
  if ("fault" in inbox) return [[readable, 0]]
  return [
    [readable, 1],
    [messages, inbox.messages],
    [oldest, inbox.oldest === undefined ? 0 : Math.max(0, at - inbox.oldest) / 1000],
    [dead, inbox.dead]
  ]
}

const samples = (rows: ReadonlyArray<Row>): string =>
  rows
    .map(([metric, value]) =>
      typeof value === "number"
        ? `${headerOf(metric)}\n${metric.name} ${value}\n`
        : distributionSamples(metric, value)
    )
    .join("")

const distributionSamples = (metric: Metric, { buckets, count, sum }: Distribution): string => {
  const { name } = metric
  const bounded = [
    ...buckets.map(([bound, within]) => [String(bound), within] as const),
    ["+Inf", count] as const
  ]
  return [
    headerOf(metric),
    ...bounded.map(([bound, within]) => `${name}_bucket{le="${bound}"} ${within}`),
    `${name}_sum ${sum}`,
    `${name}_count ${count}`,
    ""
  ].join("\n")
}

function headerOf({ name, type, help }: Metric): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}`
}

/** One sample per target; the server chose the names of its targets. */
const targetSamples = (name: string, table: Table, { counted }: Snapshot): string => {
  const targets = Object.entries(counted).flatMap(([service, counters]) =>
    service === name || service.startsWith(`${name} `)
      ? [[service.slice(name.length + 1), counters] as const]
      : []
  )
  if (targets.length === 0) return ""
  return Object.entries(table)
    .map(([counter, metric]) =>
      [
        headerOf(metric),
        ...targets.map(
          ([target, counters]) => `${metric.name}{target="${target}"} ${counters[counter] ?? 0}`
        ),
        ""
      ].join("\n")
    )
    .join("")
}

/** Parses the answer of a control socket and escapes its texts; undefined for anything else. */
export const parseSnapshot = (line: string): Snapshot | undefined => {
  try {
    const { pid, address, since, at, halfOpen, sessions, total, counted, inbox, notReady } =
      JSON.parse(line) as Snapshot
    return {
      pid: Number(pid),
      address: printable(address),
      since: time(since),
      at: time(at),
      halfOpen: Number(halfOpen),
      sessions: sessions.map((session) => {
        const { peer, from, suite, service } = session
        return {
          peer: printable(peer),
          from: printable(from),
          suite: printable(suite),
          service: printable(service),
          since: time(session.since),
          counted: counts(session.counted)
        }
      }),
      total: {
        sessions: Number(total.sessions),
        refused: Number(total.refused),
        failed: Number(total.failed)
      },
      counted: Object.fromEntries(
        Object.entries(counted).map(([service, done]) => [printable(service), counts(done)])
      ),
      ...(inbox === undefined ? {} : { inbox: inboxOf(inbox) }),
      // A server of an earlier version does not say.
      notReady: ((notReady as Snapshot["notReady"] | undefined) ?? []).map(({ reason, text }) => ({
        reason: printable(reason),
        text: printable(text)
      }))
    }
  } catch {
    return undefined
  }
}

const inboxOf = (inbox: NonNullable<Snapshot["inbox"]>): NonNullable<Snapshot["inbox"]> =>
  "fault" in inbox
    ? { fault: printable(inbox.fault) }
    : {
        messages: Number(inbox.messages),
        dead: Number(inbox.dead ?? 0),
        ...(inbox.oldest === undefined ? {} : { oldest: time(inbox.oldest) })
      }

/** Throws for anything but an object. */
const counts = (counted: Readonly<Counters>): Counters =>
  Object.fromEntries(
    Object.entries(counted).map(([name, count]) => [printable(name), Number(count)])
  )

const printable = (text: unknown): string => Printable.line(String(text))

/** Throws for anything but a time. */
const time = (millis: unknown): number => new Date(new Date(Number(millis)).toISOString()).getTime()

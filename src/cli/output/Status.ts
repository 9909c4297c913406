// What a server that runs has done, and who is in: counted from what it tells.
import * as Data from "effect/Data"
import * as Printable from "../../bytes/Printable.ts"
import { metrics, type Name } from "../../services/Metrics.ts"
import type { ServerEvent } from "../../services/Server.ts"
import type { Counters, RemotePeer } from "../../services/Service.ts"

/** The server at a control socket sends no status of Sealwire, or none within the limits of time and length. */
export class NoStatus extends Data.TaggedError("NoStatus")<{ readonly socket: string }> {
  override get message(): string {
    return `nothing at ${Printable.line(this.socket)} answers as sealwire serve --control does; is it the right socket?`
  }
}

/** A snapshot, as `status --json` gives it. Times are milliseconds since 1970. */
export interface Snapshot {
  readonly pid: number
  readonly address: string
  readonly since: number
  /** When it was taken. */
  readonly at: number
  readonly halfOpen: number
  readonly sessions: ReadonlyArray<{
    readonly peer: string
    readonly from: string
    readonly suite: string
    readonly service: string
    readonly since: number
    /** What it has done so far, as its service counts: { messages: 3, bytes: 12 }. */
    readonly counted: Readonly<Counters>
  }>
  readonly total: { readonly sessions: number; readonly refused: number; readonly failed: number }
  /** What all sessions together have done, those that stand included, by service. */
  readonly counted: Readonly<Record<string, Readonly<Counters>>>
  /** Of an inbox that keeps messages: how many are in it and when the oldest came, or why that is not known. */
  readonly inbox?:
    | { readonly messages: number; readonly oldest?: number }
    | { readonly fault: string }
}

interface Standing {
  readonly service: string
  readonly since: number
  readonly counted: Readonly<Counters>
}

export class Status {
  readonly #since = Date.now()
  readonly #sessions = new Map<RemotePeer, Standing>()
  readonly #total = { sessions: 0, refused: 0, failed: 0 }
  /** By service, of sessions that have ended. */
  readonly #ended = new Map<string, Counters>()
  #address = ""
  #halfOpen = () => 0

  /** What the server tells. */
  record(
    event: ServerEvent,
    format: (address: Extract<ServerEvent, { readonly _tag: "Listening" }>["address"]) => string
  ): void {
    switch (event._tag) {
      case "Listening":
        // Several tunnels of one process listen in several places.
        this.#address = [
          ...(this.#address === "" ? [] : [this.#address]),
          format(event.address)
        ].join(", ")
        this.#halfOpen = event.halfOpen
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

  snapshot(inbox: Snapshot["inbox"]): Snapshot {
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
      ...(inbox === undefined ? {} : { inbox })
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
  for (const [what, count] of Object.entries(other)) sum[what] = (sum[what] ?? 0) + count
  return sum
}

/** In the text format of Prometheus. No label names a peer: who may look at figures need not know who is there. */
export const formatMetrics = ({
  since,
  at,
  halfOpen,
  sessions,
  total,
  counted,
  inbox
}: Snapshot): string =>
  texts([
    ["began", since / 1000],
    ["sessions", sessions.length],
    ["halfOpen", halfOpen],
    ["allSessions", total.sessions],
    ["failedSessions", total.failed],
    ["strangers", total.refused],
    ["messages", counted.message?.messages ?? 0],
    ["messageBytes", counted.message?.bytes ?? 0],
    ...inboxFigures(inbox, at),
    ["filesStored", counted.file?.files ?? 0],
    ["fileBytesReceived", counted.file?.bytes ?? 0],
    ["filesSent", counted.file?.filesSent ?? 0],
    ["fileBytesSent", counted.file?.bytesSent ?? 0]
  ]) + tunnelMetrics(counted)

type Row = readonly [name: Name, value: number]

const inboxFigures = (inbox: Snapshot["inbox"], at: number): ReadonlyArray<Row> => {
  if (inbox === undefined) return []
  if ("fault" in inbox) return [["inboxReadable", 0]]
  return [
    ["inboxReadable", 1],
    ["inboxMessages", inbox.messages],
    ["inboxOldest", inbox.oldest === undefined ? 0 : Math.max(0, at - inbox.oldest) / 1000]
  ]
}

const texts = (rows: ReadonlyArray<Row>): string =>
  rows.map(([name, value]) => `${headOf(name)}\n${metrics[name].name} ${value}\n`).join("")

const headOf = (of: Name): string => {
  const { name, type, help } = metrics[of]
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}`
}

/** One for each target, whose names are the server's own. */
const tunnelMetrics = (counted: Snapshot["counted"]): string => {
  const tunnels = Object.entries(counted).flatMap(([service, done]) =>
    service === "tunnel" || service.startsWith("tunnel ")
      ? [[service.slice("tunnel ".length), done] as const]
      : []
  )
  if (tunnels.length === 0) return ""
  return tunnelFigures
    .map(([name, what]) =>
      [
        headOf(name),
        ...tunnels.map(
          ([target, done]) => `${metrics[name].name}{target="${target}"} ${done[what] ?? 0}`
        ),
        ""
      ].join("\n")
    )
    .join("")
}

const tunnelFigures = [
  ["tunnelConnections", "connections"],
  ["tunnelBytesIn", "bytesIn"],
  ["tunnelBytesOut", "bytesOut"]
] as const

/** What an answer says, its texts made safe to show; undefined when it is no snapshot. */
export const parseSnapshot = (line: string): Snapshot | undefined => {
  try {
    const { pid, address, since, at, halfOpen, sessions, total, counted, inbox } = JSON.parse(
      line
    ) as Snapshot
    return {
      pid: Number(pid),
      address: shown(address),
      since: time(since),
      at: time(at),
      halfOpen: Number(halfOpen),
      sessions: sessions.map((session) => {
        const { peer, from, suite, service } = session
        return {
          peer: shown(peer),
          from: shown(from),
          suite: shown(suite),
          service: shown(service),
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
        Object.entries(counted).map(([service, done]) => [shown(service), counts(done)])
      ),
      ...(inbox === undefined ? {} : { inbox: inboxOf(inbox) })
    }
  } catch {
    return undefined
  }
}

const inboxOf = (inbox: NonNullable<Snapshot["inbox"]>): NonNullable<Snapshot["inbox"]> =>
  "fault" in inbox
    ? { fault: shown(inbox.fault) }
    : {
        messages: Number(inbox.messages),
        ...(inbox.oldest === undefined ? {} : { oldest: time(inbox.oldest) })
      }

/** Throws for what is no object. */
const counts = (counted: Readonly<Counters>): Counters =>
  Object.fromEntries(Object.entries(counted).map(([what, count]) => [shown(what), Number(count)]))

const shown = (text: unknown): string => Printable.line(String(text))

/** Throws for what is no time. */
const time = (millis: unknown): number => new Date(new Date(Number(millis)).toISOString()).getTime()

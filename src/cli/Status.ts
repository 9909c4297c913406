// What a server that runs has done, and who is in: counted from what it tells.
import * as Printable from "../bytes/Printable.ts"
import type { Sender, ServerEvent } from "../programs/Server.ts"

/** A snapshot, as `status --json` gives it. Times are milliseconds since 1970. */
export interface Snapshot {
  readonly pid: number
  readonly address: string
  readonly since: number
  readonly halfOpen: number
  readonly sessions: ReadonlyArray<{
    readonly peer: string
    readonly from: string
    readonly suite: string
    readonly since: number
    readonly messages: number
    readonly bytes: number
  }>
  readonly total: {
    readonly sessions: number
    readonly messages: number
    readonly bytes: number
    readonly refused: number
    readonly failed: number
  }
}

interface Counted {
  readonly sender: Sender
  readonly since: number
  messages: number
  bytes: number
}

export class Status {
  readonly #since = Date.now()
  readonly #sessions = new Map<Sender, Counted>()
  readonly #total = { sessions: 0, messages: 0, bytes: 0, refused: 0, failed: 0 }
  #address = ""
  #halfOpen = () => 0

  /** What the server tells. */
  hear(event: ServerEvent, format: (address: Extract<ServerEvent, { readonly _tag: "Listening" }>["address"]) => string): void {
    switch (event._tag) {
      case "Listening":
        this.#address = format(event.address)
        this.#halfOpen = event.halfOpen
        return
      case "SessionStarted":
        this.#total.sessions++
        this.#sessions.set(event.sender, { sender: event.sender, since: Date.now(), messages: 0, bytes: 0 })
        return
      case "SessionEnded":
        if (event.error !== undefined) this.#total.failed++
        this.#sessions.delete(event.sender)
        return
      case "Stranger":
        this.#total.refused++
    }
  }

  /** Messages that were handled. */
  count(sender: Sender, messages: ReadonlyArray<{ readonly bytes: number }>): void {
    const bytes = messages.reduce((sum, message) => sum + message.bytes, 0)
    for (const counted of [this.#total, this.#sessions.get(sender)]) {
      if (counted === undefined) continue
      counted.messages += messages.length
      counted.bytes += bytes
    }
  }

  get snapshot(): Snapshot {
    return {
      pid: process.pid,
      address: this.#address,
      since: this.#since,
      halfOpen: this.#halfOpen(),
      sessions: [...this.#sessions.values()].map(({ sender: { peer, from, suite }, since, messages, bytes }) => {
        return { peer, from, suite, since, messages, bytes }
      }),
      total: { ...this.#total }
    }
  }
}

/** In the text format of Prometheus. No label names a peer: who may look at figures need not know who is there. */
export const metricsOf = ({ since, halfOpen, sessions, total }: Snapshot): string =>
  [
    ["sealwire_start_time_seconds", "gauge", "When the server began.", since / 1000],
    ["sealwire_sessions", "gauge", "Peers that are in now.", sessions.length],
    ["sealwire_half_open_connections", "gauge", "Connections that have not shown who they are.", halfOpen],
    ["sealwire_sessions_total", "counter", "Peers that came in.", total.sessions],
    ["sealwire_sessions_failed_total", "counter", "Sessions that ended before all was said.", total.failed],
    ["sealwire_strangers_refused_total", "counter", "Connections that were refused.", total.refused],
    ["sealwire_messages_total", "counter", "Messages that were handled.", total.messages],
    ["sealwire_message_bytes_total", "counter", "Bytes of those messages.", total.bytes]
  ]
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join("")

/** What an answer says, its texts made safe to show; undefined when it is no snapshot. */
export const snapshotOf = (line: string): Snapshot | undefined => {
  try {
    const { pid, address, since, halfOpen, sessions, total } = JSON.parse(line) as Snapshot
    return {
      pid: Number(pid),
      address: shown(address),
      since: time(since),
      halfOpen: Number(halfOpen),
      sessions: sessions.map((session) => {
        const [peer, from, suite] = [session.peer, session.from, session.suite].map(shown) as [string, string, string]
        return { peer, from, suite, since: time(session.since), messages: Number(session.messages), bytes: Number(session.bytes) }
      }),
      total: {
        sessions: Number(total.sessions),
        messages: Number(total.messages),
        bytes: Number(total.bytes),
        refused: Number(total.refused),
        failed: Number(total.failed)
      }
    }
  } catch {
    return undefined
  }
}

const shown = (text: unknown): string => Printable.line(String(text))

/** Throws for what is no time. */
const time = (millis: unknown): number => new Date(new Date(Number(millis)).toISOString()).getTime()

import { Command, shown, type Event } from "./Command.ts"
import type { Journal } from "./Journal.ts"

export interface ServerOptions {
  readonly name: string
  readonly journal: Journal
  /** Starts the process, which reports its events. */
  readonly spawn: (onEvent: (event: Event) => void) => Command
}

/** Time in which clients have reached a restarted server again; they pause up to ten seconds. */
const reconnectMillis = 15_000

/** Interval in which the server was not reachable; `to` is infinite while it is not. */
interface Disturbance {
  readonly from: number
  to: number
}

/** A server in its incarnations: it is killed or stopped, and started again. */
export class Server {
  readonly #options: ServerOptions
  #command: Command | undefined
  #incarnation = 0
  #isExpectedToEnd = false
  readonly #disturbances: Array<Disturbance> = []
  readonly #listeners = new Set<(event: Event | "restarted") => void>()

  constructor(options: ServerOptions) {
    this.#options = options
  }

  /** Number of the process, counted from 1. */
  get incarnation(): number {
    return this.#incarnation
  }

  /** The process ID while it runs. */
  get pid(): number | undefined {
    return this.#command?.isAlive === true ? this.#command.pid : undefined
  }

  /** True if the server was reachable from then until now; false in doubt. */
  wasReachableSince(time: number): boolean {
    return !this.#disturbances.some(({ to }) => to >= time - reconnectMillis)
  }

  /** Starts the process, and returns the address it listens on. */
  async start(): Promise<string> {
    const { name, journal, spawn } = this.#options
    let address: string | undefined
    this.#isExpectedToEnd = false
    const command = spawn((event) => {
      if (event.event === "server-listening") address = String(event.address)
      if (event.event === "peers-reloaded") journal.counters.add("reloads")
      for (const listener of this.#listeners) listener(event)
    })
    this.#command = command
    void command.ended.then((ended) => {
      if (!this.#isExpectedToEnd) journal.violation(`${name}: ${shown(command.args, ended)}`)
    })
    if ((await command.until(() => address, 180_000)) === undefined)
      throw new Error(`${name} does not listen: ${command.stderr}`)
    this.#incarnation++
    const last = this.#disturbances.at(-1)
    if (last !== undefined) last.to = Date.now()
    for (const listener of this.#listeners) listener("restarted")
    return address ?? ""
  }

  /** Ends the process: at once, or in order, which must succeed. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const command = this.#command
    if (command === undefined) return
    this.#isExpectedToEnd = true
    this.#disturbances.push({ from: Date.now(), to: Number.POSITIVE_INFINITY })
    command.kill(signal)
    const ended = await command.ended
    if (signal === "SIGTERM" && ended.code !== 0)
      this.#options.journal.violation(
        `${this.#options.name} did not stop in order: ${shown(command.args, ended)}`
      )
  }

  /** Sends SIGHUP, on which the server reads its peers file. */
  reload(): void {
    this.#command?.kill("SIGHUP")
  }

  /**
   * Waits for an event of this process. A restart counts as one, because a new process has read its
   * files. Returns false after `millis`.
   */
  waitFor(wanted: (event: Event) => boolean, millis = 180_000): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (found: boolean) => {
        clearTimeout(timer)
        this.#listeners.delete(listener)
        resolve(found)
      }
      const listener = (event: Event | "restarted") => {
        if (event === "restarted" || wanted(event)) finish(true)
      }
      const timer = setTimeout(() => finish(false), millis)
      this.#listeners.add(listener)
    })
  }
}

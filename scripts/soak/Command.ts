import { spawn, type ChildProcess } from "node:child_process"
import path from "node:path"
import { createInterface } from "node:readline"

const bin = path.resolve(import.meta.dirname, "../../dist/sealwire.js")

export type Event = Readonly<Record<string, unknown>> & { readonly event: string }

export interface Ended {
  /** The exit code, or the signal. */
  readonly code: number | string
  /** The JSON lines of standard output. */
  readonly events: ReadonlyArray<Event>
  /** The last lines of standard error. */
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** Standard input: closed, or to be written. */
  readonly input?: "none" | "open"
  readonly nodeArgs?: ReadonlyArray<string>
  /** Receives each event; without it the events are kept until the end. */
  readonly onEvent?: (event: Event) => void
}

const running = new Set<ChildProcess>()

/** Kills every command that still runs. */
export const killAll = (): void => {
  for (const child of running) child.kill("SIGKILL")
}

/** A process of the built command, which prints JSON events. */
export class Command {
  readonly args: ReadonlyArray<string>
  readonly #child: ChildProcess
  readonly #events: Array<Event> = []
  readonly #watchers = new Set<() => void>()
  #stderr = ""
  readonly ended: Promise<Ended>

  constructor(
    args: ReadonlyArray<string>,
    { cwd, env, input = "none", nodeArgs = [], onEvent }: CommandOptions
  ) {
    this.args = args
    this.#child = spawn(process.execPath, [...nodeArgs, bin, ...args], {
      cwd,
      env,
      stdio: [input === "open" ? "pipe" : "ignore", "pipe", "pipe"]
    })
    const { stdin, stdout, stderr } = this.#child
    running.add(this.#child)
    // A command that ends before it has read its input says so by its exit code.
    stdin?.on("error", () => {})
    stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-2000)
    })
    if (stdout !== null)
      createInterface({ input: stdout }).on("line", (line) => {
        const event = this.#parse(line)
        if (event === undefined) return
        if (onEvent === undefined) this.#events.push(event)
        else onEvent(event)
        for (const watcher of this.#watchers) watcher()
      })
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#stderr += String(error)
      })
      this.#child.once("close", (code, signal) => {
        running.delete(this.#child)
        // readline delivers its last lines after the stream has closed.
        setImmediate(() => {
          resolve({ code: code ?? signal ?? "unknown", events: this.#events, stderr: this.#stderr })
          for (const watcher of this.#watchers) watcher()
        })
      })
    })
  }

  #parse(line: string): Event | undefined {
    try {
      return JSON.parse(line) as Event
    } catch {
      // The last line of a process that was killed while it was writing.
      return undefined
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  get events(): ReadonlyArray<Event> {
    return this.#events
  }

  get stderr(): string {
    return this.#stderr
  }

  type(text: string | Uint8Array): void {
    this.#child.stdin?.write(text)
  }

  closeInput(): void {
    this.#child.stdin?.end()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The first result of `look` that is not undefined; undefined at the end or after `millis`. */
  until<A>(look: () => A | undefined, millis: number): Promise<A | undefined> {
    return new Promise((resolve) => {
      const finish = (found: A | undefined) => {
        clearTimeout(timer)
        this.#watchers.delete(attempt)
        resolve(found)
      }
      const attempt = () => {
        const found = look()
        if (found !== undefined || !this.isAlive) finish(found)
      }
      const timer = setTimeout(() => finish(undefined), millis)
      this.#watchers.add(attempt)
      attempt()
    })
  }
}

/** Short text of an end, for a report. */
export const shown = (args: ReadonlyArray<string>, { code, stderr }: Ended): string =>
  `sealwire ${args.slice(0, 6).join(" ")} …: exit ${code}: ${stderr.trim().slice(-400)}`

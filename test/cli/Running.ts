// A command that a test has started, in a process of its own or in that of the test, with the output
// that it has written so far. Every wait has a time limit.
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process"
import { openSync } from "node:fs"
import { signalCodes } from "../../src/cli/output/ExitCode.ts"

/** The default time limit in milliseconds, long enough for a busy machine. */
export const defaultMillis = 120_000

/** Rejects with the awaited event and the known state if the promise takes too long. */
export const within = <A>(
  promise: Promise<A>,
  what: string,
  millis = defaultMillis,
  known = (): string => ""
): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not within ${millis} ms: ${what}${known()}`)),
      millis
    )
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export interface Ended {
  /** The exit code, or the signal that killed it. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
}

export abstract class Running {
  readonly #chunks: Record<"stdout" | "stderr", Array<Buffer>> = { stdout: [], stderr: [] }
  readonly #watchers = new Set<() => void>()
  #closed = false

  /** The exit code or signal; undefined while it runs. */
  protected abstract readonly status: number | string | undefined
  protected abstract readonly exit: Promise<number | string>
  protected abstract readonly end: Promise<Ended>

  abstract readonly pid: number
  abstract kill(signal: NodeJS.Signals): void
  /** Ends it at once, for the clean-up of the test. */
  abstract destroy(): Promise<void>
  /** Writes to standard input, if that is "open". */
  abstract type(text: string | Uint8Array): void
  /** Ends standard input, if that is "open". */
  abstract closeInput(): void
  /** Stops reading stdout without closing it. */
  abstract stallReader(): void
  /** Closes the reading end of the stream. */
  abstract closeReader(stream: "stdout" | "stderr"): void

  protected take(stream: "stdout" | "stderr", chunk: Buffer): void {
    this.#chunks[stream].push(chunk)
    this.#changed()
  }

  /** Call it once, when no more output follows. */
  protected close(code: number | string): Ended {
    this.#closed = true
    this.#changed()
    return { code, stdout: this.stdout, stderr: this.stderr }
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#chunks.stdout)
  }

  get stderr(): string {
    return Buffer.concat(this.#chunks.stderr).toString()
  }

  get alive(): boolean {
    return this.status === undefined
  }

  /** Kills the process at once, as a crash would. */
  async crash(): Promise<void> {
    this.kill("SIGKILL")
    await this.exited()
  }

  /** The exit code, even before the output has been read. */
  exited(millis = defaultMillis): Promise<number | string> {
    return within(this.exit, "the exit of the command", millis, () => this.#known())
  }

  /** Exit code and output, after the command has exited and closed its output. */
  ended(millis = defaultMillis): Promise<Ended> {
    return within(this.end, "the end of the command", millis, () => this.#known())
  }

  /** The first result of `look` on the output that is neither false nor undefined. */
  until<A>(
    what: string,
    look: (running: this) => A | false | undefined,
    millis = defaultMillis
  ): Promise<A> {
    const found = new Promise<A>((resolve, reject) => {
      const attempt = () => {
        const seen = look(this)
        if (seen !== false && seen !== undefined) resolve(seen)
        else if (this.#closed) reject(new Error(`ended before: ${what}${this.#known()}`))
        else return void this.#watchers.add(attempt)
        this.#watchers.delete(attempt)
      }
      attempt()
    })
    return within(found, what, millis, () => this.#known())
  }

  #known(): string {
    return `\nexit: ${this.status ?? "running"}\nstdout: ${this.stdout.toString()}\nstderr: ${this.stderr}`
  }
}

export interface ProcessOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: string | Uint8Array | "open" | undefined
  readonly stdio: StdioOptions | undefined
  readonly uid: number | undefined
}

/** /dev/null as a shell opens it; with "ignore" Node opens it as it does a closed descriptor. */
const noInput = openSync("/dev/null", "r")

/** The exit code; after a signal the number that a shell shows, or the name if it is SIGKILL. */
const statusOf = (code: number | null, signal: NodeJS.Signals | null): number | string =>
  code ?? signalCodes[signal as keyof typeof signalCodes] ?? signal ?? "unknown"

/** A program in a process of its own. */
export class RunningProcess extends Running {
  readonly #child: ChildProcess
  protected readonly exit: Promise<number | string>
  protected readonly end: Promise<Ended>

  constructor(program: string, args: ReadonlyArray<string>, options: ProcessOptions) {
    super()
    const { cwd, env, stdin, stdio, uid } = options
    this.#child = spawn(program, args, {
      cwd,
      env,
      stdio: stdio ?? [stdin === undefined ? noInput : "pipe", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid, gid: uid })
    })
    const { stdout, stderr, stdin: input } = this.#child
    stdout?.on("data", (chunk: Buffer) => this.take("stdout", chunk))
    stderr?.on("data", (chunk: Buffer) => this.take("stderr", chunk))
    // The program may exit before it has read everything; its exit code matters then.
    input?.on("error", () => {})
    if (stdin !== undefined && stdin !== "open") input?.end(stdin)
    this.exit = new Promise((resolve) =>
      this.#child.once("exit", (code, signal) => resolve(statusOf(code, signal)))
    )
    this.end = new Promise((resolve, reject) => {
      this.#child.once("error", reject)
      this.#child.once("close", (code, signal) => resolve(this.close(statusOf(code, signal))))
    })
    this.end.catch(() => {})
  }

  protected get status(): number | string | undefined {
    const { exitCode, signalCode } = this.#child
    return exitCode === null && signalCode === null ? undefined : statusOf(exitCode, signalCode)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async destroy(): Promise<void> {
    this.#child.kill("SIGKILL")
    this.#child.stdout?.resume()
    await this.end.catch(() => {})
  }

  type(text: string | Uint8Array): void {
    this.#child.stdin?.write(text)
  }

  closeInput(): void {
    this.#child.stdin?.end()
  }

  stallReader(): void {
    this.#child.stdout?.pause()
  }

  closeReader(stream: "stdout" | "stderr"): void {
    this.#child[stream]?.destroy()
  }
}

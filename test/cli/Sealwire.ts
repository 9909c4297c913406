// Runs the built command in a folder of its own, without a shell: in this process where that shows
// the same, else in a process of its own. A test's processes end with the test, and every wait has
// a time limit.
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { it as base } from "vitest"
import * as InProcess from "./InProcess.ts"

export const bin = path.resolve(import.meta.dirname, "../../dist/sealwire.js")

// A command in this process may have another TMPDIR.
const temporary = tmpdir()

/** The default time limit in milliseconds, long enough for a busy machine. */
const defaultMillis = 40_000

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

export interface Options {
  /** The working directory. Default: the folder of the box. */
  readonly cwd?: string
  /** Variables in addition to PATH, HOME and LC_ALL. */
  readonly env?: Readonly<Record<string, string>>
  /** Piped input; "open" is a pipe that stays open. Default: /dev/null. */
  readonly stdin?: string | Uint8Array | "open"
  readonly stdio?: StdioOptions
  readonly uid?: number
  /** True: `run` starts a process of its own. */
  readonly process?: boolean
}

export interface Ended {
  /** The exit code, or the signal that killed it. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
}

/** The environment of a command in this folder. */
const environment = (cwd: string, env: Options["env"]) => ({
  PATH: process.env.PATH,
  HOME: cwd,
  LC_ALL: "C.UTF-8",
  ...env
})

/**
 * True if the command shows the same in this process: it uses no inherited descriptor, and stdin and
 * stdout only as streams.
 */
const fitsInProcess = (args: ReadonlyArray<string>, options: Options): boolean =>
  options.process !== true &&
  options.stdio === undefined &&
  options.uid === undefined &&
  options.env?.NODE_OPTIONS === undefined &&
  !["pipe", "tunnel"].includes(args[0] ?? "") &&
  !args.some((arg) => /\b(fd|systemd):|-fd\b|\/(dev|proc)\//.test(arg))

export class Running {
  readonly #child: ChildProcess
  readonly #stdout: Array<Buffer> = []
  readonly #stderr: Array<Buffer> = []
  readonly #exited: Promise<number | string>
  readonly #ended: Promise<Ended>
  #closed = false
  readonly #watchers = new Set<() => void>()

  constructor(
    program: string,
    args: ReadonlyArray<string>,
    { cwd, env, stdin, stdio, uid }: Options & { readonly cwd: string }
  ) {
    this.#child = spawn(program, args, {
      cwd,
      env: environment(cwd, env),
      stdio: stdio ?? [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid, gid: uid })
    })
    const { stdout, stderr, stdin: input } = this.#child
    stdout?.on("data", (chunk: Buffer) => this.#take(this.#stdout, chunk))
    stderr?.on("data", (chunk: Buffer) => this.#take(this.#stderr, chunk))
    // The program may exit before it has read everything; its exit code matters then.
    input?.on("error", () => {})
    if (stdin !== undefined && stdin !== "open") input?.end(stdin)
    this.#exited = new Promise((resolve) =>
      this.#child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"))
    )
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject)
      this.#child.once("close", (code, signal) => {
        this.#closed = true
        resolve({ code: code ?? signal ?? "unknown", stdout: this.stdout, stderr: this.stderr })
        this.#changed()
      })
    })
    this.#ended.catch(() => {})
  }

  /** Writes to standard input, if that is "open". */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Ends standard input, if that is "open". */
  closeInput(): void {
    this.#child.stdin?.end()
  }

  /** Kills the process and awaits its end. */
  async destroy(): Promise<void> {
    this.#child.kill("SIGKILL")
    this.#child.stdout?.resume()
    await this.#ended.catch(() => {})
  }

  #take(where: Array<Buffer>, chunk: Buffer): void {
    where.push(chunk)
    this.#changed()
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout)
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Stops reading stdout without closing it. */
  stallReader(): void {
    this.#child.stdout?.pause()
  }

  /** Closes the reading end of the stream. */
  closeReader(stream: "stdout" | "stderr"): void {
    this.#child[stream]?.destroy()
  }

  /** The exit code, even before the output has been read. */
  exited(millis = defaultMillis): Promise<number | string> {
    return within(this.#exited, "the exit of the process", millis, () => this.#known())
  }

  /** Exit code and output, after the process has exited and closed its output. */
  ended(millis = defaultMillis): Promise<Ended> {
    return within(this.#ended, "the end of the process", millis, () => this.#known())
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
    return `\nexit: ${this.#child.exitCode ?? this.#child.signalCode ?? "running"}\nstdout: ${this.stdout.toString()}\nstderr: ${this.stderr}`
  }
}

export interface Server extends Running {
  /** The address in its listening event. */
  readonly address: string
  readonly port: number
}

/** The folder of a test, accessible only to this user, and the processes that the test starts. */
export class Box {
  readonly cwd = mkdtempSync(path.join(temporary, "sealwire-"))
  readonly #cleanUps: Array<() => unknown> = []
  #runsInProcess = false

  /** Registers a clean-up for the end of the test; the last one runs first. */
  defer(cleanUp: () => unknown): void {
    this.#cleanUps.push(cleanUp)
  }

  async cleanUp(): Promise<void> {
    for (const cleanUp of this.#cleanUps.reverse()) await cleanUp()
    rmSync(this.cwd, { recursive: true, force: true })
  }

  path(name: string): string {
    return path.join(this.cwd, name)
  }

  write(name: string, content: Uint8Array | string, mode = 0o600): void {
    writeFileSync(this.path(name), content)
    chmodSync(this.path(name), mode)
  }

  /** Writes an `aes_key.bin` in the origin's format. */
  writeKey(content: Uint8Array | string = randomBytes(32), mode = 0o600): void {
    this.write("aes_key.bin", content, mode)
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name))
  }

  mode(name: string): number {
    return lstatSync(this.path(name)).mode & 0o777
  }

  /** The sorted names of the files in the folder. */
  get names(): ReadonlyArray<string> {
    return readdirSync(this.cwd).toSorted()
  }

  /** Starts another program. */
  startOther(program: string, args: ReadonlyArray<string>, options: Options = {}): Running {
    const running = new Running(program, args, { cwd: this.cwd, ...options })
    this.defer(() => running.destroy())
    return running
  }

  /** Runs another program to its end. */
  runOther(program: string, args: ReadonlyArray<string>, options?: Options): Promise<Ended> {
    return this.startOther(program, args, options).ended()
  }

  start(args: ReadonlyArray<string>, options?: Options): Running {
    return this.startOther(process.execPath, [bin, ...args], options)
  }

  /**
   * Runs the command to its end, in this process if nothing needs a process of its own. Commands that
   * a test runs at the same time are concurrent: one of them runs in this process.
   */
  async run(args: ReadonlyArray<string>, options: Options = {}): Promise<Ended> {
    const { cwd = this.cwd, env, stdin } = options
    if (this.#runsInProcess || stdin === "open" || !fitsInProcess(args, options))
      return this.start(args, options).ended()
    this.#runsInProcess = true
    try {
      const ended = await InProcess.run(args, {
        cwd,
        env: environment(cwd, env),
        stdin,
        millis: defaultMillis
      })
      return ended ?? (await this.start(args, options).ended())
    } finally {
      this.#runsInProcess = false
    }
  }

  /**
   * Starts `classic serve` on a free port of 127.0.0.1, or on `--listen`, and waits until it
   * listens.
   */
  async serve(args: ReadonlyArray<string> = [], options?: Options): Promise<Server> {
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"]
    const running = this.start(["classic", "serve", ...listen, ...args], options)
    const address = await running.until("the listening line", (it) =>
      args.includes("--json")
        ? eventsOf(it.stdout)
            .find(({ event }) => event === "server-listening")
            ?.address?.toString()
        : /listening on (\S+) for classic messages/.exec(it.stderr)?.[1]
    )
    return Object.assign(running, { address, port: Number(address.split(":").at(-1)) })
  }

  /** Runs `classic send` against that server. */
  send(server: Server, args: ReadonlyArray<string> = [], options?: Options): Promise<Ended> {
    return this.run(["classic", "send", "--to", server.address, ...args], options)
  }
}

/** A test with its own Box. */
export const it = base.extend<{ readonly box: Box }>({
  // oxlint-disable-next-line no-empty-pattern -- vitest reads the pattern
  box: async ({}, use) => {
    const box = new Box()
    try {
      await use(box)
    } finally {
      await box.cleanUp()
    }
  }
})

/** True while a process with a matching command line runs. */
export const runs = (commandLine: RegExp): boolean =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return commandLine.test(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "))
      } catch {
        // The process has ended in the meantime.
        return false
      }
    })

export type JsonLine = Readonly<Record<string, string | number>>

/** The objects of the complete lines of `--json` output. */
export const eventsOf = (output: Buffer | string): ReadonlyArray<JsonLine> =>
  output
    .toString()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonLine)

/** The non-empty lines of a text. */
export const linesOf = (text: string): ReadonlyArray<string> =>
  text.split("\n").filter((line) => line !== "")

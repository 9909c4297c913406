// The built command as a person runs it: a process of its own in a folder of its own, never through a shell.
// Whatever a test starts is gone when the test is over, and every wait has a limit.
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

export const bin = path.resolve(import.meta.dirname, "../../dist/sealwire.js")

/** The limit of every wait, in milliseconds: only what never comes meets it, on a machine with much else to do, too. */
const patience = 40_000

/** Rejects, and says what was waited for and what is known, when it takes too long. */
export const within = <A>(
  promise: Promise<A>,
  what: string,
  millis = patience,
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
  /** The folder it runs in; without it the box's own. */
  readonly cwd?: string
  /** Beside PATH, HOME and LC_ALL, which are all it has otherwise. */
  readonly env?: Readonly<Record<string, string>>
  /** What is piped in; "open" is a pipe that stays open, and without it standard input is /dev/null. */
  readonly stdin?: string | Uint8Array | "open"
  readonly stdio?: StdioOptions
  readonly uid?: number
}

export interface Ended {
  /** The exit code, or the signal that killed it. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
}

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
      env: { PATH: process.env.PATH, HOME: cwd, LC_ALL: "C.UTF-8", ...env },
      stdio: stdio ?? [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid, gid: uid })
    })
    const { stdout, stderr, stdin: input } = this.#child
    stdout?.on("data", (chunk: Buffer) => this.#take(this.#stdout, chunk))
    stderr?.on("data", (chunk: Buffer) => this.#take(this.#stderr, chunk))
    // A program that ends before it has read everything: its exit code tells.
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

  /** Writes to its standard input, where that is "open". */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Its standard input ends, where that is "open". */
  closeInput(): void {
    this.#child.stdin?.end()
  }

  /** Gone, whatever it was doing. */
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

  /** Nobody takes what comes on stdout, and nobody says so. */
  stallReader(): void {
    this.#child.stdout?.pause()
  }

  /** Nobody reads the stream any more. */
  closeReader(stream: "stdout" | "stderr"): void {
    this.#child[stream]?.destroy()
  }

  /** The exit code, whether or not its output has been read. */
  exited(millis = patience): Promise<number | string> {
    return within(this.#exited, "the exit of the process", millis, () => this.#known())
  }

  /** Everything it gave, once it has exited and its output has been read. */
  ended(millis = patience): Promise<Ended> {
    return within(this.#ended, "the end of the process", millis, () => this.#known())
  }

  /** What `look` finds in the output, as soon as it finds something. */
  until<A>(
    what: string,
    look: (running: this) => A | false | undefined,
    millis = patience
  ): Promise<A> {
    const found = new Promise<A>((resolve, reject) => {
      const again = () => {
        const seen = look(this)
        if (seen !== false && seen !== undefined) resolve(seen)
        else if (this.#closed) reject(new Error(`ended before: ${what}${this.#known()}`))
        else return void this.#watchers.add(again)
        this.#watchers.delete(again)
      }
      again()
    })
    return within(found, what, millis, () => this.#known())
  }

  #known(): string {
    return `\nexit: ${this.#child.exitCode ?? this.#child.signalCode ?? "running"}\nstdout: ${this.stdout.toString()}\nstderr: ${this.stderr}`
  }
}

export interface Server extends Running {
  /** Where it listens, as it says itself. */
  readonly address: string
  readonly port: number
}

/** One test's world: a folder that only this user can enter, and every process that it starts. */
export class Box {
  readonly cwd = mkdtempSync(path.join(tmpdir(), "sealwire-"))
  readonly #leftovers: Array<() => unknown> = []

  /** Runs when the test is over, the last first. */
  defer(cleanUp: () => unknown): void {
    this.#leftovers.push(cleanUp)
  }

  async cleanUp(): Promise<void> {
    for (const cleanUp of this.#leftovers.reverse()) await cleanUp()
    rmSync(this.cwd, { recursive: true, force: true })
  }

  path(name: string): string {
    return path.join(this.cwd, name)
  }

  write(name: string, content: Uint8Array | string, mode = 0o600): void {
    writeFileSync(this.path(name), content)
    chmodSync(this.path(name), mode)
  }

  /** An `aes_key.bin` as the origin's. */
  writeKey(content: Uint8Array | string = randomBytes(32), mode = 0o600): void {
    this.write("aes_key.bin", content, mode)
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name))
  }

  mode(name: string): number {
    return lstatSync(this.path(name)).mode & 0o777
  }

  /** The names of what lies in the folder. */
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

  /** Runs the command to its end. */
  run(args: ReadonlyArray<string>, options?: Options): Promise<Ended> {
    return this.start(args, options).ended()
  }

  /** Starts `classic serve` at a free port of 127.0.0.1 (or where `--listen` says) and waits until it listens. */
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

/** A test with a box of its own. */
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

/** True while somebody runs with such a command line. */
export const runs = (commandLine: RegExp): boolean =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return commandLine.test(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "))
      } catch {
        // Gone since it was listed.
        return false
      }
    })

export type JsonLine = Readonly<Record<string, string | number>>

/** The whole lines of `--json` output, each an object. */
export const eventsOf = (output: Buffer | string): ReadonlyArray<JsonLine> =>
  output
    .toString()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonLine)

/** The lines of a log. */
export const linesOf = (text: string): ReadonlyArray<string> =>
  text.split("\n").filter((line) => line !== "")

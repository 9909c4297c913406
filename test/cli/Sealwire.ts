// Runs the built command in a folder of its own, without a shell: in this process where that shows
// the same, else in a process of its own. A test's processes end with the test, and every wait has
// a time limit.
import type { StdioOptions } from "node:child_process"
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
import { Hosted, isFree } from "./InProcess.ts"
import { Running, RunningProcess, type Ended } from "./Running.ts"

export { Running, within, type Ended } from "./Running.ts"

export const bin = path.resolve(import.meta.dirname, "../../dist/sealwire.js")

// A command in this process may have another TMPDIR and PATH.
const temporary = tmpdir()
const { PATH } = process.env

export interface Options {
  /** The working directory. Default: the folder of the box. */
  readonly cwd?: string
  /** Variables in addition to PATH, HOME and LC_ALL. */
  readonly env?: Readonly<Record<string, string>>
  /** Piped input; "open" is a pipe that stays open. Default: /dev/null. */
  readonly stdin?: string | Uint8Array | "open"
  readonly stdio?: StdioOptions
  readonly uid?: number
  /** True: the command gets a process of its own. */
  readonly process?: boolean
}

/** The environment of a command in this folder. */
const environment = (cwd: string, env: Options["env"]) => ({
  PATH,
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
  // They use the descriptors of standard input and output.
  args[0] !== "pipe" &&
  !(args[0] === "tunnel" && args.includes("-")) &&
  !args.some((arg, index) =>
    /^--passphrase-fd$/.test(arg)
      ? args[index + 1] !== "0"
      : /\b(fd|systemd):|-fd\b(?!=0$)|\/(dev|proc)\//.test(arg)
  )

export interface Server extends Running {
  /** The address in its listening event. */
  readonly address: string
  readonly port: number
}

/** The folder of a test, accessible only to this user, and the processes that the test starts. */
export class Box {
  readonly cwd = mkdtempSync(path.join(temporary, "sealwire-"))
  readonly #cleanUps: Array<() => unknown> = []
  #needsProcess = (_args: ReadonlyArray<string>): boolean => false

  /** From now on each command, or each command with this argument, gets a process of its own. */
  useProcesses(of?: "serve"): void {
    this.#needsProcess = (args) => of === undefined || args.includes(of)
  }

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
    const { cwd = this.cwd, env, stdin, stdio, uid } = options
    return this.#keep(
      new RunningProcess(program, args, { cwd, env: environment(cwd, env), stdin, stdio, uid })
    )
  }

  /** Runs another program to its end. */
  runOther(program: string, args: ReadonlyArray<string>, options?: Options): Promise<Ended> {
    return this.startOther(program, args, options).ended()
  }

  /** Starts the command: in this process, if it fits and no command of another box runs here. */
  start(args: ReadonlyArray<string>, options: Options = {}): Running {
    const { cwd = this.cwd, env, stdin } = options
    const place = { cwd, env: environment(cwd, env) }
    return !this.#needsProcess(args) && fitsInProcess(args, options) && isFree(place)
      ? this.#keep(new Hosted(args, place, stdin))
      : this.startOther(process.execPath, [bin, ...args], options)
  }

  /** Runs the command to its end. */
  run(args: ReadonlyArray<string>, options?: Options): Promise<Ended> {
    return this.start(args, options).ended()
  }

  #keep<A extends Running>(running: A): A {
    this.defer(() => running.destroy())
    return running
  }

  /** Starts `serve` or another command that listens, and waits until it does. */
  async listen(args: ReadonlyArray<string>, options?: Options): Promise<Server> {
    return listening(this.start(args, options))
  }

  /** Starts `classic serve` on a free port of 127.0.0.1, or on `--listen`. */
  serve(args: ReadonlyArray<string> = [], options?: Options): Promise<Server> {
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"]
    return this.listen(["classic", "serve", ...listen, ...args], options)
  }

  /** Runs `classic send` against that server. */
  send(server: Server, args: ReadonlyArray<string> = [], options?: Options): Promise<Ended> {
    return this.run(["classic", "send", "--to", server.address, ...args], options)
  }
}

/** Waits until a command listens, which it says in its log or in an event. */
export const listening = async (running: Running): Promise<Server> => {
  const address = await running.until(
    "the listening line",
    ({ stdout, stderr }) =>
      /"event":"server-listening".*?"address":"([^"]+)"/.exec(stdout.toString())?.[1] ??
      /listening on (.+?) (?:for classic messages )?\(/.exec(stderr)?.[1]
  )
  return Object.assign(running, { address, port: Number(address.split(":").at(-1)) })
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

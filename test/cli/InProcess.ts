// Runs the built command inside the process of the test, which saves the start of a process. The
// command gets an environment, a working directory and streams, as a process would. Commands in the
// same folder with the same environment may run at the same time. They protect keys with the cheapest
// scrypt; a command in a process of its own, with the real one.
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  constants,
  createReadStream,
  openSync,
  readdirSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { Socket } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { Writable, type Readable } from "node:stream"
import { isDeepStrictEqual } from "node:util"
import type { EndingSignal, Environment, run as runCommand } from "../../src/cli/run.ts"
import { cheapestScrypt } from "../fixtures/scrypt.ts"
import { Running, type Ended } from "./Running.ts"

/** Where a command runs: the state that all code of a process shares. */
export interface Place {
  readonly cwd: string
  /** The whole environment. */
  readonly env: Readonly<Environment>
}

/** The place of the commands that run in this process now, and what to restore after the last. */
interface Stay {
  readonly place: Place
  readonly restore: () => void
  commands: number
  readonly before: ReturnType<typeof processState>
}
let stay: Stay | undefined

/** True if a command can start here now: no other place is in use. */
export const isFree = (place: Place): boolean =>
  stay === undefined || isDeepStrictEqual(stay.place, place)

/** The standard errors of the commands that run: a process would write a warning of Node there. */
const warned = new Set<Writable>()
process.on("warning", ({ name, message }) => {
  for (const stderr of warned) stderr.write(`(node) ${name}: ${message}\n`)
})

const enter = (place: Place): void => {
  if (stay === undefined) {
    const cwd = process.cwd()
    const env = { ...process.env }
    process.chdir(place.cwd)
    replaceEnvironment(place.env)
    stay = {
      place,
      restore: () => {
        replaceEnvironment(env)
        process.chdir(cwd)
      },
      commands: 0,
      before: processState()
    }
  }
  // A command removes the passphrase from its environment.
  replaceEnvironment(place.env)
  stay.commands++
}

/** Returns what the commands have left behind that a process would not, if this was the last one. */
const leave = (): string | undefined => {
  if (stay === undefined || --stay.commands > 0) return undefined
  const { before, restore } = stay
  const after = processState()
  stay = undefined
  restore()
  return isDeepStrictEqual(after, before)
    ? undefined
    : `before: ${JSON.stringify(before)}\nafter: ${JSON.stringify(after)}`
}

/** The command, running in this process. It receives the signals that end a command in order. */
export class Hosted extends Running {
  readonly #interruption = new AbortController()
  readonly #stdin: ReturnType<typeof openInput>
  #code: number | undefined
  protected readonly exit: Promise<number | string>
  protected readonly end: Promise<Ended>

  constructor(args: ReadonlyArray<string>, place: Place, stdin: string | Uint8Array | undefined) {
    super()
    this.#stdin = openInput(stdin)
    const collector = (name: "stdout" | "stderr") =>
      new Writable({
        // A copy: the command may reuse the memory.
        write: (chunk: Uint8Array, _, done) => {
          this.take(name, Buffer.from(chunk))
          done()
        }
      })
    const [stdout, stderr] = [collector("stdout"), collector("stderr")]
    enter(place)
    warned.add(stderr)
    const { stream, descriptor } = this.#stdin
    const running = builtCommand()(
      args,
      process.env,
      { stdin: stream, stdout, stderr, descriptors: { stdin: descriptor, stdout: undefined } },
      { interruption: this.#interruption.signal, scrypt: cheapestScrypt }
    )
    this.end = running.then(async (code) => {
      this.#code = code
      // Warnings are emitted on the next tick.
      await new Promise((resolve) => setImmediate(resolve))
      warned.delete(stderr)
      await this.#closeInput()
      const left = leave()
      if (left !== undefined)
        throw new Error(`sealwire ${args.join(" ")} changed the state of its process\n${left}`)
      return this.close(code)
    })
    this.exit = this.end.then(({ code }) => code)
    this.exit.catch(() => {})
  }

  protected get status(): number | undefined {
    return this.#code
  }

  get pid(): never {
    return this.#needsProcess("pid")
  }

  kill(signal: NodeJS.Signals): void {
    if (signal !== "SIGTERM" && signal !== "SIGINT") this.#needsProcess(`kill("${signal}")`)
    this.#interruption.abort(signal satisfies EndingSignal)
  }

  async destroy(): Promise<void> {
    this.#interruption.abort("SIGTERM" satisfies EndingSignal)
    await this.ended()
  }

  type(text: string): void {
    this.#stdin.writer?.write(text)
  }

  closeInput(): void {
    this.#stdin.writer?.end()
  }

  stallReader(): never {
    return this.#needsProcess("stallReader")
  }

  closeReader(): never {
    return this.#needsProcess("closeReader")
  }

  #needsProcess(what: string): never {
    throw new Error(`${what}: call box.useProcesses() first`)
  }

  async #closeInput(): Promise<void> {
    await Promise.all([this.#stdin.stream, this.#stdin.writer].map(destroyed))
  }
}

const parts = path.resolve(import.meta.dirname, "../../dist/sealwire")

/** `run` of the bundle that dist/sealwire.js starts; Node caches the module. */
const builtCommand = (): typeof runCommand => {
  const names = readdirSync(parts).filter((name) => /^main-.*\.cjs$/.test(name))
  if (names.length !== 1) throw new Error(`${parts} has ${names.length} bundles; npm run build`)
  const file = path.join(parts, names[0] ?? "")
  return (createRequire(import.meta.url)(file) as { readonly run: typeof runCommand }).run
}

const processState = () => ({
  cwd: process.cwd(),
  // The command removes the passphrase, so that its subprocesses do not inherit it.
  env: { ...process.env, SEALWIRE_PASSPHRASE: undefined },
  exitCode: process.exitCode,
  umask: process.umask(),
  listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)])
})

const replaceEnvironment = (env: Readonly<Environment>): void => {
  for (const name of Object.keys(process.env)) if (env[name] === undefined) delete process.env[name]
  for (const [name, value] of Object.entries(env))
    if (value !== undefined) process.env[name] = value
}

/** Not that of the command: TMPDIR may differ. */
const temporary = tmpdir()

/** Standard input of a command: its end of it, and the test's end of one that stays open. */
interface Input {
  readonly descriptor: number
  readonly stream: Readable
  readonly writer?: Writable
}

/**
 * Opens /dev/null, a file with the content, or a pipe. Neither file nor pipe has a name: nothing
 * else can open it.
 */
const openInput = (content: string | Uint8Array | undefined): Input => {
  if (content === "open") return openPipe()
  const descriptor = content === undefined ? openSync("/dev/null", "r") : openContent(content)
  return { descriptor, stream: createReadStream("", { fd: descriptor }) }
}

const unnamed = (): string =>
  path.join(temporary, `sealwire-input-${randomBytes(8).toString("hex")}`)

const openContent = (content: string | Uint8Array): number => {
  const file = unnamed()
  writeFileSync(file, content, { mode: 0o600 })
  const descriptor = openSync(file, "r")
  unlinkSync(file)
  return descriptor
}

const openPipe = (): Input => {
  const file = unnamed()
  // Node has no function that makes a pipe.
  const { status, stderr } = spawnSync("mkfifo", ["-m", "600", file])
  if (status !== 0) throw new Error(`mkfifo: ${stderr.toString()}`)
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = new Socket({
    fd: openSync(file, constants.O_WRONLY | constants.O_NONBLOCK),
    readable: false,
    writable: true
  })
  unlinkSync(file)
  // The command may end before it has read everything; its exit code matters then.
  writer.on("error", () => {})
  // As process.stdin: nothing is read before the command reads.
  const options = { fd: descriptor, readable: true, writable: false, manualStart: true }
  return { descriptor, stream: new Socket(options), writer }
}

/** Waits until a stream is closed. */
const destroyed = (stream: Readable | Writable | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (stream === undefined || stream.closed) return resolve()
    // A command that stops reading aborts the stream.
    stream.on("error", () => {})
    stream.once("close", resolve)
    stream.destroy()
  })

// Runs the built command inside the process of the test, which saves the start of a process. The
// command gets an environment, a working directory and streams of its own, as a process would.
import { randomBytes } from "node:crypto"
import { createReadStream, openSync, readdirSync, unlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import path from "node:path"
import { Writable, type Readable } from "node:stream"
import { setTimeout as delay } from "node:timers/promises"
import { isDeepStrictEqual } from "node:util"
import type { run as runCommand } from "../../src/cli/run.ts"

export interface Options {
  readonly cwd: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Standard input. Default: /dev/null. */
  readonly stdin: string | Uint8Array | undefined
  /** The time limit in milliseconds. */
  readonly millis: number
}

export interface Ended {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** The command that runs in this process now: two would share a working directory. */
let running: Promise<unknown> | undefined

/** The time that an aborted command gets to end, in milliseconds. */
const drainMillis = 5_000

/** The time to wait for the command of a concurrent test, in milliseconds. */
const patienceMillis = 3_000

/**
 * Runs the command to its end; undefined if another one has run too long. Rejects if the command
 * takes too long, or if it leaves anything behind that a process would not: listeners, variables, a
 * working directory, an exit code, a umask.
 */
export const run = async (
  args: ReadonlyArray<string>,
  options: Options
): Promise<Ended | undefined> => {
  const deadline = performance.now() + patienceMillis
  while (running !== undefined) {
    const left = deadline - performance.now()
    if (left <= 0) return undefined
    await Promise.race([running, delay(left, undefined, { ref: false })])
  }
  const ending = runAlone(args, options)
  running = ending.catch(() => {}).finally(() => (running = undefined))
  return ending
}

const runAlone = async (args: ReadonlyArray<string>, options: Options): Promise<Ended> => {
  const cwd = process.cwd()
  const env = { ...process.env }
  try {
    process.chdir(options.cwd)
    replaceEnvironment(options.env)
    const before = processState()
    const ended = await runToEnd(args, options)
    const after = processState()
    if (!isDeepStrictEqual(after, before))
      throw new Error(
        `sealwire ${args.join(" ")} changed the state of its process\nbefore: ${JSON.stringify(before)}\nafter: ${JSON.stringify(after)}`
      )
    return ended
  } finally {
    replaceEnvironment(env)
    process.chdir(cwd)
  }
}

const runToEnd = async (args: ReadonlyArray<string>, options: Options): Promise<Ended> => {
  const stdin = openInput(options.stdin)
  const stdout = new Collector()
  const stderr = new Collector()
  // A process would write them to its stderr.
  const warned = (warning: Error) => stderr.write(`(node) ${warning.name}: ${warning.message}\n`)
  process.on("warning", warned)
  const interruption = new AbortController()
  const command = builtCommand()(
    args,
    process.env,
    {
      stdin: stdin.stream,
      stdout,
      stderr,
      descriptors: { stdin: stdin.descriptor, stdout: undefined }
    },
    interruption.signal
  )
  const timer = setTimeout(() => interruption.abort("SIGTERM"), options.millis)
  const aborted = new Promise<void>((resolve) =>
    interruption.signal.addEventListener("abort", () => resolve())
  )
  try {
    // A command that does not react to the abort is left behind.
    const code = await Promise.race([command, aborted.then(() => delay(drainMillis))])
    if (interruption.signal.aborted || code === undefined)
      throw new Error(
        `not within ${options.millis} ms: the end of sealwire ${args.join(" ")}\nstdout: ${stdout.bytes.toString()}\nstderr: ${stderr.bytes.toString()}`
      )
    // Warnings are emitted on the next tick.
    await new Promise((resolve) => setImmediate(resolve))
    return { code, stdout: stdout.bytes, stderr: stderr.bytes.toString() }
  } finally {
    clearTimeout(timer)
    process.off("warning", warned)
    await closed(stdin.stream)
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

/** The state that all code of a process shares. */
const processState = () => ({
  cwd: process.cwd(),
  // The command removes the passphrase, so that its subprocesses do not inherit it.
  env: { ...process.env, SEALWIRE_PASSPHRASE: undefined },
  exitCode: process.exitCode,
  umask: process.umask(),
  listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)])
})

const replaceEnvironment = (env: Readonly<Record<string, string | undefined>>): void => {
  for (const name of Object.keys(process.env)) if (env[name] === undefined) delete process.env[name]
  for (const [name, value] of Object.entries(env))
    if (value !== undefined) process.env[name] = value
}

/** Not that of the command: TMPDIR may differ. */
const temporary = tmpdir()

/** Opens /dev/null, or a file with the content. The file has no name: nothing else can read it. */
const openInput = (content: string | Uint8Array | undefined) => {
  const descriptor = content === undefined ? openSync("/dev/null", "r") : openContent(content)
  return { descriptor, stream: createReadStream("", { fd: descriptor }) }
}

const closed = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.closed) return resolve()
    // A command that stops reading aborts the stream.
    stream.on("error", () => {})
    stream.once("close", resolve)
    stream.destroy()
  })

const openContent = (content: string | Uint8Array): number => {
  const file = path.join(temporary, `sealwire-input-${randomBytes(8).toString("hex")}`)
  writeFileSync(file, content, { mode: 0o600 })
  const descriptor = openSync(file, "r")
  unlinkSync(file)
  return descriptor
}

/** Collects what is written, in copies: the command may reuse the memory. */
class Collector extends Writable {
  readonly #chunks: Array<Buffer> = []

  override _write(chunk: Uint8Array, _: BufferEncoding, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk))
    done()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

// A program that is run for what it prints: an `exec:` command, the reader of the keyring.
import { spawn, type ChildProcess } from "node:child_process"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Printable from "../bytes/Printable.ts"
import { maxKeyText } from "./KeyText.ts"
import { limits } from "./limits.ts"

export interface Options {
  readonly program: string
  readonly args: ReadonlyArray<string>
  /** What it reads on standard input; nothing without it. */
  readonly input?: Uint8Array
  readonly deadline: Duration.DurationInput
  /** Variables beside this process's own; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Gets what it prints and what it says on standard error; `Outcome` has none of it then. With `most`, standard error alone. */
  readonly onOutput?: (chunk: Uint8Array) => void
  /** Bytes that it may print. Default: `maxKeyText`. */
  readonly maxOutput?: number
}

export interface Outcome {
  readonly status: number
  /** At most one byte more than it may print, so that the caller sees when there was more. */
  readonly output: Uint8Array
  /** The last line of what it said on standard error, as ": line", safe to show; "" when it said nothing. */
  readonly lastErrorLine: string
}

/**
 * Runs it to its end; a clause when it has none: "did not end within 30s". It is a session and process group of its own, without
 * this terminal: at the deadline, when it prints more than it may, and when the caller is interrupted, the whole group is told to
 * stop (SIGTERM) and then killed.
 */
export const run = ({
  program,
  args,
  input,
  deadline,
  env,
  onOutput,
  maxOutput
}: Options): Effect.Effect<Outcome, string> =>
  Effect.async((resume) => {
    let child: ChildProcess
    try {
      child = spawn(program, args, {
        detached: true,
        stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
        ...(env === undefined ? {} : { env: { ...process.env, ...env } })
      })
    } catch (cause) {
      // A command that is too long, or has a zero byte in it.
      return resume(Effect.fail(notRun(cause)))
    }
    const printed: Array<Buffer> = []
    let room = (maxOutput ?? maxKeyText) + 1
    let complaints = Buffer.alloc(0)
    const complaint = () => complaintOf(complaints)
    const succeed = (status: number) =>
      resume(Effect.succeed({ status, output: Buffer.concat(printed), lastErrorLine: complaint() }))
    const fail = (clause: string) => resume(Effect.fail(`${clause}${complaint()}`))

    const timer = setTimeout(
      () => void killed(child).then(() => fail(`did not end within ${Duration.format(deadline)}`)),
      Duration.toMillis(deadline)
    )
    child.stdout?.on("data", (chunk: Buffer) => {
      if (onOutput !== undefined && maxOutput === undefined) return onOutput(chunk)
      if (room === 0) return
      printed.push(chunk.subarray(0, room))
      room -= Math.min(chunk.length, room)
      if (room === 0) void killed(child).then(() => succeed(0))
    })
    child.stderr?.on("data", (chunk: Buffer) => {
      if (onOutput !== undefined) return onOutput(chunk)
      complaints = Buffer.concat([complaints, chunk]).subarray(-limits.complaintBytes)
    })
    child.once("error", (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      fail(notRun(cause))
    })
    // It does not outlive this process, which may be ended at once (a second Ctrl-C).
    const alone = () => signal(child.pid, "SIGKILL")
    process.once("exit", alone)
    // Not "exit": what it printed may still be on its way.
    child.once("close", (status, signal) => {
      clearTimeout(timer)
      process.off("exit", alone)
      if (stopping.has(child)) return
      if (status === null) fail(`was ended by ${signal ?? "a signal"}`)
      else succeed(status)
    })
    // A program that ends before it has read everything: its exit status tells.
    child.stdin?.on("error", () => {})
    child.stdin?.end(input)

    return Effect.promise(() => killed(child))
  })

const notRun = (cause: unknown): string =>
  `cannot be run (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`

/** Those whose end is ours, and says nothing about them. */
const stopping = new WeakSet<ChildProcess>()

/** Ends the group: asked, and after `killMillis` made to. What it started holds its output, so "close" is the end of them all. */
const killed = async (child: ChildProcess): Promise<void> => {
  stopping.add(child)
  if (child.pid === undefined) return
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
  signal(child.pid, "SIGTERM")
  const late = setTimeout(() => {
    signal(child.pid, "SIGKILL")
    // What has left the group may hold the output still; nobody waits for that.
    child.stdout?.destroy()
    child.stderr?.destroy()
  }, limits.killMillis)
  await closed
  clearTimeout(late)
  // Those that had closed their output.
  signal(child.pid, "SIGKILL")
}

const signal = (group: number | undefined, name: NodeJS.Signals): void => {
  try {
    if (group !== undefined) process.kill(-group, name)
  } catch {
    // Nobody is left in it.
  }
}

const complaintOf = (complaints: Uint8Array): string => {
  const line = Printable.bytes(complaints)
    .split("\n")
    .map((text) => text.trim())
    .findLast((text) => text !== "")
  return line === undefined ? "" : `: ${Printable.line(line.slice(0, limits.complaintCharacters))}`
}

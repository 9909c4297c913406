// Runs a program for its output: an `exec:` command, the reader of the keyring.
import { spawn, type ChildProcess } from "node:child_process"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { prose } from "../bytes/excerpt.ts"
import * as Printable from "../bytes/Printable.ts"
import { after } from "../bytes/timer.ts"
import * as ChildEnvironment from "./ChildEnvironment.ts"
import * as InheritedDescriptors from "./InheritedDescriptors.ts"
import { maxKeyText } from "./KeyText.ts"
import { limits } from "./limits.ts"

export interface Options {
  readonly program: string
  readonly args: ReadonlyArray<string>
  /** Standard input. Without it there is none. */
  readonly input?: Uint8Array
  readonly deadline: Duration.DurationInput
  /**
   * Variables added to `ChildEnvironment`; undefined removes one. A variable of this process whose
   * value is not UTF-8 is left out, because Node cannot pass it on unchanged.
   */
  readonly env?: Readonly<Record<string, string | undefined>>
  /**
   * Receives standard output and standard error, which `Outcome` then lacks. With `maxOutput`, it
   * receives standard error alone.
   */
  readonly onOutput?: (chunk: Uint8Array) => void
  /** Maximum bytes of standard output. Default: `maxKeyText`. */
  readonly maxOutput?: number
}

export interface Outcome {
  readonly status: number
  /** Standard output: at most `maxOutput` + 1 bytes, so that the caller can tell longer output. */
  readonly output: Uint8Array
  /** The last line of standard error, as ": line", safe to print; "" when there is none. */
  readonly lastErrorLine: string
}

/**
 * Runs a program to its end. Fails with a clause: "did not end within 30s". The program runs in its
 * own session and process group, without this terminal. At the deadline, when it exceeds
 * `maxOutput`, and when the caller is interrupted, the whole group gets SIGTERM, then SIGKILL.
 *
 * Its exit ends it, as for cron and inetd: descendants that hold the output open live on, and what
 * they write in the next `outputGraceMillis` is the last that is read.
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
      child = InheritedDescriptors.hidden((others) =>
        spawn(program, args, {
          detached: true,
          stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe", ...others],
          env: ChildEnvironment.get(env)
        })
      )
    } catch (cause) {
      // The command is too long or contains a zero byte.
      return resume(Effect.fail(notRun(cause)))
    }
    const output: Array<Buffer> = []
    let room = (maxOutput ?? maxKeyText) + 1
    let errorOutput = Buffer.alloc(0)
    const succeed = (status: number) =>
      resume(
        Effect.succeed({
          status,
          output: Buffer.concat(output),
          lastErrorLine: lastLineOf(errorOutput)
        })
      )
    const fail = (clause: string) => resume(Effect.fail(`${clause}${lastLineOf(errorOutput)}`))

    const cancelTimer = after(Duration.toMillis(deadline), () => {
      void kill(child).then(() => fail(`did not end within ${Duration.format(deadline)}`))
    })
    child.stdout?.on("data", (chunk: Buffer) => {
      if (onOutput !== undefined && maxOutput === undefined) return onOutput(chunk)
      if (room === 0) return
      output.push(chunk.subarray(0, room))
      room -= Math.min(chunk.length, room)
      if (room === 0) void kill(child).then(() => succeed(0))
    })
    child.stderr?.on("data", (chunk: Buffer) => {
      if (onOutput !== undefined) return onOutput(chunk)
      errorOutput = Buffer.concat([errorOutput, chunk]).subarray(-limits.errorOutputBytes)
    })
    child.once("error", (cause: NodeJS.ErrnoException) => {
      cancelTimer()
      fail(notRun(cause))
    })
    // This process may exit at once (a second Ctrl-C); the program must not outlive it.
    const killAtExit = () => signal(child.pid, "SIGKILL")
    process.once("exit", killAtExit)
    const release = () => {
      cancelTimer()
      process.off("exit", killAtExit)
    }
    let cancelGrace = () => {}
    child.once("exit", () => {
      release()
      cancelGrace = after(limits.outputGraceMillis, () => {
        // A process that was busy reads what is in the pipes first.
        setImmediate(closeOutput, child)
      })
    })
    // Output may still arrive after "exit".
    child.once("close", (status, signal) => {
      release()
      cancelGrace()
      if (killedByUs.has(child)) return
      if (status === null) fail(`was ended by ${signal ?? "a signal"}`)
      else succeed(status)
    })
    // The program may exit before it has read its input; its exit status decides.
    child.stdin?.on("error", () => {})
    child.stdin?.end(input)

    return Effect.promise(() => kill(child))
  })

const notRun = (cause: unknown): string =>
  `cannot be run (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`

/** Programs that this module ended; their exit status means nothing. */
const killedByUs = new WeakSet<ChildProcess>()

/**
 * Ends the process group: SIGTERM, and SIGKILL after `killMillis`. Descendants hold the output
 * pipes open, so "close" means that all of them have ended.
 */
const kill = async (child: ChildProcess): Promise<void> => {
  killedByUs.add(child)
  if (child.pid === undefined) return
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
  signal(child.pid, "SIGTERM")
  const timer = setTimeout(() => {
    signal(child.pid, "SIGKILL")
    // A descendant that left the group may hold the pipes; do not wait for it.
    closeOutput(child)
  }, limits.killMillis)
  await closed
  clearTimeout(timer)
  // Members of the group that had closed their output are still running.
  signal(child.pid, "SIGKILL")
}

const closeOutput = ({ stdout, stderr }: ChildProcess): void => {
  stdout?.destroy()
  stderr?.destroy()
}

const signal = (group: number | undefined, name: NodeJS.Signals): void => {
  try {
    if (group !== undefined) process.kill(-group, name)
  } catch {
    // The group is empty.
  }
}

const lastLineOf = (errorOutput: Uint8Array): string => {
  const line = Printable.bytes(errorOutput)
    .split("\n")
    .map((text) => text.trim())
    .findLast((text) => text !== "")
  // The program of an exec: key may have printed the key.
  return line === undefined ? "" : `: ${prose(line).slice(0, limits.errorLineCharacters)}`
}

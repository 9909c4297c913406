// The executable: runs one command with the streams of this process, its signals and its exit.
import * as cancellableLookup from "./cancellableLookup.ts"
import { signalCodes } from "./output/ExitCode.ts"
import { processArguments } from "./input/processText.ts"
import { run, type EndingSignal } from "./run.ts"
import { processStreams } from "./Streams.ts"

export { run }

/** The time that a signalled command waits for the reader of its output, in milliseconds. */
const flushMillis = 2_000

/** Runs the command of this process and exits. */
export const main = (): void => {
  cancellableLookup.install()
  const interruption = new AbortController()
  const args = process.argv.slice(2)
  const running = run(args, process.env, processStreams, {
    interruption: interruption.signal,
    original: processArguments(args.length)
  })

  // A server continues when the reader of its log exits (`2>&1 | head`).
  processStreams.stderr.on("error", () => {})

  // The first signal drains; the second exits at once.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const satisfies Array<EndingSignal>)
    process.on(signal, () => {
      if (isHandledByCommand(signal)) return
      if (interruption.signal.aborted) return endBy(signal)
      setTimeout(
        () =>
          processStreams.stderr.write(
            "sealwire: finishing work in flight; signal again to exit at once\n"
          ),
        500
      ).unref()
      interruption.abort(signal)
    })

  void running.then((code) => {
    const { aborted, reason } = interruption.signal
    const end = () =>
      code === signalCodes[reason as EndingSignal]
        ? endBy(reason as EndingSignal)
        : process.exit(code)
    // Flush stdout to a slow reader first. After a signal the wait for a stalled reader is limited.
    processStreams.stdout.write("", end)
    if (aborted) setTimeout(end, flushMillis)
  })
}

/**
 * Ends the process by the default action of the signal: process.exit() would wait for jobs of the
 * thread pool that may never end, such as opening a FIFO or resolving a name. The first process of
 * a container has no default actions; it exits.
 */
const endBy = (signal: EndingSignal): void => {
  // The listeners of exit end the commands of keys and inboxes, which must not outlive this process.
  process.emit("exit", signalCodes[signal])
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  setTimeout(() => process.exit(signalCodes[signal]), 100)
}

/**
 * True if the command has its own listener: `serve` reloads its peers on SIGHUP. For other commands
 * SIGHUP means that the terminal was closed.
 */
const isHandledByCommand = (signal: NodeJS.Signals): boolean => process.listenerCount(signal) > 1

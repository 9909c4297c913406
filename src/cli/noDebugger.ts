// Node opens its debugger to every user of the machine when a process gets SIGUSR1.
import inspector from "node:inspector"

/** True if the user asked for the debugger when starting Node (`--inspect`, `--inspect-brk`). */
const isRequested = (): boolean =>
  [...process.execArgv, ...(process.env.NODE_OPTIONS ?? "").split(/\s+/)].some((option) =>
    option.startsWith("--inspect")
  )

/**
 * Ignores SIGUSR1 for the rest of the process. A signal that arrived while Node was starting has
 * opened the debugger already, or opens it in the next turn; closes it.
 */
export const refuseDebugger = (): void => {
  process.on("SIGUSR1", () => {})
  if (isRequested()) return
  const closeIfOpen = () => {
    if (inspector.url() !== undefined) inspector.close()
  }
  closeIfOpen()
  setImmediate(closeIfOpen)
}

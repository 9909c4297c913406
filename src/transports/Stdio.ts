// Standard input and output as one connection: a Flow for a protocol on top, or the socket that inetd has put there.
import { fstatSync } from "node:fs"
import net from "node:net"
import type { Flow, FlowListener } from "./Connection.ts"

/** True where both are one socket, as inetd, a systemd unit of Accept=yes, or a shell gives it. */
export const isOneSocket = (): boolean => {
  try {
    const [input, output] = [fstatSync(0), fstatSync(1)]
    return input.isSocket() && output.isSocket() && input.ino === output.ino
  } catch {
    return false
  }
}

/** That socket; to be asked before anything touches process.stdin. */
export const socket = (): net.Socket =>
  new net.Socket({ fd: 0, allowHalfOpen: true, readable: true, writable: true }).pause()

/** Two streams of this process. They know no reset: who reads the output sees an end, and the exit code says that it is none. */
export const flow = (): Flow => {
  const { stdin, stdout } = process
  let sink: FlowListener | undefined
  let isOver = false
  const lost = (code: string) => {
    if (isOver) return
    isOver = true
    sink?.lost(code)
  }
  stdin.pause()
  stdin.on("data", (chunk: Uint8Array) => sink?.bytes(chunk))
  stdin.on("end", () => sink?.end())
  stdin.on("error", (error: NodeJS.ErrnoException) => lost(error.code ?? "UNKNOWN"))
  stdout.on("drain", () => sink?.drained())
  stdout.on("error", (error: NodeJS.ErrnoException) => lost(error.code ?? "UNKNOWN"))
  return {
    start: (heard) => {
      sink = heard
      stdin.resume()
    },
    stop: (unread) => {
      sink = undefined
      stdin.pause()
      if (unread.length > 0) stdin.unshift(unread)
    },
    pause: () => stdin.pause(),
    resume: () => stdin.resume(),
    write: (bytes, taken) => isOver || stdout.write(bytes, taken),
    release: () => {},
    // Closed by the process's end alone; what counts is that all of it has gone.
    end: () => stdout.write("", () => lost("CLOSED")),
    reset: () => {
      isOver = true
      stdin.pause()
    },
    isResetByPeer: () => isOver
  }
}

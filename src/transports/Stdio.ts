// Standard input and output as one connection.
import { fstatSync } from "node:fs"
import net from "node:net"
import type { Flow, FlowListener } from "./Connection.ts"
import { standardInput, standardOutput } from "./standardStreams.ts"

/**
 * Returns true when stdin and stdout are the same socket, as inetd or a systemd unit with
 * Accept=yes passes it.
 */
export const isOneSocket = (): boolean => {
  try {
    const [input, output] = [fstatSync(0), fstatSync(1)]
    return input.isSocket() && output.isSocket() && input.ino === output.ino
  } catch {
    return false
  }
}

/**
 * The socket at descriptor 0; undefined for a datagram socket. Call it before anything touches
 * process.stdin.
 */
export const socket = (): net.Socket | undefined => {
  try {
    return new net.Socket({ fd: 0, allowHalfOpen: true, readable: true, writable: true }).pause()
  } catch {
    return undefined
  }
}

/**
 * A flow over stdin and stdout. Pipes have no reset: the reader of stdout sees an end, and only the
 * exit code shows that the stream was incomplete. `onInputError` gets the code of a failed read,
 * which is no loss of a connection.
 */
export const flow = (onInputError: (code: string) => void): Flow => {
  const [stdin, stdout] = [standardInput(), standardOutput()]
  let listener: FlowListener | undefined
  let isLost = false
  const lost = (code: string) => {
    if (isLost) return
    isLost = true
    listener?.lost(code)
  }
  stdin.pause()
  stdin.on("data", (chunk: Uint8Array) => listener?.bytes(chunk))
  stdin.on("end", () => listener?.end())
  stdin.on("error", ({ code = "UNKNOWN" }: NodeJS.ErrnoException) => {
    onInputError(code)
    lost(code)
  })
  stdout.on("drain", () => listener?.drained())
  stdout.on("error", (error: NodeJS.ErrnoException) => lost(error.code ?? "UNKNOWN"))
  return {
    start: (newListener) => {
      listener = newListener
      stdin.resume()
    },
    stop: (unread) => {
      listener = undefined
      stdin.pause()
      if (unread.length > 0) stdin.unshift(unread)
    },
    pause: () => stdin.pause(),
    resume: () => stdin.resume(),
    write: (bytes, released) => isLost || stdout.write(bytes, released),
    release: () => {},
    // Only the end of the process closes stdout; wait until all bytes have been written.
    end: () => stdout.write("", () => lost("CLOSED")),
    reset: () => {
      isLost = true
      stdin.pause()
    },
    isResetByPeer: () => isLost
  }
}

// One read buffer for all sockets: an idle socket holds no memory for reading, and large reads save
// half of a receiver's CPU time.
import net from "node:net"
import type { Duplex } from "node:stream"
import { limits } from "./limits.ts"

const memory = Buffer.allocUnsafeSlow(limits.readBytes)

/** Receives the bytes of a stream. */
export interface Receiver {
  /** The memory of the chunk is read into again after the call. */
  readonly received: (chunk: Uint8Array) => void
}

/** The receiver of a stream. A paused socket may be without one. */
export const receiver = Symbol("sealwire/transports/receiver")

/** A stream with a receiver. */
export type Received<R extends Receiver = Receiver> = Duplex & { [receiver]?: R }

/** Returns the chunk, or a copy if its memory is the shared buffer: for bytes that are kept. */
export const owned = (chunk: Uint8Array): Uint8Array => {
  if (chunk.buffer !== memory.buffer) return chunk
  const copy = Buffer.allocUnsafeSlow(chunk.length)
  copy.set(chunk)
  return copy
}

/** The option of net.Socket. Node calls the callback with the socket as `this`. */
const onread = {
  buffer: memory,
  callback(this: Received, length: number): boolean {
    this[receiver]?.received(memory.subarray(0, length))
    // A stream that is resumed and paused in one turn starts to read all the same.
    return !this.isPaused()
  }
}

/** False on Bun and Deno, whose `onread` is an implementation of their own. */
export const isPossible = process.versions.bun === undefined && process.versions.deno === undefined

/** The options of a connecting socket that reads into the shared buffer. */
export const connecting = { onread } as const

type Handle = { readonly useUserBuffer?: unknown }

/**
 * Returns a socket that takes over the accepted one and reads into the shared buffer; undefined
 * where this cannot be done. Node has the option for connecting sockets only.
 */
export const adopt = (
  accepted: net.Socket,
  options: net.SocketConstructorOpts
): net.Socket | undefined => {
  const holder = accepted as unknown as { _handle?: Handle | null }
  const handle = holder._handle
  if (typeof handle?.useUserBuffer !== "function") return undefined
  holder._handle = null
  // The descriptor is paused, and Node knows the accepted object no longer.
  return new net.Socket({
    ...options,
    handle,
    onread,
    pauseOnCreate: true
  } as net.SocketConstructorOpts)
}

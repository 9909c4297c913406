// A Flow over a Node stream: one object for each connection, and listener functions that all
// connections share.
import type { Duplex } from "node:stream"
import * as Release from "../bytes/Release.ts"
import type { Flow, FlowListener, Wire } from "./Flow.ts"
import { limits } from "./limits.ts"
import { owned, receiver, type Received, type Receiver } from "./SharedReads.ts"
import { ConnectionLost } from "./TransportErrors.ts"

/** The stream that a listener function is called on. */
type Stream = Received<StreamFlow>

function onData(this: Stream, chunk: Uint8Array): void {
  this[receiver]?.received(chunk)
}
function onOwnData(this: Stream, chunk: Uint8Array): void {
  this[receiver]?.received(Release.own(chunk))
}
function onEnd(this: Stream): void {
  this[receiver]?.ended()
}
function onDrain(this: Stream): void {
  this[receiver]?.drained()
}
function onError(this: Stream, error: NodeJS.ErrnoException): void {
  this[receiver]?.lose(error)
}
function onClose(this: Stream): void {
  this[receiver]?.lose(this.errored)
}

/**
 * Buffers the chunks of a stream until there is a listener or they are read; pauses the stream when
 * the buffer is full.
 */
export class StreamFlow implements Flow, Receiver {
  readonly stream: Duplex
  readonly wire: Wire
  #buffered: Array<Uint8Array> = []
  #bufferedBytes = 0
  #ended = false
  /**
   * The code of the loss. The error is made on demand: it costs as much CPU as a record, and most
   * connections end without one.
   */
  #lostCode: string | undefined
  #listener: FlowListener | undefined
  #waiting: { readonly wake: () => void } | undefined
  #onLost: Set<() => void> | undefined

  constructor(wire: Wire) {
    const stream: Stream = wire.stream
    this.stream = stream
    this.wire = wire
    stream[receiver] = this
    // Each waiting writer adds listeners, and Node warns above ten.
    stream.setMaxListeners(0)
    // Never removed: an 'error' event without a listener ends the process.
    stream.on("error", onError)
    stream.on("close", onClose)
    stream.on("end", onEnd)
    stream.on("drain", onDrain)
    if (wire.sharesReads !== true) stream.on("data", wire.ownsChunks === true ? onOwnData : onData)
    stream.pause()
    // The stream was destroyed before these listeners existed; its events have passed.
    if (stream.destroyed) this.lose(stream.errored)
  }

  // ---- Flow

  start(listener: FlowListener): void {
    this.#listener = listener
    // The listener may call stop in any of its callbacks.
    while (this.#listener === listener && this.#buffered.length > 0)
      listener.bytes(this.#shift() as Uint8Array)
    if (this.#listener === listener && this.#ended) listener.end()
    if (this.#listener === listener && this.#lostCode !== undefined) listener.lost(this.#lostCode)
    if (this.#listener === listener) this.stream.resume()
  }

  stop(unread: Uint8Array): void {
    this.#listener = undefined
    this.stream.pause()
    if (unread.length === 0) return
    this.#buffered.unshift(owned(unread))
    this.#bufferedBytes += unread.length
  }

  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  write(bytes: Uint8Array, released?: () => void): boolean {
    const { stream } = this
    if (this.isLost || stream.writableEnded) return true
    if (released === undefined) return stream.write(bytes)
    let isReleased = false
    const release = () => {
      if (isReleased) return
      isReleased = true
      released()
    }
    const hasRoom = stream.write(bytes, release)
    // The kernel has taken all. Node calls back by nextTick, which a writer that never waits
    // starves: each of its writes would need new memory.
    if (stream.writableLength === 0) release()
    return hasRoom
  }

  release(chunk: Uint8Array): void {
    Release.release(chunk)
  }

  end(): void {
    const { stream } = this
    if (!stream.writableEnded && !stream.destroyed) stream.end()
  }

  reset(): void {
    this.wire.reset()
  }

  isResetByPeer(): boolean {
    return this.isLost || this.wire.isResetByPeer?.() === true
  }

  // ---- for the Effects of Connection

  /** The error of a lost connection; undefined while it is open. */
  get lost(): ConnectionLost | undefined {
    return this.#lostCode === undefined
      ? undefined
      : new ConnectionLost({ peer: this.wire.peer, code: this.#lostCode })
  }

  /** True once the connection is lost. */
  get isLost(): boolean {
    return this.#lostCode !== undefined
  }

  /** True after the peer's end, when every chunk was taken. */
  get isAtEnd(): boolean {
    return this.#ended && this.#buffered.length === 0
  }

  /** Takes the next buffered chunk. */
  take(): Uint8Array | undefined {
    return this.#shift()
  }

  /** Reads on until the next event, then calls back once. Returns a function that cancels it. */
  awaitEvent(wake: () => void): () => void {
    const waiting = { wake }
    this.#waiting = waiting
    this.stream.resume()
    return () => {
      if (this.#waiting === waiting) this.#waiting = undefined
    }
  }

  /** Calls back when the connection is lost. Returns a function that cancels it. */
  onLost(callback: () => void): () => void {
    const callbacks = (this.#onLost ??= new Set())
    callbacks.add(callback)
    return () => callbacks.delete(callback)
  }

  // ---- events of the stream

  /** Receives a chunk; a shared buffer is read into again after the call. */
  received(chunk: Uint8Array): void {
    if (this.#listener !== undefined) return this.#listener.bytes(chunk)
    for (let at = 0; at < chunk.length; at += limits.chunkBytes)
      this.#buffered.push(owned(chunk.subarray(at, at + limits.chunkBytes)))
    this.#bufferedBytes += chunk.length
    if (
      this.#bufferedBytes >= limits.readAheadBytes ||
      this.#buffered.length >= limits.readAheadChunks
    )
      this.stream.pause()
    this.#wake()
  }

  ended(): void {
    const error = this.wire.endError?.()
    if (error === undefined) this.#ended = true
    else this.stream.destroy(error)
    this.#wake()
    if (this.#ended) this.#listener?.end()
  }

  drained(): void {
    this.#listener?.drained()
  }

  lose(error: NodeJS.ErrnoException | null): void {
    if (this.#lostCode === undefined) {
      this.#lostCode = error?.code ?? "CLOSED"
      this.#listener?.lost(this.#lostCode)
    }
    this.#wake()
    const callbacks = this.#onLost
    this.#onLost = undefined
    for (const callback of callbacks ?? []) callback()
  }

  #shift(): Uint8Array | undefined {
    const chunk = this.#buffered.shift()
    this.#bufferedBytes -= chunk?.length ?? 0
    return chunk
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.wake()
  }
}

// The items that a program reads from a channel, and the queue of those that are not read yet.
import type { ChannelError } from "./ChannelErrors.ts"

/** A control message from the program at the other end, in order with DATA. 1 to 4,096 bytes. */
export class Control {
  readonly body: Uint8Array
  constructor(body: Uint8Array) {
    this.body = body
  }
}

/** The result of a read: bytes of the stream, or a control message. */
export type ChannelItem = Uint8Array | Control

/**
 * The channel with callbacks instead of an Effect per read and write, for programs that move many
 * bytes.
 */
export interface ChannelFlow {
  /**
   * Sends every item to the listener, synchronously and in order, queued items first. `read` must
   * not be used before `stop`.
   */
  readonly start: (listener: ChannelListener) => void
  /**
   * Detaches the listener and resumes delivery: later items wait for the next listener, or for
   * `read`.
   */
  readonly stop: () => void
  /** Pauses delivery; back-pressure stops the peer. */
  readonly pause: () => void
  /** Resumes delivery. */
  readonly resume: () => void
  /**
   * Sends bytes; writes of one turn share a record. Returns false when the send buffer is full; the
   * listener's `drained` follows. Does nothing after the channel has closed. Calls `released` when
   * the memory may be reused; the caller must not change it before.
   */
  readonly write: (bytes: Uint8Array, released?: () => void) => boolean
  /**
   * The same in records of their own, at once: the caller may change the bytes afterwards, as the
   * flow of a socket does.
   */
  readonly writeNow: (bytes: Uint8Array) => boolean
  /**
   * Frees the memory of bytes that were read, from a listener or with `Channel.read`: they are empty
   * afterwards. The caller has the only references. It is not needed, but leaving the bytes of a
   * heavy flow to the garbage collector costs a third of the receiver's CPU time.
   */
  readonly release: (bytes: Uint8Array) => void
  /** Returns the error that a write would fail with; undefined while writing is possible. */
  readonly writeError: () => ChannelError | undefined
  /** Sends a control message, as `Channel.sendControl`. */
  readonly sendControl: (body: Uint8Array) => void
  /** Sends FIN. */
  readonly end: () => void
}

/** Receives the events of a ChannelFlow. */
export interface ChannelListener {
  /** The next item. */
  readonly item: (item: ChannelItem) => void
  /** The send buffer has room again. */
  readonly drained: () => void
  /** The peer has sent FIN, and all items were delivered. */
  readonly end: () => void
  /**
   * The channel has closed in both directions. Called once, and last. Without a preceding `end`, undelivered
   * items are dropped.
   */
  readonly closed: (error: ChannelError) => void
}

/** The items that were received but not read. */
export class ReceiveQueue {
  readonly #items: Array<ChannelItem> = []
  /** The memory that the items hold, in bytes. */
  bytes = 0

  get length(): number {
    return this.#items.length
  }

  push(item: ChannelItem): void {
    this.#items.push(item)
    this.bytes += sizeOf(item)
  }

  shift(): ChannelItem | undefined {
    const item = this.#items.shift()
    if (item !== undefined) this.bytes -= sizeOf(item)
    return item
  }

  clear(): void {
    this.#items.length = 0
    this.bytes = 0
  }
}

/**
 * Returns the memory of an item: its whole record, padding included, and the overhead of an object.
 */
const sizeOf = (item: ChannelItem): number =>
  itemOverhead + (item instanceof Control ? item.body : item).buffer.byteLength
const itemOverhead = 256

// What the program reads of a channel, and the list of what it has not yet read.
import type { ChannelError } from "./ChannelErrors.ts"

/** A message of the program to its twin, in the order of the bytes around it; at most 4,096 bytes. */
export class Control {
  readonly body: Uint8Array
  constructor(body: Uint8Array) {
    this.body = body
  }
}

/** What a read gives. */
export type ChannelItem = Uint8Array | Control

/** The channel without an Effect for each read and write: for a program that moves many bytes. */
export interface ChannelFlow {
  /** From now on every item goes to the sink, synchronously and in order, those that lie ready first. `read` is over. */
  readonly start: (sink: ChannelListener) => void
  /** Stops and restarts what comes; the peer is held back. */
  readonly pause: () => void
  /** Goes on. */
  readonly resume: () => void
  /** Seals and sends. False when the peer does not keep up: the sink hears `drained`. Nothing once it is over. `taken` is called when the memory is not needed any more. */
  readonly write: (bytes: Uint8Array, taken?: () => void) => boolean
  /** Why nothing can be written, now; undefined when it can. */
  readonly writeError: () => ChannelError | undefined
  /** As `Channel.control`. */
  readonly sendControl: (body: Uint8Array) => void
  /** Says FIN. */
  readonly end: () => void
}

/** What hears an ItemFlow. */
export interface ChannelListener {
  /** The next item. */
  readonly item: (item: ChannelItem) => void
  /** The peer keeps up again. */
  readonly drained: () => void
  /** The peer has said FIN. */
  readonly end: () => void
  /** Nothing more either way, once. After `end` what was said came whole; else what was not yet taken is dropped. */
  readonly closed: (why: ChannelError) => void
}

/** What has come and is not read. */
export class ReceiveQueue {
  readonly #items: Array<ChannelItem> = []
  /** The memory it holds. */
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

/** The memory an unread item holds: a view keeps its whole record, padding too, and even one byte costs an object. */
const sizeOf = (item: ChannelItem): number =>
  itemBytes + (item instanceof Control ? item.body : item).buffer.byteLength
const itemBytes = 256

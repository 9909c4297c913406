// The peer's direction of a channel: from its records to the program's reads, or to its listener.
import * as Effect from "effect/Effect"
import type { Flow } from "../transports/Connection.ts"
import type { ChannelError } from "./ChannelErrors.ts"
import { ReceiveQueue, type ChannelItem, type ChannelListener } from "./ChannelItem.ts"
import type { Closing } from "./Closing.ts"
import { limits } from "./limits.ts"

type Read = Effect.Effect<ChannelItem | undefined, ChannelError>

/**
 * Holds the items that were received and not read. It pauses the byte stream above
 * `limits.unreadBytes` of them, and while the listener pauses.
 */
export class Reading {
  readonly #flow: Flow
  readonly #closing: Closing
  readonly #unread = new ReceiveQueue()
  /** Finished: the peer has sent FIN, or CLOSE with code Done. */
  #state: "open" | "finished" = "open"
  /** DATA bytes received. */
  #received = 0
  /** The waiting read. */
  #reader: ((read: Read) => void) | undefined
  #isInterrupted = false
  #listener: ChannelListener | undefined
  #isPaused = false
  #hasListenerEnd = false

  constructor(flow: Flow, closing: Closing) {
    this.#flow = flow
    this.#closing = closing
  }

  get isFinished(): boolean {
    return this.#state === "finished"
  }

  get received(): number {
    return this.#received
  }

  /** True while this side may be the reason for which nothing arrives. */
  get isBusy(): boolean {
    return this.#isPaused || this.#unread.bytes >= limits.unreadBytes / 2
  }

  get listener(): ChannelListener | undefined {
    return this.#listener
  }

  // ---- from the records

  /** Adds an item, of which `dataBytes` are DATA. */
  add(item: ChannelItem, dataBytes: number): void {
    this.#received += dataBytes
    this.#unread.push(item)
  }

  /** The peer sends nothing more. What was received remains readable. */
  finish(): void {
    this.#state = "finished"
  }

  /** All records of a chunk were added. */
  endOfChunk(): void {
    if (this.#listener !== undefined) return this.deliver()
    if (this.#unread.bytes >= limits.unreadBytes) this.#flow.pause()
    if (this.#unread.length > 0) this.wake()
  }

  /** Drops what was not read, and reads on to the end of the byte stream. */
  drop(): void {
    this.#unread.clear()
    this.#flow.resume()
  }

  // ---- reads

  readonly read: Read = Effect.suspend(() => this.#take() ?? this.#wait)

  readonly #wait: Read = Effect.async((resume) => {
    this.#reader = resume
    return Effect.sync(() => {
      this.#reader = undefined
    })
  })

  #take(): Read | undefined {
    const item = this.#unread.shift()
    if (item === undefined) {
      if (!this.isFinished && !this.#isInterrupted) return this.#closing.error
      this.#isInterrupted = false
      return Effect.succeed(undefined)
    }
    if (this.#unread.bytes < limits.unreadBytes / 2) this.#flow.resume()
    return Effect.succeed(item)
  }

  readonly interruptRead: Effect.Effect<void> = Effect.sync(() => {
    this.#isInterrupted = true
    this.wake()
  })

  /** Wakes the waiting read. */
  wake(): void {
    const resume = this.#reader
    if (resume === undefined) return
    this.#reader = undefined
    // The fiber takes the item itself, so that an interruption at this moment loses none.
    resume(this.read)
  }

  // ---- listener

  start(listener: ChannelListener): void {
    this.#listener = listener
    if (!this.#isPaused) this.#flow.resume()
    this.deliver()
  }

  pause(): void {
    this.#isPaused = true
    this.#flow.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.deliver()
    if (!this.#isPaused) this.#flow.resume()
  }

  /** Detaches the listener: what follows waits for the next one, or for `read`. */
  stop(): void {
    this.#listener = undefined
    this.#hasListenerEnd = false
    if (this.#isPaused) this.resume()
  }

  /** Delivers the unread items to the listener until it pauses, then the end of the channel. */
  deliver(): void {
    const listener = this.#listener
    if (listener === undefined) return
    while (!this.#isPaused) {
      const item = this.#unread.shift()
      if (item === undefined) break
      listener.item(item)
      if (this.#listener !== listener) return
    }
    const isComplete = this.isFinished && this.#unread.length === 0
    if (isComplete && !this.#hasListenerEnd) {
      this.#hasListenerEnd = true
      listener.end()
    }
    // After an incomplete stream `closed` does not wait for unread items: a paused listener may
    // never take them.
    if (!this.#closing.isEnded || (this.isFinished && !isComplete)) return
    if (this.#listener !== listener) return
    this.#listener = undefined
    listener.closed(this.#closing.error as ChannelError)
  }
}

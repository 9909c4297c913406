import * as Effect from "effect/Effect"
import { discard } from "../../bytes/Release.ts"
import type { ChannelFlow } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import type { Batch } from "./MessageFrame.ts"

/** A batch that waits for room in the send buffer. */
interface Waiting {
  readonly write: () => void
  readonly fail: (error: ChannelError) => void
}

/**
 * Writes batches of messages in the order of the calls: at once while the send buffer has room, and
 * one after the other when it has room again. `drained` and `closed` are called by the listener of
 * the flow.
 */
export class BatchWriter {
  readonly #flow: ChannelFlow
  #isFull = false
  readonly #waiting = new Set<Waiting>()

  constructor(flow: ChannelFlow) {
    this.#flow = flow
  }

  /**
   * Writes a batch; `onWrite` is called in the same step, just before, and also before a failure.
   * Completes when the batch is in the send buffer.
   */
  write(batch: Batch, onWrite: () => void): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const error = this.#flow.writeError()
      if (error !== undefined) {
        onWrite()
        return error
      }
      if (this.#isFull) return this.#waitAndWrite(batch, onWrite)
      this.writeNow(batch, onWrite)
      return Effect.void
    })
  }

  /** The send buffer has room again. */
  drained(): void {
    this.#isFull = false
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting)
      waiting.write()
      if (this.#isFull) return
    }
  }

  /** The channel has closed: nothing more can be written. */
  closed(error: ChannelError): void {
    for (const { fail } of this.#waiting) fail(error)
    this.#waiting.clear()
  }

  /** False while batches wait, or nothing can be written any more. */
  get hasRoom(): boolean {
    return !this.#isFull && this.#flow.writeError() === undefined
  }

  /** Writes a batch, if `hasRoom`. */
  writeNow({ chunks }: Batch, onWrite: () => void): void {
    onWrite()
    for (const chunk of chunks) this.#write(chunk)
  }

  /**
   * The same for a batch that is not sent again: the memory of its frames is freed once they are
   * sealed, which spares the collector of a fast sender a fifth of its time. A long text is its
   * caller's.
   */
  writeOnce({ chunks }: Batch, onWrite: () => void): void {
    onWrite()
    for (const [index, chunk] of chunks.entries())
      this.#write(chunk, index === 0 ? () => discard(chunk) : undefined)
  }

  #write(chunk: Uint8Array, released?: () => void): void {
    if (!this.#flow.write(chunk, released)) this.#isFull = true
  }

  #waitAndWrite(batch: Batch, onWrite: () => void): Effect.Effect<void, ChannelError> {
    return Effect.async((resume) => {
      const waiting: Waiting = {
        write: () => {
          this.writeNow(batch, onWrite)
          resume(Effect.void)
        },
        fail: (error) => {
          onWrite()
          resume(Effect.fail(error))
        }
      }
      this.#waiting.add(waiting)
      return Effect.sync(() => this.#waiting.delete(waiting))
    })
  }
}

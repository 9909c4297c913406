/** What has come of a frame that is not whole yet. Copied together: a chunk is a view of its whole record, and a small one costs more than its bytes. */
export class FrameBuffer {
  readonly #least: number
  #held = Buffer.alloc(0)
  #bytes = 0
  /** Bytes of the unfinished frame, once its length is known. */
  #wanted: number

  /** No frame has less than `least` bytes. */
  constructor(least: number) {
    this.#least = least
    this.#wanted = least
  }

  /** All that is there, once it may be more than was known of it: read it, and `keep` the rest. */
  add(chunk: Uint8Array): Buffer | undefined {
    if (this.#bytes > 0 || chunk.length < this.#wanted) this.#gather(chunk)
    const all = this.#bytes > 0 ? this.#held.subarray(0, this.#bytes) : chunk
    return all.length < this.#wanted
      ? undefined
      : Buffer.from(all.buffer, all.byteOffset, all.length)
  }

  /** Everything before `at` is done with; the frame that begins there has `wanted` bytes, as far as is known. */
  keep(view: Uint8Array, at: number, wanted = this.#least): void {
    this.#wanted = wanted
    if (at === 0 && this.#bytes > 0) return
    this.#held = Buffer.alloc(0)
    this.#bytes = 0
    this.#gather(view.subarray(at))
  }

  get bytes(): number {
    return this.#bytes
  }

  #gather(chunk: Uint8Array): void {
    const bytes = this.#bytes + chunk.length
    if (bytes > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.max(bytes, Math.min(2 * this.#held.length, this.#wanted))
      )
      larger.set(this.#held.subarray(0, this.#bytes))
      this.#held = larger
    }
    this.#held.set(chunk, this.#bytes)
    this.#bytes = bytes
  }
}

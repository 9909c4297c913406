const empty = Buffer.alloc(0)

/**
 * Assembles frames from a byte stream that arrives in chunks of any size.
 *
 * Bytes that lie in one chunk are returned as a view of it. Only bytes that span chunks are copied,
 * into memory of at most four times the bytes received, however long a peer announces a frame. When
 * `has`, `need` or `take` reports that bytes are missing, the buffer has copied the rest of the
 * last chunk and refers to it no longer: a small rest of a large record does not keep the record in
 * memory, and its owner may reuse it. Returned views stay valid; the buffer never writes to them.
 *
 * @example
 * buffer.append(chunk)
 * for (let header = buffer.need(4); header !== undefined; header = buffer.need(4)) {
 *   const length = header.readUInt32BE()
 *   if (length > limit) return tooLong // before the body is waited for
 *   const frame = buffer.take(4 + length)
 *   if (frame === undefined) break // append the next chunk and try again
 *   use(frame.subarray(4))
 * }
 */
export class FrameBuffer {
  readonly #limit: number
  /** The last chunk; its bytes before `#offset` are consumed or copied. */
  #chunk: Buffer = empty
  #offset = 0
  /** The start of a frame that spans chunks: the bytes from `#start` to `#end`. */
  #held: Buffer = empty
  #start = 0
  #end = 0

  /** `limit` is the size of the largest frame, in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Number of unread bytes. */
  get length(): number {
    return this.#end - this.#start + this.#chunk.length - this.#offset
  }

  /**
   * Adds a chunk after the unread bytes. The chunk must not change until it is consumed or copied.
   */
  append(chunk: Uint8Array): void {
    if (this.#offset < this.#chunk.length) this.#hold(this.length)
    this.#chunk = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    this.#offset = 0
  }

  /**
   * Returns whether the next `count` bytes are complete; they are then at `offset` of `bytes`.
   * Throws a RangeError when `count` exceeds the limit: callers check the length field of a frame
   * first.
   */
  has(count: number): boolean {
    if (count > this.#limit)
      throw new RangeError(`a frame of ${count} bytes exceeds the limit of ${this.#limit}`)
    const held = this.#end - this.#start
    if ((held === 0 ? this.#chunk.length - this.#offset : held) >= count) return true
    this.#hold(count)
    return this.#end - this.#start >= count
  }

  /**
   * The memory of the unread bytes, after `has` has returned true. For loops that avoid a view per
   * frame.
   */
  get bytes(): Buffer {
    return this.#end > this.#start ? this.#held : this.#chunk
  }

  /** The position of the next unread byte in `bytes`. */
  get offset(): number {
    return this.#end > this.#start ? this.#start : this.#offset
  }

  /** Consumes `count` bytes, after `has` has returned true for them. */
  skip(count: number): void {
    if (this.#end > this.#start) {
      this.#start += count
      if (this.#start < this.#end) return
      this.#held = empty
      this.#start = 0
      this.#end = 0
    } else {
      this.#offset += count
      if (this.#offset === this.#chunk.length) this.#release()
    }
  }

  /** Returns the next `count` bytes without consuming them, or undefined while some are missing. */
  need(count: number): Buffer | undefined {
    return this.has(count) ? this.bytes.subarray(this.offset, this.offset + count) : undefined
  }

  /** Consumes and returns the next `count` bytes, or returns undefined while some are missing. */
  take(count: number): Buffer | undefined {
    const bytes = this.need(count)
    if (bytes !== undefined) this.skip(count)
    return bytes
  }

  /**
   * Consumes and returns the next bytes without copying: at most `count`, none when none are
   * unread.
   */
  takeUpTo(count: number): Buffer {
    const [bytes, offset] = [this.bytes, this.offset]
    const end = Math.min(offset + count, this.#end > this.#start ? this.#end : bytes.length)
    if (end > offset) this.skip(end - offset)
    return bytes.subarray(offset, end)
  }

  /**
   * Copies bytes of the chunk after the held ones, until `count` are held or the chunk is empty.
   */
  #hold(count: number): void {
    const held = this.#end - this.#start
    const rest = this.#chunk.subarray(this.#offset, this.#offset + count - held)
    if (rest.length === 0) return
    if (this.#end + rest.length > this.#held.length) {
      // Growing fourfold copies a third of the bytes again. Slow: a slice of Node's pool keeps the
      // pool alive.
      const size = Math.max(held + rest.length, Math.min(4 * this.#held.length, count))
      const larger = Buffer.allocUnsafeSlow(size)
      larger.set(this.#held.subarray(this.#start, this.#end))
      this.#held = larger
      this.#start = 0
      this.#end = held
    }
    this.#held.set(rest, this.#end)
    this.#end += rest.length
    this.#offset += rest.length
    if (this.#offset === this.#chunk.length) this.#release()
  }

  #release(): void {
    this.#chunk = empty
    this.#offset = 0
  }
}

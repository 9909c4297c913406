// Standard input, cut into messages.

/** Bytes become lines. Holds one unfinished line, of at most so many bytes. */
export class LineSplitter {
  readonly #most: number
  #held = Buffer.alloc(0)
  #bytes = 0
  #count = 0
  /** What is the matter with the line after those that were given. */
  fault: string | undefined

  constructor(most: number) {
    this.#most = most
  }

  push(chunk: Buffer): ReadonlyArray<Uint8Array> {
    const found: Array<Uint8Array> = []
    let at = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, at)) {
      const line = this.#line(chunk.subarray(at, end))
      if (this.fault !== undefined) return found
      found.push(line)
      this.#count++
      at = end + 1
    }
    if (at < chunk.length) this.#gather(chunk.subarray(at))
    return found
  }

  end(): ReadonlyArray<Uint8Array> {
    return this.#bytes === 0 || this.fault !== undefined ? [] : [this.#line(Buffer.alloc(0))]
  }

  #line(last: Buffer): Uint8Array {
    if (this.#bytes === 0) return last
    this.#gather(last)
    const line = this.#held.subarray(0, this.#bytes)
    this.#held = Buffer.alloc(0)
    this.#bytes = 0
    return line
  }

  #gather(piece: Buffer): void {
    const bytes = this.#bytes + piece.length
    if (bytes > this.#most)
      this.fault = `line ${this.#count + 1} has more than ${this.#most.toLocaleString("en-US")} bytes; that is no message`
    if (bytes > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#held.length))
      larger.set(this.#held.subarray(0, this.#bytes))
      this.#held = larger
    }
    this.#held.set(piece, this.#bytes)
    this.#bytes = bytes
  }
}

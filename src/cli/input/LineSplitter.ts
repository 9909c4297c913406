import { FrameBuffer } from "../../bytes/FrameBuffer.ts"

/**
 * Splits a stream of bytes into lines. Holds at most one incomplete line, within a limit in bytes.
 */
export class LineSplitter {
  readonly #limit: number
  readonly #buffer: FrameBuffer
  #count = 0
  /** The error of the line after those that were returned. */
  problem: string | undefined

  constructor(limit: number) {
    this.#limit = limit
    // One byte more tells a line that is too long from the longest one.
    this.#buffer = new FrameBuffer(limit + 1)
  }

  push(chunk: Buffer): ReadonlyArray<Uint8Array> {
    const buffer = this.#buffer
    buffer.append(chunk)
    const lines: Array<Uint8Array> = []
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, end + 1)) {
      const length = buffer.length - (chunk.length - end)
      const line = length > this.#limit ? undefined : buffer.take(length)
      if (line === undefined) {
        this.#fail()
        return lines
      }
      lines.push(line)
      buffer.skip(1)
      this.#count++
    }
    if (buffer.has(this.#limit + 1)) this.#fail()
    return lines
  }

  /** Returns the last line when the input does not end with a newline. */
  end(): ReadonlyArray<Uint8Array> {
    if (this.#buffer.length === 0 || this.problem !== undefined) return []
    return [this.#buffer.takeUpTo(this.#buffer.length)]
  }

  #fail(): void {
    this.problem = `line ${this.#count + 1} has more than ${this.#limit.toLocaleString("en-US")} bytes, more than a message may have`
  }
}

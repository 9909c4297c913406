import { release } from "../bytes/Release.ts"
import type { ChannelError } from "./ChannelErrors.ts"
import type { ChannelFlow, ChannelListener } from "./ChannelItem.ts"
import type { Reading } from "./Reading.ts"
import type { Writing } from "./Writing.ts"

/**
 * The two directions of a channel as its ChannelFlow. A class, because a function for each member
 * would hold half a KiB of memory for each channel.
 */
export class DuplexFlow implements ChannelFlow {
  readonly #reading: Reading
  readonly #writing: Writing

  constructor(reading: Reading, writing: Writing) {
    this.#reading = reading
    this.#writing = writing
  }

  start(listener: ChannelListener): void {
    this.#reading.start(listener)
  }

  stop(): void {
    this.#reading.stop()
  }

  pause(): void {
    this.#reading.pause()
  }

  resume(): void {
    this.#reading.resume()
  }

  write(bytes: Uint8Array, released?: () => void): boolean {
    return this.#writing.flowData(bytes, released)
  }

  writeNow(bytes: Uint8Array): boolean {
    return this.#writing.flowDataNow(bytes)
  }

  release(bytes: Uint8Array): void {
    release(bytes)
  }

  writeError(): ChannelError | undefined {
    return this.#writing.error()
  }

  sendControl(body: Uint8Array): void {
    this.#writing.flowControl(body)
  }

  end(): void {
    this.#writing.flowEnd()
  }
}

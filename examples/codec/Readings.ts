// A codec for the bytes inside a channel: sensor readings, each as a length and JSON.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export const limits = {
  /** Longest JSON of a reading, in bytes. A larger length is rejected before its bytes arrive. */
  readingBytes: 4096
} as const

export class Reading extends Schema.Class<Reading>("Reading")({
  sensor: Schema.String.pipe(Schema.maxLength(100)),
  /** An integer without -0: JSON turns it into 0, as the first property of this codec found. */
  milliCelsius: Schema.Int,
  note: Schema.optional(Schema.String.pipe(Schema.maxLength(100)))
}) {}

const json = Schema.parseJson(Reading)
const encodeJson = Schema.encodeSync(json)
const decodeJson = Schema.decodeUnknownOption(json)

/** length (2 bytes, big-endian) | JSON (UTF-8) */
export const encode = (reading: Reading): Uint8Array => {
  const body = Buffer.from(encodeJson(reading))
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([length, body])
}

/** Decodes a stream of bytes in chunks of any size. */
export class Decoder {
  #buffer = Buffer.alloc(0)

  /** True between two readings: the only position at which a stream may end. */
  get isEmpty(): boolean {
    return this.#buffer.length === 0
  }

  /**
   * Returns the readings that are now complete; undefined for malformed bytes, which end the
   * stream.
   */
  push(chunk: Uint8Array): ReadonlyArray<Reading> | undefined {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    const readings: Array<Reading> = []
    while (this.#buffer.length >= 2) {
      const end = 2 + this.#buffer.readUInt16BE()
      if (end > 2 + limits.readingBytes) return undefined
      if (this.#buffer.length < end) break
      const reading = decodeJson(this.#buffer.toString("utf8", 2, end))
      if (Option.isNone(reading)) return undefined
      readings.push(reading.value)
      this.#buffer = this.#buffer.subarray(end)
    }
    return readings
  }
}

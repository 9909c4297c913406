// A codec of one's own for the bytes inside a channel: readings of sensors, each its length and its JSON.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export const limits = {
  /** A reading's JSON, in bytes; a longer length is refused before it is waited for. */
  readingBytes: 4096
} as const

export class Reading extends Schema.Class<Reading>("Reading")({
  sensor: Schema.String.pipe(Schema.maxLength(100)),
  /** An integer: JSON makes 0 of -0, as the first property of this codec found. */
  milliCelsius: Schema.Int,
  note: Schema.optional(Schema.String.pipe(Schema.maxLength(100)))
}) {}

const json = Schema.parseJson(Reading)
const toJson = Schema.encodeSync(json)
const ofJson = Schema.decodeUnknownOption(json)

/** length (2, big-endian) | JSON in UTF-8 */
export const encode = (reading: Reading): Uint8Array => {
  const body = Buffer.from(toJson(reading))
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([length, body])
}

/** Takes bytes as they come, in pieces of any size. */
export class Decoder {
  #held = Buffer.alloc(0)

  /** True between two readings: the only place where a stream may end. */
  get isEmpty(): boolean {
    return this.#held.length === 0
  }

  /** The readings that are whole now; undefined for what is none: the stream is over then. */
  push(chunk: Uint8Array): ReadonlyArray<Reading> | undefined {
    this.#held = Buffer.concat([this.#held, chunk])
    const readings: Array<Reading> = []
    while (this.#held.length >= 2) {
      const end = 2 + this.#held.readUInt16BE()
      if (end > 2 + limits.readingBytes) return undefined
      if (this.#held.length < end) break
      const reading = ofJson(this.#held.toString("utf8", 2, end))
      if (Option.isNone(reading)) return undefined
      readings.push(reading.value)
      this.#held = this.#held.subarray(end)
    }
    return readings
  }
}

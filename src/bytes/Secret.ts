import { createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from "node:crypto"
import { inspect } from "node:util"

/**
 * Bytes that never print: `String(secret)`, `JSON.stringify`, template strings, `util.inspect` and Effect's
 * logger all show `<secret>`. It keeps a copy of its own; the giver may wipe theirs.
 *
 * @example
 * const secret = Secret.random(32)
 * `${secret}` // "<secret>"
 */
export class Secret {
  readonly #bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.alloc(bytes.length)
    this.#bytes.set(bytes)
  }

  /** `length` fresh bytes from the operating system's generator. */
  static random(length: number): Secret {
    return new Secret(randomBytes(length))
  }

  get length(): number {
    return this.#bytes.length
  }

  /** The bytes themselves, for a primitive or a file. Do not keep them. */
  expose(): Uint8Array {
    return this.#bytes
  }

  /** A copy of bytes `start` to `end`, as `Uint8Array.slice` counts. */
  slice(start: number, end?: number): Secret {
    return new Secret(this.#bytes.subarray(start, end))
  }

  /** As node:crypto takes it. */
  keyObject(): KeyObject {
    return createSecretKey(this.#bytes)
  }

  /** In constant time for secrets of one length. */
  equals(other: Secret): boolean {
    return this.length === other.length && timingSafeEqual(this.#bytes, other.#bytes)
  }

  /** True when every byte is zero: what a generator that failed leaves behind. */
  get isZero(): boolean {
    return this.#bytes.every((byte) => byte === 0)
  }

  /** `<secret>`. */
  toString(): string {
    return "<secret>"
  }

  /** `<secret>`. */
  toJSON(): string {
    return "<secret>"
  }

  /** `<secret>`. */
  [inspect.custom](): string {
    return "<secret>"
  }
}

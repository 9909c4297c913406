import { createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from "node:crypto"
import { inspect } from "node:util"

/**
 * Bytes that never print: `String(secret)`, `JSON.stringify`, template strings, `util.inspect` and
 * Effect's logger show `<secret>`. A Secret holds its own copy, so that the caller may wipe the
 * original.
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

  /** Makes a secret of `length` random bytes from the operating system's generator. */
  static random(length: number): Secret {
    return new Secret(randomBytes(length))
  }

  get length(): number {
    return this.#bytes.length
  }

  /** Returns the bytes themselves, for a primitive or a file. Do not keep them. */
  expose(): Uint8Array {
    return this.#bytes
  }

  /** Copies the bytes from `start` to `end`, as `Uint8Array.slice` counts. */
  slice(start: number, end?: number): Secret {
    return new Secret(this.#bytes.subarray(start, end))
  }

  /** Returns the bytes as a KeyObject of node:crypto. */
  keyObject(): KeyObject {
    return createSecretKey(this.#bytes)
  }

  /** Compares in constant time. The lengths are not secret. */
  equals(other: Secret): boolean {
    return this.length === other.length && timingSafeEqual(this.#bytes, other.#bytes)
  }

  /** True when every byte is zero, as after a failure of the random generator. */
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

/** A bounded set of recently seen messages. */
export class ReplayFilter {
  readonly #capacity: number
  readonly #seen = new Set<string>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /**
   * Returns true for a message that is not in the set, and adds it. The oldest message is dropped.
   */
  isNew(bytes: Uint8Array): boolean {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    for (const oldest of this.#seen) {
      if (this.#seen.size <= this.#capacity) break
      this.#seen.delete(oldest)
    }
    return true
  }
}

/** The last so many things, by their bytes. */
export class ReplayFilter {
  readonly #most: number
  readonly #seen = new Set<string>()

  constructor(most: number) {
    this.#most = most
  }

  /** True the first time; the oldest are forgotten. */
  isNew(bytes: Uint8Array): boolean {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    for (const oldest of this.#seen) {
      if (this.#seen.size <= this.#most) break
      this.#seen.delete(oldest)
    }
    return true
  }
}

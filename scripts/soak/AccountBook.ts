// What must be true of the messages of a server, whatever was killed: each one that was
// acknowledged is in the inbox or was taken, and none is there twice.

interface Entry {
  /** Time of the acknowledgement, in milliseconds; undefined while there is none. */
  acknowledged: number | undefined
  /** ID in the inbox; undefined until the message is seen there. */
  id: string | undefined
  /** `maybe`: the process that acknowledged it was killed. */
  done: "no" | "maybe" | "yes"
}

/** Messages by their keys, each of which is offered once. */
export class AccountBook {
  readonly #entries = new Map<string, Entry>()
  #acknowledged = 0
  #taken = 0

  /** Messages with an acknowledgement. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Messages that were seen in the inbox, each counted once. */
  get taken(): number {
    return this.#taken
  }

  /** Acknowledged messages that were also seen in the inbox. */
  get accounted(): number {
    return [...this.#entries.values()].filter((it) => it.acknowledged !== undefined && it.id).length
  }

  /** Notes a message that is about to be sent. */
  offer(key: string): void {
    if (this.#entries.has(key)) throw new Error(`${key} is offered twice`)
    this.#entries.set(key, { acknowledged: undefined, id: undefined, done: "no" })
  }

  /** Notes that the sender was told that these messages are handled, or kept for ever. */
  acknowledge(keys: ReadonlyArray<string>, at = Date.now()): void {
    for (const key of keys) {
      const entry = this.#entries.get(key)
      if (entry === undefined) throw new Error(`${key} is acknowledged and was not offered`)
      if (entry.acknowledged === undefined) this.#acknowledged++
      entry.acknowledged ??= at
    }
  }

  /** Notes a message that the inbox delivered. Returns a violation, if that is one. */
  take(key: string, id: string): string | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return `${key} (${id}) is in the inbox and was never sent`
    if (entry.id !== undefined && entry.id !== id)
      return `${key} is in the inbox twice, as ${entry.id} and as ${id}`
    if (entry.done === "yes") return `${key} (${id}) was delivered again after it was done`
    if (entry.id === undefined) this.#taken++
    entry.id = id
    return undefined
  }

  /** Notes that the consumer has acknowledged these messages. */
  done(keys: ReadonlyArray<string>): void {
    for (const key of keys) this.#settle(key, "yes")
  }

  /** Notes messages that a consumer printed and may have acknowledged before it was killed. */
  perhapsDone(keys: ReadonlyArray<string>): void {
    for (const key of keys) this.#settle(key, "maybe")
  }

  #settle(key: string, done: "maybe" | "yes"): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined && entry.done !== "yes") entry.done = done
  }

  /**
   * Returns the messages that are lost: acknowledged before `before`, not handled by a consumer, and
   * not pending in an inbox that was listed at that time or later.
   */
  lost(pending: ReadonlySet<string>, before: number): ReadonlyArray<string> {
    return [...this.#entries]
      .filter(
        ([key, { acknowledged, done }]) =>
          acknowledged !== undefined && acknowledged <= before && done === "no" && !pending.has(key)
      )
      .map(([key]) => key)
  }
}

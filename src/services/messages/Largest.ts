/**
 * Items with a size each, of which the largest is known at once. A binary heap: a change of size
 * takes a number of steps that grows with the logarithm of the number of items.
 */
export class Largest<Item> {
  /** Each entry is at least as large as those at `2 * index + 1` and `2 * index + 2`. */
  readonly #heap: Array<{ readonly item: Item; readonly size: number }> = []
  readonly #positions = new Map<Item, number>()

  /** The item with the largest size; undefined without items. */
  get item(): Item | undefined {
    return this.#heap[0]?.item
  }

  /** Sets the size of an item. A size of 0 removes it. */
  set(item: Item, size: number): void {
    const position = this.#positions.get(item) ?? this.#heap.length
    if (size > 0) return this.#place({ item, size }, position)
    const last = this.#heap.at(-1)
    if (last === undefined || position === this.#heap.length) return
    this.#heap.pop()
    this.#positions.delete(item)
    if (last.item !== item) this.#place(last, position)
  }

  /** Puts an entry at a position, and then up or down to where its size belongs. */
  #place(entry: { readonly item: Item; readonly size: number }, position: number): void {
    let at = position
    for (let above = (at - 1) >> 1; at > 0; above = (at - 1) >> 1) {
      const parent = this.#heap[above]
      if (parent === undefined || parent.size >= entry.size) break
      this.#write(parent, at)
      at = above
    }
    for (let below = this.#largerChild(at); below !== undefined; below = this.#largerChild(at)) {
      const child = this.#heap[below]
      if (child === undefined || child.size <= entry.size) break
      this.#write(child, at)
      at = below
    }
    this.#write(entry, at)
  }

  #largerChild(at: number): number | undefined {
    const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]]
    if (left === undefined) return undefined
    return right !== undefined && right.size > left.size ? 2 * at + 2 : 2 * at + 1
  }

  #write(entry: { readonly item: Item; readonly size: number }, position: number): void {
    this.#heap[position] = entry
    this.#positions.set(entry.item, position)
  }
}

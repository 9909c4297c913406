// Sorts many paths without blocking the event loop: runs of them are sorted one in each turn, and
// then merged.
import * as Effect from "effect/Effect"
import { yieldTurn } from "./Disk.ts"
import { limits } from "./limits.ts"

interface Keyed<A> {
  readonly key: string
  readonly item: A
}

/**
 * Returns the items in the order of their keys, by UTF-16 code units. `keyOf` is called once for
 * each item. The event loop gets a turn after every `limits.sortedPerTurn` items.
 */
export const sortInTurns = <A>(
  items: ReadonlyArray<A>,
  keyOf: (item: A) => string
): Effect.Effect<ReadonlyArray<A>> =>
  Effect.gen(function* () {
    let runs: Array<ReadonlyArray<Keyed<A>>> = []
    for (let start = 0; start < items.length; start += limits.sortedPerTurn) {
      if (start > 0) yield* yieldTurn
      const run = items.slice(start, start + limits.sortedPerTurn)
      runs.push(run.map((item) => ({ key: keyOf(item), item })).sort(byKey))
    }
    while (runs.length > 1) {
      const merged: typeof runs = []
      for (let index = 0; index < runs.length; index += 2)
        merged.push(yield* merge(runs[index] ?? [], runs[index + 1] ?? []))
      runs = merged
    }
    const sorted: Array<A> = []
    for (const { item } of runs[0] ?? []) sorted.push(item)
    return sorted
  })

const byKey = (one: { readonly key: string }, other: { readonly key: string }): number =>
  one.key < other.key ? -1 : one.key > other.key ? 1 : 0

const merge = <A>(
  left: ReadonlyArray<Keyed<A>>,
  right: ReadonlyArray<Keyed<A>>
): Effect.Effect<ReadonlyArray<Keyed<A>>> =>
  Effect.gen(function* () {
    if (right.length === 0) return left
    const merged: Array<Keyed<A>> = []
    let [fromLeft, fromRight] = [0, 0]
    const addTurn = () => {
      const end = Math.min(merged.length + limits.sortedPerTurn, left.length + right.length)
      while (merged.length < end) {
        const [one, other] = [left[fromLeft], right[fromRight]]
        const isLeft = one !== undefined && (other === undefined || one.key <= other.key)
        merged.push((isLeft ? one : other) as Keyed<A>)
        if (isLeft) fromLeft++
        else fromRight++
      }
    }
    while (merged.length < left.length + right.length) {
      yield* yieldTurn
      addTurn()
    }
    return merged
  })

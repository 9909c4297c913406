// Contestants with two processes each.
import { Pair } from "./Pair.ts"
import type { Contestant } from "./Row.ts"
import { missing } from "./sides.ts"
import type { Figures, Job } from "./Side.ts"

/** Measures `amount` of the job with one pair of processes for all rounds. */
export const kept = (
  side: string,
  job: Job,
  amount: number,
  read: (figures: Figures) => ReadonlyArray<number>
): Contestant => {
  let pair: Promise<Pair> | undefined
  return {
    name: side,
    missing: () => missing(side),
    measure: async () => read(await (await (pair ??= Pair.start(side, job, amount))).run(amount)),
    stop: async () => (await pair)?.stop()
  }
}

/** Measures with a new pair of processes in each round. */
export const fresh = (
  side: string,
  job: Job,
  amount: number,
  use: (pair: Pair) => Promise<ReadonlyArray<number>>
): Contestant => ({
  name: side,
  missing: () => missing(side),
  measure: async () => {
    const pair = await Pair.start(side, job, amount)
    try {
      return await use(pair)
    } finally {
      await pair.stop()
    }
  }
})

// Contestants with two processes each.
import { isInstalled } from "./packages.ts"
import { Pair } from "./Pair.ts"
import type { Contestant, Row } from "./Row.ts"
import { sides } from "./sides.ts"
import type { Figures, Job } from "./Side.ts"

const canRun = (name: string): boolean => {
  const { packages = [], ready = () => true } = sides[name] ?? {}
  return isInstalled(packages) && ready()
}

/** Splits the sides into those that can run on this machine and the rest. */
export const choose = (
  names: ReadonlyArray<string>,
  contestant: (side: string) => Contestant
): Awaited<ReturnType<Row["contestants"]>> => {
  const present = names.filter(canRun)
  return {
    present: present.map(contestant),
    absent: names.filter((name) => !present.includes(name))
  }
}

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
    measure: async () => read(await (await (pair ??= Pair.start(side, job, amount))).run(amount)),
    stop: async () => (await pair)?.stop()
  }
}

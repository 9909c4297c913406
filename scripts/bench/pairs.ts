// Contestants that are two processes each.
import { certificate } from "./certificates.ts"
import { isInstalled } from "./packages.ts"
import { Pair } from "./Pair.ts"
import type { Contestant, Row } from "./Row.ts"
import { sides } from "./sides.ts"
import type { Figures, Job } from "./Side.ts"

const canRun = (side: string): boolean => {
  if (side === "node:tls") return certificate() !== undefined
  return isInstalled(sides[side]?.packages ?? [])
}

/** The sides that can run here, and those that cannot. */
export const choose = (
  names: ReadonlyArray<string>,
  contestant: (side: string) => Contestant
): Awaited<ReturnType<Row["contestants"]>> => ({
  present: names.filter(canRun).map(contestant),
  absent: names.filter((name) => !canRun(name))
})

/** Does `amount` of the job each time, with one pair of processes for all rounds. */
export const kept = (side: string, job: Job, amount: number, read: (figures: Figures) => ReadonlyArray<number>): Contestant => {
  let pair: Promise<Pair> | undefined
  return {
    name: side,
    measure: async () => read(await (await (pair ??= Pair.start(side, job, amount))).run(amount)),
    stop: async () => (await pair)?.stop()
  }
}

// A row of the benchmark: several contestants do the same work in turn, round by round, so that a
// drift of the machine's speed affects all of them. Ratios are computed within a round.
import { rounds } from "./scale.ts"

export interface Contestant {
  readonly name: string
  /** Returns why it cannot run on this machine, as a clause; undefined if it can. */
  readonly missing?: () => string | undefined
  /** Does the work once; returns one number for each figure of the row, in order. */
  readonly measure: () => Promise<ReadonlyArray<number>>
  readonly stop?: () => Promise<void>
}

export interface Figure {
  readonly name: string
  readonly unit: string
  readonly better: "higher" | "lower"
}

export interface Row {
  /** The figures of one measurement; each is a row of the table. */
  readonly figures: ReadonlyArray<Figure>
  readonly rounds: number
  /** False if the first measurement counts too. */
  readonly warmUp?: false
  /**
   * Sealwire first. In a row about growth these are the sizes, of which the first is the reference:
   * `ratio` is then the part of the reference's speed that a size keeps.
   */
  readonly contestants: ReadonlyArray<Contestant>
  readonly isGrowth?: true
}

/** The figure of one contestant, or why there is none. */
export type Result = {
  readonly row: string
  readonly unit: string
  readonly better: "higher" | "lower"
  readonly contestant: string
} & (Measured | { readonly absent: string })

export interface Measured {
  readonly median: number
  readonly least: number
  readonly most: number
  /** The median over the rounds of the ratio in a round. Undefined for the first contestant. */
  readonly ratio?: number
}

export const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/**
 * Runs one warm-up round and the measured rounds. A contestant that fails in one is absent, and the
 * others go on.
 */
export const run = async (row: Row): Promise<ReadonlyArray<Result>> => {
  const entries = row.contestants.map((contestant) => ({
    contestant,
    absent: contestant.missing?.(),
    rounds: [] as Array<ReadonlyArray<number>>
  }))
  for (let round = row.warmUp === false ? 0 : -1; round < rounds(row.rounds); round++)
    for (const entry of entries) {
      if (entry.absent !== undefined) continue
      try {
        const measured = await entry.contestant.measure()
        if (round >= 0) entry.rounds.push(measured)
      } catch (error) {
        entry.absent = `failed: ${error instanceof Error ? error.message : String(error)}`
      }
    }
  // What has failed may be unable to stop in order.
  for (const { contestant } of entries) await contestant.stop?.().catch(() => {})
  return row.figures.flatMap((figure, column) =>
    compare(
      figure,
      entries.map(({ contestant: { name }, absent, rounds }) => ({
        name,
        absent,
        numbers: rounds.map((round) => round[column] ?? Number.NaN)
      })),
      row.isGrowth === true
    )
  )
}

interface Column {
  readonly name: string
  readonly absent: string | undefined
  readonly numbers: ReadonlyArray<number>
}

const compare = (
  { name: row, unit, better }: Figure,
  columns: ReadonlyArray<Column>,
  isGrowth: boolean
): ReadonlyArray<Result> =>
  columns.map(({ name: contestant, absent, numbers }, index): Result => {
    const about = { row, unit, better, contestant }
    if (absent !== undefined) return { ...about, absent }
    const [first] = columns
    const summary = {
      median: median(numbers),
      least: Math.min(...numbers),
      most: Math.max(...numbers)
    }
    if (index === 0 || first === undefined || first.absent !== undefined)
      return { ...about, ...summary }
    const ratios = numbers.map((theirs, round) => {
      const ours = first.numbers[round] ?? Number.NaN
      return (better === "higher") === isGrowth ? theirs / ours : ours / theirs
    })
    return { ...about, ...summary, ratio: median(ratios) }
  })

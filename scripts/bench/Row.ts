// A row of the benchmark: the same work done by several contestants in turn, round by round, so that a machine whose
// speed drifts drifts for all. What is compared is the ratio within a round.

export interface Contestant {
  readonly name: string
  /** Does the work once and gives the figure, in the unit of the row. */
  readonly measure: () => Promise<number>
}

export interface Row {
  readonly name: string
  readonly unit: string
  readonly better: "higher" | "lower"
  readonly rounds: number
  /** Ours first; those that are not installed are left out, and said. */
  readonly contestants: () => Promise<{ readonly present: ReadonlyArray<Contestant>; readonly absent: ReadonlyArray<string> }>
  /** The ratio to reach against a contestant, where one is set. */
  readonly target?: Readonly<Record<string, number>>
}

export interface Result {
  readonly row: string
  readonly unit: string
  readonly contestant: string
  readonly median: number
  readonly least: number
  readonly most: number
  /** How many times better ours is, median over the rounds; above 1 is better, whichever way the unit goes. */
  readonly ratio?: number
  readonly target?: number
}

const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** One round that is not counted, then `row.rounds` that are. */
export const run = async (row: Row, say: (line: string) => void): Promise<ReadonlyArray<Result>> => {
  const { present, absent } = await row.contestants()
  for (const name of absent) say(`${row.name}: ${name} is not installed; left out`)
  const figures = present.map(() => [] as Array<number>)
  for (let round = -1; round < row.rounds; round++)
    for (const [index, contestant] of present.entries()) {
      const figure = await contestant.measure()
      if (round >= 0) figures[index]?.push(figure)
    }
  const ours = figures[0] ?? []
  return present.map(({ name }, index) => {
    const theirs = figures[index] ?? []
    const ratios = ours.map((mine, round) =>
      row.better === "higher" ? mine / (theirs[round] ?? 1) : (theirs[round] ?? 1) / mine
    )
    const target = row.target?.[name]
    return {
      row: row.name,
      unit: row.unit,
      contestant: name,
      median: median(theirs),
      least: Math.min(...theirs),
      most: Math.max(...theirs),
      ...(index === 0 ? {} : { ratio: median(ratios) }),
      ...(target === undefined ? {} : { target })
    }
  })
}

// A row of the benchmark: the same work done by several contestants in turn, round by round, so that a machine whose
// speed drifts drifts for all. What is compared is the ratio within a round.

export interface Contestant {
  readonly name: string
  /** Does the work once and gives each figure of the row, in their order. */
  readonly measure: () => Promise<ReadonlyArray<number>>
  readonly stop?: () => Promise<void>
}

export interface Figure {
  readonly name: string
  readonly unit: string
  readonly better: "higher" | "lower"
  /** The ratio to reach against a contestant, where one is set. */
  readonly target?: Readonly<Record<string, number>>
}

export interface Row {
  /** What one piece of work tells; each is a line of the table. */
  readonly figures: ReadonlyArray<Figure>
  readonly rounds: number
  /** False where a first time is as good as any: then none is left out of the count. */
  readonly warmUp?: false
  /** Ours first; those that are not installed are left out, and said. */
  readonly contestants: () => Promise<{
    readonly present: ReadonlyArray<Contestant>
    readonly absent: ReadonlyArray<string>
  }>
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
export const run = async (
  row: Row,
  say: (line: string) => void
): Promise<ReadonlyArray<Result>> => {
  const { present, absent } = await row.contestants()
  for (const name of absent) say(`${row.figures[0]?.name}: ${name} is not installed; left out`)
  const rounds = present.map(() => [] as Array<ReadonlyArray<number>>)
  for (let round = row.warmUp === false ? 0 : -1; round < row.rounds; round++)
    for (const [index, contestant] of present.entries()) {
      const measured = await contestant.measure()
      if (round >= 0) rounds[index]?.push(measured)
    }
  for (const { stop } of present) await stop?.()
  return row.figures.flatMap((figure, column) =>
    compare(
      figure,
      present.map(({ name }, index) => ({
        name,
        numbers: (rounds[index] ?? []).map((round) => round[column] ?? Number.NaN)
      }))
    )
  )
}

const compare = (
  { name, unit, better, target = {} }: Figure,
  contestants: ReadonlyArray<{ readonly name: string; readonly numbers: ReadonlyArray<number> }>
): ReadonlyArray<Result> => {
  const ours = contestants[0]?.numbers ?? []
  return contestants.map(({ name: contestant, numbers }, index) => {
    const ratios = ours.map((mine, round) =>
      better === "higher" ? mine / (numbers[round] ?? 1) : (numbers[round] ?? 1) / mine
    )
    return {
      row: name,
      unit,
      contestant,
      median: median(numbers),
      least: Math.min(...numbers),
      most: Math.max(...numbers),
      ...(index === 0 ? {} : { ratio: median(ratios) }),
      ...(target[contestant] === undefined ? {} : { target: target[contestant] })
    }
  })
}

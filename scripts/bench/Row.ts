// A row of the benchmark: several contestants do the same work in turn, round by round, so that a
// drift of the machine's speed affects all of them. Ratios are computed within a round.

export interface Contestant {
  readonly name: string
  /** Does the work once; returns one number for each figure of the row, in order. */
  readonly measure: () => Promise<ReadonlyArray<number>>
  readonly stop?: () => Promise<void>
}

export interface Figure {
  readonly name: string
  readonly unit: string
  readonly better: "higher" | "lower"
  /** The required ratio to a contestant, if there is one. */
  readonly target?: Readonly<Record<string, number>>
}

export interface Row {
  /** The figures of one measurement; each is a line of the table. */
  readonly figures: ReadonlyArray<Figure>
  readonly rounds: number
  /** False if the first measurement counts too. */
  readonly warmUp?: false
  /** Sealwire first. The absent contestants are reported and omitted. */
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
  /**
   * The median ratio of Sealwire to the contestant; above 1 Sealwire is better, for either
   * direction.
   */
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

/** Runs one warm-up round and `row.rounds` measured rounds. */
export const run = async (
  row: Row,
  log: (line: string) => void
): Promise<ReadonlyArray<Result>> => {
  const { present, absent } = await row.contestants()
  for (const name of absent) log(`${row.figures[0]?.name}: ${name} is not installed; omitted`)
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

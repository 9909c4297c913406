// `--quick` tries a row out: one round with a tenth of the operations. Its ratios are no result.

const variable = "SEALWIRE_BENCH_QUICK"

export const beQuick = (): void => {
  process.env[variable] = "1"
}

export const isQuick = (): boolean => process.env[variable] === "1"

/** The number of operations of a round. */
export const operations = (count: number): number =>
  isQuick() ? Math.max(1, Math.round(count / 10)) : count

/** The number of measured rounds. */
export const rounds = (count: number): number => (isQuick() ? 1 : count)

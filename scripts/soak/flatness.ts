// Whether a series of samples stays flat.

/** A sample: time in milliseconds, and value. */
export type Sample = readonly [time: number, value: number]

/** Bound on growth: `base` covers noise and what fills up once, `perHour` real slopes. */
export interface Bound {
  readonly base: number
  readonly perHour: number
}

export interface Flatness {
  readonly samples: number
  readonly first: number
  readonly last: number
  readonly most: number
  /** Slope over the last two thirds, per hour. */
  readonly slope: number
  /** That slope, times the length of those two thirds. */
  readonly growth: number
  readonly allowed: number
  readonly isFlat: boolean
}

const hour = 3_600_000
/** Samples that the slope is computed from; all pairs of them are compared. */
const used = 400

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/**
 * The median slope of all pairs of samples (Theil and Sen), per millisecond: up to 29 % of the
 * samples may be outliers. It is 0 for fewer than two.
 */
export const slopeOf = (samples: ReadonlyArray<Sample>): number => {
  const step = Math.max(1, samples.length / used)
  const chosen = Array.from(
    { length: Math.min(samples.length, used) },
    (_, index) => samples[Math.floor(index * step)] as Sample
  )
  const slopes = chosen.flatMap(([from, before], index) =>
    chosen
      .slice(index + 1)
      .flatMap(([to, after]) => (to === from ? [] : [(after - before) / (to - from)]))
  )
  return slopes.length === 0 ? 0 : median(slopes)
}

/**
 * Judges a series by its last two thirds: the first third is warm-up. A series of fewer than three
 * samples is not flat, because it would prove nothing.
 */
export const judge = (samples: ReadonlyArray<Sample>, { base, perHour }: Bound): Flatness => {
  const late = samples.slice(Math.floor(samples.length / 3))
  const [from = 0, first = 0] = late[0] ?? []
  const [to = 0, last = 0] = late.at(-1) ?? []
  const slope = slopeOf(late)
  const growth = slope * (to - from)
  const allowed = base + (perHour * (to - from)) / hour
  return {
    samples: samples.length,
    first: samples[0]?.[1] ?? first,
    last,
    most: samples.reduce((most, [, value]) => Math.max(most, value), 0),
    slope: slope * hour,
    growth,
    allowed,
    isFlat: samples.length >= 3 && growth <= allowed
  }
}

import { floors } from "./floors.ts"
import type { Result } from "./Row.ts"

/** The floor of one result, and whether it was reached. */
export interface Verdict {
  /** As the table shows it: `0.95x`, `at most 60 MiB`. */
  readonly floor: string
  readonly ok: boolean
}

/**
 * Returns the verdict about a result; undefined without a floor or without a figure. `isOurs` is
 * true for Sealwire's own figures, to which bounds apply.
 */
export const verdictOf = (result: Result, isOurs: boolean): Verdict | undefined => {
  const floor = floors[result.row]
  if (floor === undefined || "absent" in result) return undefined
  const ratio = floor.ratios?.[result.contestant]
  if (ratio !== undefined && result.ratio !== undefined)
    return { floor: `${Number(ratio.toFixed(2))}x`, ok: result.ratio >= ratio }
  if (isOurs && floor.most !== undefined)
    return { floor: `at most ${floor.most} ${result.unit}`, ok: result.median <= floor.most }
  if (isOurs && floor.least !== undefined)
    return { floor: `at least ${floor.least} ${result.unit}`, ok: result.median >= floor.least }
  return undefined
}

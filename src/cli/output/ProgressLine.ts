/** A line on the terminal that is redrawn while long work runs. */
export interface ProgressLine {
  /** Units of work done so far; its growth gives the rate. */
  readonly count: number
  /** Formats the line; `perSecond` is the rate since the last drawing, in units of `count`. */
  readonly line: (perSecond: number) => string
}

/** The last run of a runtime in which nothing failed. */
export interface Passed {
  readonly version: string
  readonly date: string
  readonly commit: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const readRecord: () => Readonly<Record<string, Passed>>
export const writeRecord: (name: string, entry: Passed) => void
export const formatRecord: (
  record: Readonly<Record<string, Passed>>,
  names: ReadonlyArray<string>
) => string

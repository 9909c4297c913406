import { judge, type Flatness } from "./flatness.ts"
import type { Journal } from "./Journal.ts"
import { bounds, type Series } from "./Sampler.ts"
import type { Site } from "./Site.ts"

export interface Row extends Flatness {
  readonly subject: string
  readonly measure: string
}

/** The verdict on each series. */
export const rowsOf = (series: ReadonlyArray<Series>): ReadonlyArray<Row> =>
  series.map(({ subject, measure, samples }) => ({
    subject,
    measure,
    ...judge(samples, bounds[measure])
  }))

const figure = (value: number): string =>
  Number.isInteger(value) ? String(value) : value.toFixed(2)

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  rows.map((row) => `| ${row.join(" | ")} |`).join("\n")

const accountsOf = ({ name, book, files }: Site) => ({
  server: name,
  acknowledged: book.acknowledged,
  accounted: book.accounted,
  taken: book.taken,
  files: files.paths.length
})

export interface Result {
  readonly seed: number
  readonly minutes: number
  readonly cpuSeconds: number
  readonly accounts: ReadonlyArray<ReturnType<typeof accountsOf>>
  readonly actions: Readonly<Record<string, { readonly count: number; readonly least: number }>>
  readonly series: ReadonlyArray<Row>
  readonly violations: ReadonlyArray<string>
}

/** Everything that a run found; `minutes` is the time of traffic. */
export const resultOf = (
  journal: Journal,
  sites: ReadonlyArray<Site>,
  series: ReadonlyArray<Row>,
  minutes: number,
  cpuSeconds: number
): Result => ({
  seed: journal.seed,
  minutes,
  cpuSeconds,
  accounts: sites.map(accountsOf),
  actions: Object.fromEntries(
    journal.counters.table(minutes).map(([name, count, least]) => [name, { count, least }])
  ),
  series,
  violations: journal.violations
})

/** The result as three tables and a verdict. */
export const show = (result: Result): string =>
  [
    table([
      ["action", "count", "at least"],
      ["---", "---", "---"],
      ...Object.entries(result.actions).map(([name, { count, least }]) => [
        name,
        String(count),
        String(least)
      ])
    ]),
    table([
      ["server", "messages acknowledged", "of them in the inbox", "taken", "files compared"],
      ["---", "---", "---", "---", "---"],
      ...result.accounts.map(({ server, acknowledged, accounted, taken, files }) =>
        [server, acknowledged, accounted, taken, files].map(String)
      )
    ]),
    table([
      ["process", "measure", "first", "last", "most", "slope per hour", "growth", "allowed", ""],
      ["---", "---", "---", "---", "---", "---", "---", "---", "---"],
      ...result.series.map(
        ({ subject, measure, first, last, most, slope, growth, allowed, isFlat }) => [
          subject,
          measure,
          ...[first, last, most, slope, growth, allowed].map(figure),
          isFlat ? "flat" : "GROWS"
        ]
      )
    ]),
    `${result.minutes.toFixed(1)} minutes, ${result.cpuSeconds.toFixed(0)} CPU seconds (${(
      (100 * result.cpuSeconds) /
      (60 * result.minutes)
    ).toFixed(0)} % of a core), seed ${result.seed}`,
    result.violations.length === 0
      ? "no violation"
      : `${result.violations.length} violations (seed ${result.seed}):\n${result.violations.slice(0, 50).join("\n")}`
  ].join("\n\n")

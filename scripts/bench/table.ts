// The results as lines of a Markdown table.
import type { Entry } from "./history.ts"
import { changeSince } from "./history.ts"
import type { Result } from "./Row.ts"
import { verdictOf } from "./verdict.ts"

export const header =
  "| row | contestant | median (range) | ratio | floor | | change since the last record |\n" +
  "|---|---|---|---|---|---|---|"

export const figure = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)

/** One line: the figure of a contestant, its ratio, its floor, and the change since `last`. */
export const line = (result: Result, isOurs: boolean, last: Entry | undefined): string => {
  const cells =
    "absent" in result ? [result.absent, "", "", "", ""] : measuredCells(result, isOurs, last)
  return `| ${[result.row, result.contestant, ...cells].join(" | ")} |`
}

const measuredCells = (
  result: Exclude<Result, { readonly absent: string }>,
  isOurs: boolean,
  last: Entry | undefined
): ReadonlyArray<string> => {
  const { median, least, most, unit, ratio } = result
  const verdict = verdictOf(result, isOurs)
  const change = last === undefined ? undefined : changeSince(last, result)
  return [
    `${figure(median)} ${unit} (${figure(least)} to ${figure(most)})`,
    ratio === undefined ? "" : `${ratio.toFixed(2)}x`,
    verdict?.floor ?? "",
    verdict === undefined ? "" : verdict.ok ? "OK" : "below",
    change === undefined ? "" : `${change < 0 ? "" : "+"}${(change * 100).toFixed(0)} %`
  ]
}

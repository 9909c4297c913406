// The results of earlier runs, one JSON object per line, so that a regression shows.
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import path from "node:path"
import type { Machine } from "./machine.ts"
import type { Result } from "./Row.ts"

export const historyFile = path.join(import.meta.dirname, "history.jsonl")

/** A result with the machine and the day that it is of. */
export type Entry = Result &
  Pick<Machine, "node" | "cpus" | "isQuiet" | "commit"> & {
    /** Year, month and day in UTC. */
    readonly at: string
  }

/** Parses a history, oldest entry first. */
export const parse = (text: string): ReadonlyArray<Entry> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry)

export const read = (): ReadonlyArray<Entry> =>
  existsSync(historyFile) ? parse(readFileSync(historyFile, "utf8")) : []

/** Appends results; those of contestants that did not run are no news. */
export const append = (
  results: ReadonlyArray<Result>,
  { node, cpus, isQuiet, commit }: Machine,
  at: string
): void =>
  appendFileSync(
    historyFile,
    results
      .filter((result) => !("absent" in result))
      .map((result) => `${JSON.stringify({ at, commit, node, cpus, isQuiet, ...result })}\n`)
      .join("")
  )

/** The first number of a version. */
export const majorOf = (version: string): string => version.split(".", 1).join()

/**
 * Returns the last entry about the same figure of the same major version of Node; of a quiet
 * machine, if there is one.
 */
export const lastOf = (
  history: ReadonlyArray<Entry>,
  result: Pick<Result, "row" | "contestant">,
  node: string
): Entry | undefined => {
  const same = history.filter(
    (entry) =>
      entry.row === result.row &&
      entry.contestant === result.contestant &&
      majorOf(entry.node) === majorOf(node)
  )
  return same.findLast(({ isQuiet }) => isQuiet) ?? same.at(-1)
}

/**
 * Returns by which part a result is better than an entry: 0.1 is 10 % better. It compares ratios,
 * which differ less between machines; without one, the figures themselves.
 */
export const changeSince = (entry: Entry, result: Result): number | undefined => {
  if ("absent" in entry || "absent" in result) return undefined
  if (entry.ratio !== undefined && result.ratio !== undefined) return result.ratio / entry.ratio - 1
  return result.better === "higher"
    ? result.median / entry.median - 1
    : entry.median / result.median - 1
}

// `npm run bench -- --tables`: writes the tables of the documents from the history.
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { majorOf, type Entry } from "./history.ts"
import { figure } from "./table.ts"

const root = path.resolve(import.meta.dirname, "../..")

/** The rows of the short table in README.md. */
const readmeRows: ReadonlyArray<string> = [
  "bulk, one flow",
  "handshakes, 32 at once, IK",
  "request and receipt, p50",
  "messages of 100 bytes, one way",
  "messages acknowledged, by inbox",
  "memory of an idle connection",
  "tunnel, one flow",
  "files: encrypt 1 GiB",
  "push of 1 GiB, in memory"
]

const begin = "<!-- npm run bench -- --tables: begin -->"
const end = "<!-- npm run bench -- --tables: end -->"

/** Replaces what stands between the marks of a document. */
export const replaceTable = (document: string, table: string): string => {
  const [before, rest] = document.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined)
    throw new Error(`no table to replace: the document has no lines ${begin} and ${end}`)
  return `${before}${begin}\n\n${table}\n\n${end}${after}`
}

/** The last entry of every contestant of a row, Sealwire first, of this major version of Node. */
const lastEntries = (
  history: ReadonlyArray<Entry>,
  row: string,
  node: string
): ReadonlyArray<Entry> => {
  const last = new Map<string, Entry>()
  for (const entry of history)
    if (entry.row === row && majorOf(entry.node) === node) last.set(entry.contestant, entry)
  return [...last.values()]
}

/** The name of a contestant without what explains it. */
const shortName = (name: string): string =>
  name
    .replace(/, a tunnel: TCP in and out$/, "")
    .split("(", 1)
    .join()
    .trim()

/**
 * Makes a table from the last entry of each row: Sealwire's figure, and its ratio to the others.
 */
export const tableOf = (
  history: ReadonlyArray<Entry>,
  rows: ReadonlyArray<string>,
  node: string
): string => {
  const lines = rows.flatMap((row) => {
    const [ours, ...others] = lastEntries(history, row, node)
    if (ours === undefined || "absent" in ours) return []
    const ratios = others.flatMap((other) =>
      "absent" in other || other.ratio === undefined
        ? []
        : [`${shortName(other.contestant)} ${other.ratio.toFixed(2)}x`]
    )
    return [`| ${row} | ${figure(ours.median)} ${ours.unit} | ${ratios.join(" · ")} |`]
  })
  return ["| | Sealwire | its ratio to (above 1 is better) |", "|---|---|---|", ...lines].join("\n")
}

/** Tells what the figures are of, as a line above the table. */
const captionOf = (history: ReadonlyArray<Entry>, version: string): string => {
  const entries = history.filter(({ node }) => majorOf(node) === version)
  const { node = "", cpus = "", commit = "" } = entries.at(-1) ?? {}
  const others = entries.some(({ isQuiet }) => !isQuiet) ? "; other programs ran at the time" : ""
  return `Node ${node}, ${cpus}, commit ${commit}${others}.`
}

/** Writes the tables of README.md (Node 20, the important rows) and of docs/explanation/speed.md. */
export const writeTables = (history: ReadonlyArray<Entry>): void => {
  const rows = [...new Set(history.map(({ row }) => row))]
  const versions = [...new Set(history.map(({ node }) => majorOf(node)))].toSorted()
  const write = (file: string, version: ReadonlyArray<string>, names: ReadonlyArray<string>) => {
    const at = path.join(root, file)
    const tables = version.map(
      (version) => `${captionOf(history, version)}\n\n${tableOf(history, names, version)}`
    )
    writeFileSync(at, replaceTable(readFileSync(at, "utf8"), tables.join("\n\n")))
  }
  write("README.md", ["20"], readmeRows)
  write("docs/explanation/speed.md", versions, rows)
}

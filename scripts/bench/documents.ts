// `npm run bench -- --tables`: writes the tables of the documents from the history.
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import type { Entry } from "./history.ts"
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
    if (entry.row === row && entry.node.startsWith(`${node}.`)) last.set(entry.contestant, entry)
  return [...last.values()]
}

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
        : [`${other.contestant.split(/[,(]/, 1).join().trim()} ${other.ratio.toFixed(2)}x`]
    )
    return [`| ${row} | ${figure(ours.median)} ${ours.unit} | ${ratios.join(" · ")} |`]
  })
  return ["| | Sealwire | its ratio to (above 1 is better) |", "|---|---|---|", ...lines].join("\n")
}

/** Writes the tables of README.md (Node 20, the important rows) and of docs/explanation/speed.md. */
export const writeTables = (history: ReadonlyArray<Entry>): void => {
  const rows = [...new Set(history.map(({ row }) => row))]
  const last = history.at(-1)
  const written = (file: string, table: string) => {
    const at = path.join(root, file)
    writeFileSync(at, replaceTable(readFileSync(at, "utf8"), table))
  }
  written("README.md", tableOf(history, readmeRows, "20"))
  const versions = [...new Set(history.map(({ node }) => node.split(".", 1).join()))].toSorted()
  written(
    "docs/explanation/speed.md",
    versions
      .map(
        (version) => `Node ${version}, ${last?.cpus ?? ""}:\n\n${tableOf(history, rows, version)}`
      )
      .join("\n\n")
  )
}

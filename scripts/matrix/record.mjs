// When each runtime last passed: passed.json, which is committed. Plain JavaScript on Node alone:
// `node scripts/matrix/record.mjs` prints it in one line, for .ci/run.
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"))

export const readRecord = () => read("passed.json")

/** Replaces the entry of a runtime. */
export const writeRecord = (name, entry) =>
  writeFileSync(
    new URL("passed.json", import.meta.url),
    `${JSON.stringify({ ...readRecord(), [name]: entry }, undefined, 2)}\n`
  )

/** One line: "node22 22.23.5 last passed on 2026-11-30 (abc1234: 3000 passed, 5 skipped); …". */
export const formatRecord = (record, names) =>
  names
    .map((name) => {
      const last = record[name]
      if (last === undefined) return `${name} has not passed yet`
      const { version, date, commit, passed, skipped } = last
      return `${name} ${version} last passed on ${date} (${commit}: ${passed} passed, ${skipped} skipped)`
    })
    .join("; ")

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(formatRecord(readRecord(), Object.keys(read("package.json").dependencies)))

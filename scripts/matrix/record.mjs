// When each runtime last passed: passed.json, which is committed. Plain JavaScript on Node alone:
// `node scripts/matrix/record.mjs` prints it in one line, for .ci/run.
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const file = fileURLToPath(new URL("passed.json", import.meta.url))

export const readRecord = () => JSON.parse(readFileSync(file, "utf8"))

/** Replaces the entry of a runtime. */
export const writeRecord = (name, entry) =>
  writeFileSync(file, `${JSON.stringify({ ...readRecord(), [name]: entry }, undefined, 2)}\n`)

/** One line: "node22 22.23.5 last passed on 2026-11-30 (abc1234: 3,000 passed, 5 skipped); …". */
export const formatRecord = (record) =>
  Object.entries(record)
    .map(
      ([name, { version, date, commit, passed, skipped }]) =>
        `${name} ${version} last passed on ${date} (${commit}: ${passed} passed, ${skipped} skipped)`
    )
    .join("; ")

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(formatRecord(readRecord()))

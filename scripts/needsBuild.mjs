// Tells whether the selected tests start the built command or load the built library. Plain
// JavaScript on Node alone, so that `npm test -- test/bytes` starts without tsx and without a build.
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"

const specifiers = /(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+\.ts)"/g

/** True if one of the files names `dist/`, or imports a file of `test` that does. */
const namesBuild = (files, test, seen = new Set()) =>
  files.some((file) => {
    if (seen.has(file) || !file.startsWith(test + path.sep)) return false
    seen.add(file)
    const code = readFileSync(file, "utf8")
    if (code.includes("dist/")) return true
    const imported = [...code.matchAll(specifiers)].map((match) =>
      path.resolve(path.dirname(file), match[1])
    )
    return namesBuild(imported, test, seen)
  })

/**
 * Returns true if a test file that one of the filters selects needs `dist`. A filter is a part of a
 * path, as for vitest. Options, and filters that select nothing, count as a selection of every test.
 */
export const needsBuild = (root, filters) => {
  const test = path.join(root, "test")
  const files = readdirSync(test, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => path.join(test, file))
  const selected = files.filter((file) => filters.some((filter) => file.includes(filter)))
  return selected.length === 0 || namesBuild(selected, test)
}

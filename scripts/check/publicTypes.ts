// Fails on `any` in the public types: in every declaration file that an entry point reaches. Reads
// the output of tsc.
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

/** The type parameter that Data.TaggedError adds to its class; no value has that type. */
const taggedErrorParameter = "<A extends Record<string, any> = {}>"

/** The longest readable line. Named types make it shorter. */
const longestLine = 400

const withoutComments = (code: string): string =>
  code.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, " "))

const specifiers = (code: string): ReadonlyArray<string> =>
  [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "")

const declarationsOf = (file: string): string => file.replace(/(?:\.d)?\.[jt]s$/, ".d.ts")

/**
 * One line for each `any` and each line that is too long in the declarations behind `lib`'s entry
 * points.
 */
export const looseTypes = (
  lib: string,
  entryPoints: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const pending = entryPoints.map((entry) => path.resolve(lib, entry))
  const seen = new Set<string>()
  const problems: Array<string> = []
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    const name = path.relative(lib, file)
    if (!existsSync(file)) {
      problems.push(`${name}: declaration file not found`)
      continue
    }
    const code = withoutComments(readFileSync(file, "utf8"))
    for (const [at, line] of code.replaceAll(taggedErrorParameter, "").split("\n").entries()) {
      if (/\bany\b/.test(line))
        problems.push(`${name}:${at + 1}: any, in "${line.trim().slice(0, 100)}"`)
      if (line.length > longestLine)
        problems.push(`${name}:${at + 1}: a type of ${line.length} characters; name its parts`)
    }
    for (const specifier of specifiers(code))
      pending.push(declarationsOf(path.resolve(path.dirname(file), specifier)))
  }
  return seen.size > entryPoints.length
    ? problems
    : [...problems, `${lib}: the entry points import nothing; the check would prove nothing`]
}

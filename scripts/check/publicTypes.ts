// What a door shows must have types: no `any`, in any file that is reached from it. Read from what tsc has emitted.
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

/** The constraint that Data.TaggedError writes into its own class: no value has that type. */
const ofTaggedError = "<A extends Record<string, any> = {}>"

/** A line that nobody can read; names of types make it shorter. */
const longestLine = 400

const withoutComments = (code: string): string =>
  code.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, " "))

const specifiers = (code: string): ReadonlyArray<string> =>
  [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "")

const declarationsOf = (file: string): string => file.replace(/(?:\.d)?\.[jt]s$/, ".d.ts")

/** One line for each `any`, and each line beyond reading, in the declarations that the doors of `lib` lead to. */
export const looseTypes = (lib: string, doors: ReadonlyArray<string>): ReadonlyArray<string> => {
  const waiting = doors.map((door) => path.resolve(lib, door))
  const seen = new Set<string>()
  const problems: Array<string> = []
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    const named = path.relative(lib, file)
    if (!existsSync(file)) {
      problems.push(`${named}: there are no such declarations`)
      continue
    }
    const code = withoutComments(readFileSync(file, "utf8"))
    for (const [at, line] of code.replaceAll(ofTaggedError, "").split("\n").entries()) {
      if (/\bany\b/.test(line))
        problems.push(`${named}:${at + 1}: any, in "${line.trim().slice(0, 100)}"`)
      if (line.length > longestLine)
        problems.push(
          `${named}:${at + 1}: a type of ${line.length} characters; give its parts names`
        )
    }
    for (const specifier of specifiers(code))
      waiting.push(declarationsOf(path.resolve(path.dirname(file), specifier)))
  }
  return seen.size > doors.length
    ? problems
    : [...problems, `${lib}: the doors lead nowhere; the check would prove nothing`]
}

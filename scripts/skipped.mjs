// Names the tests that were skipped, with the reason: the condition of `skipIf` or `runIf` in their
// file. Plain JavaScript on Node alone, for scripts/test.mjs.
import { readFileSync } from "node:fs"
import path from "node:path"

/** What a condition in a test file asks for. The first that matches counts. */
const requirements = [
  [/\bhas\("/, (condition) => [...condition.matchAll(/has\("([^"]+)"\)/g)].map(([, name]) => name)],
  [
    /hasPostgres|Postgres\.available|isMissing\((?:kind|"PostgreSQL")\)|^!available$/,
    ["PostgreSQL"]
  ],
  [/hasOpenssl/, ["openssl"]],
  [/hasMandoc/, ["mandoc"]],
  [/hasZsh/, ["zsh"]],
  [/hasFish/, ["fish"]],
  [/hasStrace/, ["strace"]],
  [/hasPromtool/, ["promtool (prometheus)"]],
  [/hasGo/, ["go", "golang-github-flynn-noise-dev"]],
  [/hasCompiler/, ["a C++ compiler with OpenSSL's headers"]],
  [/hasScript|\/usr\/bin\/script/, ["script (util-linux)"]],
  [/canMount/, ["the right to mount a file system"]],
  [/gete?uid|^root$/, ["root"]],
  [/\/proc\/(self\/fd|version)/, ["/proc"]],
  [/process\.platform|isLinux/, ["Linux"]],
  [/canUnshare/, ["the right to make a network namespace"]],
  [/hasV6/, ["IPv6"]],
  [/\btaken\b/, ["port 8080, which is in use"]],
  [/missingRequirement/, ["a keyring (gnome-keyring, secret-tool, dbus-run-session)"]],
  [/existsSync\(reference\)/, ["the reference vectors, whose cases others here cover"]],
  [/(other|subject)\.here/, ["the program or platform in its name"]]
]

/** Returns what a condition asks for; undefined for one that is not in the list. */
export const requirementOf = (condition) => {
  const found = requirements.find(([pattern]) => pattern.test(condition))?.[1]
  return (typeof found === "function" ? found(condition) : found)?.join(", ")
}

const condition = /\.(?:skipIf|runIf)\(\s*((?:[^()]|\((?:[^()]|\([^()]*\))*\))*?)\s*\)/g
const title = /(["'`])((?:\\.|(?!\1)[^\\])*)\1/

/** A pattern for titles: what a test framework or a template puts in stands for anything. */
const patternOf = (text) =>
  new RegExp(
    `^${text
      .split(/\$\{[^}]*\}|%[sijdo]|\$\w+/)
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
    "s"
  )

/** Finds each condition of a test file, and the title that follows it, if it is written there. */
export const conditionsOf = (code) =>
  [...code.matchAll(condition)].map((match) => {
    const after = code.slice(match.index + match[0].length)
    // The title is an argument of the next call; one that is computed has none.
    const call = /^(?:\s*\.\w+)*(?:\s*\.(?:each|for)\((?:[^()]|\([^()]*\))*\))?\s*\(\s*/.exec(after)
    const written = call === null ? null : title.exec(after.slice(call[0].length))
    return {
      condition: match[1].replaceAll(/\s+/g, " "),
      title: written?.index === 0 ? patternOf(written[2]) : undefined
    }
  })

const reasonOf = (file, { ancestorTitles, title: name }) => {
  const told = /\((?:first|skipped): ([^)]+)\)/.exec([...ancestorTitles, name].join(" "))
  if (told !== null) return told[1]
  const all = conditionsOf(readFileSync(file, "utf8"))
  const exact = all.find(({ title: pattern }) =>
    [name, ...ancestorTitles].some((one) => pattern?.test(one))
  )
  const computed = all.filter(({ title: pattern }) => pattern === undefined)
  const found = exact ?? (computed.length === 1 ? computed[0] : undefined)
  if (found !== undefined) return requirementOf(found.condition) ?? found.condition
  return all.length === 1
    ? (requirementOf(all[0].condition) ?? all[0].condition)
    : "the condition in its file"
}

/** Returns the lines that name every skipped test of a report of vitest, grouped by reason. */
export const skippedLines = ({ testResults }, root) => {
  const byReason = new Map()
  for (const { name: file, assertionResults } of testResults)
    for (const test of assertionResults)
      if (["skipped", "pending", "todo"].includes(test.status)) {
        const reason = reasonOf(file, test)
        const named = [path.relative(root, file), ...test.ancestorTitles, test.title]
        byReason.set(reason, [...(byReason.get(reason) ?? []), named.join(" > ")])
      }
  return [...byReason].flatMap(([reason, names]) => [
    `skipped for want of ${reason}: ${names.length}`,
    ...names.map((name) => `  ${name}`)
  ])
}

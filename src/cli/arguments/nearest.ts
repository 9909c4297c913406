/** How many names an error offers. */
const most = 3

/** The names that a person who typed this may have meant, the nearest first. */
export const nearest = (typed: string, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(names)]
    .map((name) => ({ name, steps: stepsBetween(typed.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, steps }) => steps <= Math.ceil(Math.min(typed.length, name.length) / 3))
    .sort((one, other) => one.steps - other.steps)
    .slice(0, most)
    .map(({ name }) => name)

/** How many characters are to be added, taken away or replaced to make the one of the other (Levenshtein). */
const stepsBetween = (one: string, other: string): number => {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 0; i < one.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j++)
      next.push(
        Math.min(
          (row[j + 1] ?? 0) + 1,
          (next[j] ?? 0) + 1,
          (row[j] ?? 0) + (one[i] === other[j] ? 0 : 1)
        )
      )
    row = next
  }
  return row.at(-1) ?? 0
}

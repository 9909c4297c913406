// Options that have no effect alone, or beside another option. No command accepts those.
import type { FlagData } from "./Flag.ts"

/**
 * Returns the error of the first option without effect; undefined if each has one. `given` are the
 * long names of the given options, with their hyphens.
 */
export const ineffectiveOption = (
  options: ReadonlyArray<FlagData>,
  given: ReadonlySet<string>
): string | undefined => {
  for (const { name, needs, excludes = [], because } of options) {
    if (!given.has(`--${name}`)) continue
    if (needs !== undefined && !given.has(needs)) return `--${name}: has no effect without ${needs}`
    const other = excludes.find((each) => given.has(each))
    if (other !== undefined)
      return `--${name}: has no effect with ${other}${because === undefined ? "" : `: ${because}`}`
  }
  return undefined
}

// Fails on import cycles, type-only imports included: a reader could not start with any of their
// files.
import { importsOf, sourcesOf } from "./imports.ts"

/**
 * One line for each import cycle between the files below `src`: the strongly connected components
 * of the import graph (Tarjan 1972) that have more than one file.
 */
export const importCycles = (src: string): ReadonlyArray<string> => {
  const sources = sourcesOf(src)
  if (sources.size === 0)
    return [`${src}: no TypeScript files found; the check would prove nothing`]
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: Array<string> = []
  const cycles: Array<string> = []
  const visit = (file: string): number => {
    const index = order.size
    order.set(file, index)
    let lowest = index
    stack.push(file)
    for (const target of importsOf(file, sources.get(file) ?? "")) {
      if (target === file) cycles.push(`${file} imports itself`)
      if (!sources.has(target)) continue
      if (!order.has(target)) lowest = Math.min(lowest, visit(target))
      else if (stack.includes(target)) lowest = Math.min(lowest, order.get(target) ?? index)
    }
    low.set(file, lowest)
    if (lowest === index) {
      const members = stack.splice(stack.indexOf(file))
      if (members.length > 1)
        cycles.push(`${members.length} files import each other: ${members.sort().join(", ")}`)
    }
    return lowest
  }
  for (const file of sources.keys()) if (!order.has(file)) visit(file)
  return cycles
}

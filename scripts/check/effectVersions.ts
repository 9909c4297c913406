// Effect 4 is out and a bare install mixes majors; nothing of it may enter the tree. DESIGN section 2.
import { readFileSync } from "node:fs"

interface Locked {
  readonly version?: string
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
}

const isFour = (range: string): boolean => /^\D*4\./.test(range)

/** One line for each package in the lockfile that is Effect 4 or asks for it. */
export const effectVersions = (lockfile: string): ReadonlyArray<string> => {
  const { packages = {} } = JSON.parse(readFileSync(lockfile, "utf8")) as {
    packages?: Record<string, Locked>
  }
  const effects = Object.entries(packages).filter(([place]) =>
    /(^|\/)node_modules\/(effect|@effect\/[^/]+)$/.test(place)
  )
  if (effects.length === 0)
    return [`${lockfile}: no Effect package found; the check would prove nothing`]
  const majors = effects.flatMap(([place, { version = "?" }]) =>
    isFour(version) ? [`${place} is ${version}: Effect 4`] : []
  )
  const askers = Object.entries(packages).flatMap(
    ([place, { dependencies = {}, peerDependencies = {} }]) => {
      const range = peerDependencies.effect ?? dependencies.effect
      return range !== undefined && isFour(range)
        ? [`${place} asks for effect ${range}: Effect 4`]
        : []
    }
  )
  return [...majors, ...askers]
}

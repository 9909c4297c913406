// Fails on packages of Effect 4: the project uses version 3, for which @effect/platform and
// @effect/cli exist, and a plain `npm install` mixes the two.
import { readFileSync } from "node:fs"

interface Locked {
  readonly version?: string
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
}

const isVersion4 = (range: string): boolean => /^\D*4\./.test(range)

/** One line for each package in the lockfile that is Effect 4 or depends on it. */
export const effectVersions = (lockfile: string): ReadonlyArray<string> => {
  const { packages = {} } = JSON.parse(readFileSync(lockfile, "utf8")) as {
    packages?: Record<string, Locked>
  }
  const effects = Object.entries(packages).filter(([location]) =>
    /(^|\/)node_modules\/(effect|@effect\/[^/]+)$/.test(location)
  )
  if (effects.length === 0)
    return [`${lockfile}: no Effect package found; the check would prove nothing`]
  const majors = effects.flatMap(([location, { version = "?" }]) =>
    isVersion4(version) ? [`${location} is ${version}: Effect 4`] : []
  )
  const dependents = Object.entries(packages).flatMap(
    ([location, { dependencies = {}, peerDependencies = {} }]) => {
      const range = peerDependencies.effect ?? dependencies.effect
      return range !== undefined && isVersion4(range)
        ? [`${location} depends on effect ${range}: Effect 4`]
        : []
    }
  )
  return [...majors, ...dependents]
}

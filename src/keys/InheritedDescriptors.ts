// Descriptors that this process inherited, above 2. Node opens its own with close-on-exec, and makes
// the inherited ones so, but only up to about 16: a child would get the others, with the secrets
// behind them.
import { closeSync, constants, openSync, readdirSync, readFileSync } from "node:fs"

const folder = "/proc/self/fdinfo"

/** O_CLOEXEC of Linux, as fdinfo shows flags. */
const closeOnExec = 0o2000000

/** Inherited descriptors that a child would get. Where there is no /proc, nothing is known. */
const find = (): ReadonlyArray<number> => {
  try {
    return readdirSync(folder)
      .map(Number)
      .filter((fd) => fd > 2 && isPassedOn(fd))
  } catch {
    return []
  }
}

const isPassedOn = (fd: number): boolean => {
  try {
    const [, flags = ""] =
      /^flags:\s*([0-7]+)$/m.exec(readFileSync(`${folder}/${fd}`, "utf8")) ?? []
    return flags !== "" && (Number.parseInt(flags, 8) & closeOnExec) === 0
  } catch {
    // The descriptor of this listing.
    return false
  }
}

let found: ReadonlyArray<number> | undefined

/**
 * Calls `spawn` with the entries of `stdio` that follow the first three: in the child each inherited
 * descriptor is /dev/null.
 */
export const hidden = <A>(spawn: (stdio: ReadonlyArray<"ignore" | number>) => A): A => {
  // Once: later ones are Node's own.
  const inherited = (found ??= find())
  if (inherited.length === 0) return spawn([])
  const nothing = openSync("/dev/null", constants.O_RDWR)
  try {
    return spawn(
      Array.from({ length: Math.max(...inherited) - 2 }, (_, index) =>
        inherited.includes(index + 3) ? nothing : "ignore"
      )
    )
  } finally {
    closeSync(nothing)
  }
}

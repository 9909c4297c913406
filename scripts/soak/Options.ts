import { faults, type Fault } from "./faults.ts"

export interface Options {
  readonly hours: number
  readonly seed: number
  readonly json: boolean
  /** A fault that the run must find. */
  readonly plant: Fault | undefined
}

export const usage = `usage: npm run test:soak -- HOURS [--seed N] [--json] [--plant ${faults.join("|")}]
  HOURS may be a fraction, such as 0.02; --seed repeats the choices of a run;
  --plant adds a fault, to see that the run fails`

/** Parses the arguments; undefined if they are invalid. */
export const parse = (args: ReadonlyArray<string>): Options | undefined => {
  let hours = Number.NaN
  let seed = Date.now() % 1_000_000_000
  let json = false
  let plant: Fault | undefined
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]
    if (arg === "--json") json = true
    else if (arg === "--seed") seed = Number(args[++at] ?? Number.NaN)
    else if (arg === "--plant") {
      plant = faults.find((fault) => fault === args[at + 1])
      if (plant === undefined) return undefined
      at++
    } else if (Number.isNaN(hours)) hours = Number(arg)
    else return undefined
  }
  return hours > 0 && hours <= 1000 && Number.isSafeInteger(seed)
    ? { hours, seed, json, plant }
    : undefined
}

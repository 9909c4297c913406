// The terminal that help is formatted for.
import * as Context from "effect/Context"
import { supportsColour } from "./output/Report.ts"

export interface Screen {
  readonly columns: number
  readonly colour: boolean
}

export class CurrentScreen extends Context.Reference<CurrentScreen>()("sealwire/cli/Screen", {
  defaultValue: (): Screen => ({ columns: defaultColumns, colour: false })
}) {}

const defaultColumns = 80

/** Longer lines are hard to read, and shorter ones have no room for an option. */
const [minColumns, maxColumns] = [40, 100]

/** COLUMNS if it is a number, else the width of the terminal, else 80. */
export const screenOf = (
  stdout: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>
): Screen => {
  const asked = /^\d{1,4}$/.test(env.COLUMNS ?? "") ? Number(env.COLUMNS) : 0
  const columns = asked > 0 ? asked : (stdout.columns ?? defaultColumns)
  return {
    columns: Math.min(maxColumns, Math.max(minColumns, columns)),
    colour: supportsColour(stdout, env)
  }
}

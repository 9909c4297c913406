import { fresh } from "../../pairs.ts"
import type { Row } from "../../Row.ts"
import { operations } from "../../scale.ts"

/** Connections that are measured, and as many before them for the JIT compilers. */
const measured = 500

/** What a server spends on one more connection, by the number that is open then. */
export const connections: Row = {
  figures: [
    { name: "growth: CPU of the server for one more connection", unit: "ms", better: "lower" }
  ],
  rounds: 2,
  warmUp: false,
  isGrowth: true,
  contestants: [1000, 3000, 10_000].map((open) => ({
    ...fresh("sealwire NNpsk0", "idle", open, async (pair) => {
      await pair.run(measured)
      const others = operations(open - 2 * measured)
      if (others > 1) await pair.run(others)
      const { serverCpu = 0 } = await pair.run(measured)
      return [(serverCpu * 1000) / measured]
    }),
    name: `${open} open`
  }))
}

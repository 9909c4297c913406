import { fresh } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"

const connections = operations(5000)

/**
 * The resident memory of the server for each authenticated, idle connection. New processes for each
 * round.
 */
export const memory: Row = {
  figures: [{ name: "memory of an idle connection", unit: "KiB", better: "lower" }],
  rounds: 3,
  warmUp: false,
  contestants: ["sealwire NNpsk0", "node:tls", "secret-stream"].map((side) =>
    fresh(side, "idle", connections, async (pair) => {
      // The first connections pay for compiled code, pools and heap that the collector keeps.
      await pair.run(500)
      const { rss: before = 0 } = await pair.memory()
      await pair.run(connections)
      const { rss: after = 0 } = await pair.memory()
      return [(after - before) / connections]
    })
  )
}

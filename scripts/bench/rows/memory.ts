import { choose } from "../pairs.ts"
import { Pair } from "../Pair.ts"
import type { Row } from "../Row.ts"

const connections = 1000

/**
 * The memory of the server for each authenticated, idle connection. New processes for each round.
 */
export const memory: Row = {
  figures: [
    // At most 0.4 of the memory of node:tls.
    {
      name: "memory of an idle connection, resident",
      unit: "KiB",
      better: "lower",
      target: { "node:tls": 2.5 }
    },
    { name: "memory of an idle connection, heap", unit: "KiB", better: "lower" }
  ],
  rounds: 3,
  warmUp: false,
  contestants: async () =>
    choose(["sealwire NNpsk0", "node:tls", "secret-stream"], (side) => ({
      name: side,
      measure: async () => {
        const pair = await Pair.start(side, "idle", connections)
        // The first connections pay for compiled code, pools and heap that the collector keeps.
        await pair.run(500)
        const before = await pair.memory()
        await pair.run(connections)
        const after = await pair.memory()
        await pair.stop()
        return (["rss", "heap"] as const).map(
          (kind) => ((after[kind] ?? 0) - (before[kind] ?? 0)) / connections
        )
      }
    }))
}

import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"

/**
 * 100 bytes and the receipt (Sealwire) or 100 bytes (others) back, one after the other. Of fewer
 * requests the slowest hundredth would be those that wait for the compiler.
 */
export const roundTrips: Row = {
  figures: [
    { name: "request and receipt, p50", unit: "us", better: "lower" },
    { name: "request and receipt, p99", unit: "us", better: "lower" }
  ],
  rounds: 5,
  contestants: ["sealwire NNpsk0", "node:net", "node:tls", "secret-stream"].map((side) =>
    kept(side, "roundTrips", operations(10_000), ({ p50 = 0, p99 = 0 }) => [p50, p99])
  )
}

import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"

/** 100 bytes and the receipt (Sealwire) or 100 bytes (others) back, one after the other. */
export const roundTrips: Row = {
  figures: [
    // At most 1.15 times the latency of node:tls.
    {
      name: "request and receipt, p50",
      unit: "us",
      better: "lower",
      target: { "node:tls": 0.87, "secret-stream": 1 }
    },
    { name: "request and receipt, p99", unit: "us", better: "lower" }
  ],
  rounds: 5,
  contestants: async () =>
    choose(["sealwire NNpsk0", "node:net", "node:tls", "secret-stream"], (side) =>
      kept(side, "roundTrips", 2000, ({ p50 = 0, p99 = 0 }) => [p50, p99])
    )
}

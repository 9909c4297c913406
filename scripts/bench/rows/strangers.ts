import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"

const strangers = operations(1000)
const honest = operations(1000)

/** What a server spends on a client with a key that it does not know. */
const refused = (suite: "NNpsk0" | "IK"): Row => ({
  figures: [
    { name: `a refused stranger, CPU of the server, ${suite}`, unit: "ms", better: "lower" }
  ],
  rounds: 3,
  contestants: [`sealwire ${suite}`, "node:tls"].map((side) =>
    kept(side, "refusals", strangers, ({ serverCpu = 0 }) => [(serverCpu * 1000) / strangers])
  )
})

/** What an honest client waits for while 5,000 others, each from its own address, send nothing. */
const halfOpen: Row = {
  figures: [
    { name: "handshake beside 5,000 half-open connections, p50", unit: "ms", better: "lower" },
    { name: "handshake beside 5,000 half-open connections, p95", unit: "ms", better: "lower" },
    { name: "half-open connections at the end", unit: "", better: "higher" }
  ],
  rounds: 3,
  contestants: ["sealwire IK", "node:tls"].map((side) =>
    kept(side, "halfOpen", honest, ({ p50 = 0, p95 = 0, halfOpen = 0 }) => [
      p50 / 1000,
      p95 / 1000,
      halfOpen
    ])
  )
}

export const strangerRows: ReadonlyArray<Row> = [refused("NNpsk0"), refused("IK"), halfOpen]

import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"

const amount = 192

/** Connect, authenticate both ways, close: 32 at once. */
const handshakes = (suite: "NNpsk0" | "IK" | "XX", beside: number): Row => ({
  figures: [
    {
      name: `handshakes, 32 at once, ${suite}`,
      unit: "1/s",
      better: "higher",
      target: { "node:tls": beside, "secret-stream": 1.3 }
    }
  ],
  rounds: 5,
  contestants: async () =>
    choose([`sealwire ${suite}`, "node:tls", "secret-stream"], (side) =>
      kept(side, "handshakes", amount, ({ seconds = 0 }) => [amount / seconds])
    )
})

export const handshakeRows: ReadonlyArray<Row> = [handshakes("NNpsk0", 6), handshakes("IK", 3), handshakes("XX", 3)]

import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { tunnelName } from "../sides.ts"
import { stunnel } from "../sides/stunnel.ts"

/** So many that compilers have done their part: servers live long. */
const amount = 600

/**
 * Connect, authenticate both ways, close: 32 at once. Without spiped, which now and then (one of twenty) leaves a connection open
 * whose sink has ended it before the handshake was done.
 */
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
    choose([`sealwire ${suite}`, "node:tls", "secret-stream", tunnelName(stunnel)], (side) =>
      kept(side, "handshakes", amount, ({ seconds = 0 }) => [amount / seconds])
    )
})

export const handshakeRows: ReadonlyArray<Row> = [
  handshakes("NNpsk0", 6),
  handshakes("IK", 3),
  handshakes("XX", 3)
]

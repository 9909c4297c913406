import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { tunnelName } from "../sides.ts"
import { stunnel } from "../sides/stunnel.ts"

/** Enough handshakes for the JIT compilers: servers run for a long time. */
const amount = 600

/**
 * Connects, authenticates both sides and closes, 32 at once. Without spiped: about one time in
 * twenty it leaves a connection open whose sink closed before the handshake was complete.
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

import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"
import { tunnelName } from "../sides.ts"
import { stunnel } from "../sides/stunnel.ts"

/** Enough handshakes for the JIT compilers: servers run for a long time. */
const amount = operations(1000)

/**
 * Connects, authenticates both sides and closes, 32 at once. Without spiped: about one time in
 * twenty it leaves a connection open whose sink closed before the handshake was complete.
 */
const handshakes = (suite: "NNpsk0" | "IK" | "XX"): Row => ({
  figures: [
    { name: `handshakes, 32 at once, ${suite}`, unit: "1/s", better: "higher" },
    { name: `handshakes, CPU of the server, ${suite}`, unit: "ms", better: "lower" },
    { name: `handshakes, CPU of the client, ${suite}`, unit: "ms", better: "lower" }
  ],
  rounds: 5,
  contestants: [`sealwire ${suite}`, "node:tls", "secret-stream", tunnelName(stunnel)].map((side) =>
    kept(side, "handshakes", amount, ({ seconds = 0, cpu = 0, serverCpu = 0 }) => [
      amount / seconds,
      (serverCpu * 1000) / amount,
      ((cpu - serverCpu) * 1000) / amount
    ])
  )
})

export const handshakeRows: ReadonlyArray<Row> = [
  handshakes("NNpsk0"),
  handshakes("IK"),
  handshakes("XX")
]

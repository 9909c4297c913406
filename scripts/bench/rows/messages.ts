import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"

const amounts: Readonly<Record<string, number>> = { "secret-stream": 30_000 }
// Multiples of the messages of a batch.
const amountOf = (side: string) => 10 * operations((amounts[side] ?? 300_000) / 10)

/**
 * Messages of 100 bytes, one way. Sealwire and the acknowledging node:tls: with ids, a handler, and
 * receipts from it. The others: separated by newlines, without receipts.
 */
export const messages: Row = {
  figures: [{ name: "messages of 100 bytes, one way", unit: "1/s", better: "higher" }],
  rounds: 5,
  contestants: ["sealwire NNpsk0", "node:tls, acknowledging", "node:tls", "secret-stream"].map(
    (side) =>
      kept(side, "messages", amountOf(side), ({ seconds = 0 }) => [amountOf(side) / seconds])
  )
}

import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"

const amounts: Readonly<Record<string, number>> = { "secret-stream": 30_000 }
const amountOf = (side: string) => amounts[side] ?? 300_000

/**
 * Messages of 100 bytes, one way. Sealwire: with receipts from the handler. Others: separated by
 * newlines, without receipts.
 */
export const messages: Row = {
  figures: [
    {
      name: "messages of 100 bytes, one way",
      unit: "1/s",
      better: "higher",
      target: { "node:tls": 1, "secret-stream": 10 }
    }
  ],
  rounds: 5,
  contestants: async () =>
    choose(["sealwire NNpsk0", "node:tls", "secret-stream"], (side) =>
      kept(side, "messages", amountOf(side), ({ seconds = 0 }) => [amountOf(side) / seconds])
    )
}

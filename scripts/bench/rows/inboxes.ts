import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { inboxes } from "../sides.ts"

const amount = 60_000

/**
 * The cost of durable storage before the receipt: messages of 100 bytes, 1,000 per batch, 16
 * batches in flight.
 */
export const inboxRow: Row = {
  figures: [{ name: "messages acknowledged, by inbox", unit: "1/s", better: "higher" }],
  rounds: 5,
  contestants: async () =>
    choose(["sealwire NNpsk0", inboxes.sqlite, inboxes.postgres, inboxes.jetStream], (side) =>
      kept(side, "messages", amount, ({ seconds = 0 }) => [amount / seconds])
    )
}

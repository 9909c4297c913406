import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { inboxes } from "../sides.ts"
import { operations } from "../scale.ts"

// A multiple of the messages of a batch.
const amount = 6 * operations(10_000)

/**
 * The cost of durable storage before the receipt: messages of 100 bytes, 1,000 per batch, 16
 * batches in flight.
 */
export const inboxRow: Row = {
  figures: [{ name: "messages acknowledged, by inbox", unit: "1/s", better: "higher" }],
  rounds: 5,
  contestants: [
    inboxes.sqlite,
    inboxes.postgres,
    inboxes.jetStreamDurable,
    inboxes.jetStream,
    "sealwire NNpsk0"
  ].map((side) => kept(side, "messages", amount, ({ seconds = 0 }) => [amount / seconds]))
}

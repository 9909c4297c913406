import { kept } from "../../pairs.ts"
import type { Contestant, Row } from "../../Row.ts"
import { operations } from "../../scale.ts"
import { sizeName } from "../../sides.ts"

const count = 10 * operations(10_000)

/** Messages of a size, one way, with receipts from the handler. */
export const smallMessages: Row = {
  figures: [{ name: "growth: small messages, one way", unit: "1/s", better: "higher" }],
  rounds: 3,
  isGrowth: true,
  contestants: [100, 0, 1024].map((size) =>
    kept(sizeName(size), "messages", count, ({ seconds = 0 }) => [count / seconds])
  )
}

const flowBytes = operations(256 * 2 ** 20)

/** The bytes of one flow, and the same in messages. */
export const largeMessages: Row = {
  figures: [
    { name: "growth: bytes of large messages", unit: "GB/s", better: "higher" },
    { name: "growth: bytes of large messages, CPU of both ends", unit: "s/GB", better: "lower" }
  ],
  rounds: 3,
  isGrowth: true,
  contestants: [
    kept("sealwire NNpsk0", "bulk", flowBytes, figuresOf(flowBytes)),
    ...[64 * 1024, 1024 * 1024, 16 * 1024 * 1024].map((size): Contestant => {
      const amount = Math.max(1, Math.round(flowBytes / size))
      return kept(sizeName(size), "messages", amount, figuresOf(amount * size))
    })
  ]
}

function figuresOf(bytes: number) {
  return ({ seconds = 0, cpu = 0 }) => [bytes / 1e9 / seconds, cpu / (bytes / 1e9)]
}

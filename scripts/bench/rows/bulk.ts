import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"

const GB = 1e9

/** Bytes, chosen so that each contestant needs about a third of a second. */
const amounts: Readonly<Record<string, number>> = {
  "libp2p-noise": 32 * 2 ** 20
}
const amountOf = (side: string) => operations(amounts[side] ?? 256 * 2 ** 20)

/** One flow over TCP, written in blocks of 64 KiB. */
export const bulk: Row = {
  figures: [
    { name: "bulk, one flow", unit: "GB/s", better: "higher" },
    { name: "bulk, CPU of both ends", unit: "s/GB", better: "lower" }
  ],
  rounds: 5,
  contestants: [
    "sealwire NNpsk0",
    "prototype",
    "node:net",
    "node:tls",
    "secret-stream",
    "libp2p-noise"
  ].map((side) => {
    const gigabytes = amountOf(side) / GB
    return kept(side, "bulk", amountOf(side), ({ seconds = 0, cpu = 0 }) => [
      gigabytes / seconds,
      cpu / gigabytes
    ])
  })
}

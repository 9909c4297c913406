import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"

const GB = 1e9

/** Bytes, chosen so that each contestant needs about a third of a second. */
const amounts: Readonly<Record<string, number>> = {
  "libp2p-noise": 32 * 2 ** 20
}
const amountOf = (side: string) => amounts[side] ?? 256 * 2 ** 20

const inProcess = [
  "sealwire NNpsk0",
  "prototype",
  "node:net",
  "node:tls",
  "secret-stream",
  "libp2p-noise"
]

/** One flow over TCP, written in blocks of 64 KiB. */
export const bulk: Row = {
  figures: [
    {
      name: "bulk, one flow",
      unit: "GB/s",
      better: "higher",
      target: { prototype: 0.9, "node:tls": 1.15, "secret-stream": 1.8, "libp2p-noise": 6 }
    },
    // At most 0.9 of the CPU time of node:tls.
    { name: "bulk, CPU of both ends", unit: "s/GB", better: "lower", target: { "node:tls": 1.11 } }
  ],
  rounds: 5,
  contestants: async () =>
    choose(inProcess, (side) => {
      const gigabytes = amountOf(side) / GB
      return kept(side, "bulk", amountOf(side), ({ seconds = 0, cpu = 0 }) => [
        gigabytes / seconds,
        cpu / gigabytes
      ])
    })
}

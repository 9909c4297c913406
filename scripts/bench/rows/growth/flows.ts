import { kept } from "../../pairs.ts"
import type { Row } from "../../Row.ts"
import { operations } from "../../scale.ts"
import { flowCounts, flowsName } from "../../sides.ts"

const bytes = operations(256 * 2 ** 20)
const gigabytes = bytes / 1e9

/** The same bytes through a tunnel, divided among some flows. */
export const flows: Row = {
  figures: [
    { name: "growth: flows of a tunnel, together", unit: "GB/s", better: "higher" },
    { name: "growth: flows of a tunnel, CPU of its two ends", unit: "s/GB", better: "lower" }
  ],
  rounds: 3,
  isGrowth: true,
  contestants: flowCounts.map((count) =>
    kept(flowsName(count), "bulk", bytes, ({ seconds = 0, programs = 0 }) => [
      gigabytes / seconds,
      programs / gigabytes
    ])
  )
}

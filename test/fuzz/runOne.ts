// Runs one input of a target within the limits of every input.
import { getHeapStatistics } from "node:v8"
import { limits } from "./limits.ts"
import type { Target } from "./Target.ts"

const heapBytes = (): number => {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics()
  return used + external
}

interface Cost {
  readonly outcome: string
  readonly cpuMillis: number
  readonly heapBytes: number
}

const measure = async ({ run }: Target, input: Uint8Array): Promise<Cost> => {
  const heapBefore = heapBytes()
  const cpuBefore = process.cpuUsage()
  // A copy, so that a target that writes into its input does not change what is kept.
  const result = run(Buffer.from(input))
  const outcome = typeof result === "string" ? result : await result
  const { user, system } = process.cpuUsage(cpuBefore)
  return { outcome, cpuMillis: (user + system) / 1000, heapBytes: heapBytes() - heapBefore }
}

/**
 * Runs one input; returns its outcome. Rejects with what the target threw, or when the input costs
 * more than `limits` three times in a row: other threads of the process may cause a single peak.
 */
export const runOne = async (target: Target, input: Uint8Array): Promise<string> => {
  for (let left = 3; ; left--) {
    const cost = await measure(target, input)
    const tooSlow = cost.cpuMillis > limits.cpuMillis
    if (!tooSlow && cost.heapBytes <= limits.heapBytes) return cost.outcome
    if (left === 1)
      throw new Error(
        tooSlow
          ? `${cost.cpuMillis} ms of CPU for ${input.length} bytes`
          : `${cost.heapBytes} bytes of memory for ${input.length} bytes`
      )
  }
}

import * as FastCheck from "effect/FastCheck"
import type { Cut, MemoryOptions } from "../transports/Memory.ts"

/** The upper limits of the injected faults. */
export interface ChaosLimits {
  /**
   * Connections that may be reset. Later ones are not, so that a program that reconnects
   * terminates. Default: 4.
   */
  readonly cuts?: number
  /** Bytes in one direction before a reset. Default: 4096. */
  readonly bytes?: number
  /** Delay of all bytes, in milliseconds. Default: 0, for tests on the real clock. */
  readonly delay?: number
}

/**
 * Chunk sizes, the mildest first. An index shrinks through all of them; constantFrom would shrink
 * only to the first.
 */
const chunkSizes = [Number.POSITIVE_INFINITY, 1000, 64, 7, 1]

/**
 * Generates options of memory networks that split, delay and reset, for property tests. A failing
 * case shrinks to the fewest resets and the largest chunks that still fail.
 *
 * @example
 * it.effect.prop("survives", { network: chaos({ cuts: 3 }) }, ({ network }) =>
 *   Effect.gen(function* () {
 *     yield* Effect.forkScoped(Server.serve({ address, keys, services, on }))
 *     yield* myProgram
 *   }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory(network)))
 * )
 */
export const chaos = (limits: ChaosLimits = {}): FastCheck.Arbitrary<MemoryOptions> => {
  const { cuts = 4, bytes = 4096, delay = 0 } = limits
  const byteCount = FastCheck.oneof(FastCheck.nat(bytes), FastCheck.nat(Math.min(bytes, 64)))
  // Each direction has its own optional reset, so that one without influence on the failure shrinks
  // away.
  const direction = FastCheck.option(byteCount, { nil: Number.POSITIVE_INFINITY, freq: 2 })
  const cut: FastCheck.Arbitrary<Cut> = FastCheck.record({ written: direction, read: direction })
  return FastCheck.record({
    chunkBytes: FastCheck.nat(chunkSizes.length - 1).map((index) => chunkSizes[index] as number),
    cuts: FastCheck.array(cut, { maxLength: cuts }),
    delay: FastCheck.nat(delay)
  })
}

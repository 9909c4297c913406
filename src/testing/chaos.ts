import * as FastCheck from "effect/FastCheck"
import type { Cut, MemoryOptions } from "../transports/Memory.ts"

/** How much chaos there is at most. */
export interface ChaosLimits {
  /** Connections that are cut; what is more lasts, so that a program that connects again comes to its end. */
  readonly cuts?: number
  /** Bytes that go by in one direction before a cut. */
  readonly bytes?: number
  /** Milliseconds by which everything is late; 0 for tests on the real clock. */
  readonly delay?: number
}

/**
 * Networks in memory that cut what is written into pieces, lose connections, and are late, for a property:
 * what fails is shrunk to the fewest cuts and the largest pieces that still fail.
 *
 * @example
 * it.scoped.prop("survives", { chaos: chaos({ cuts: 3 }) }, ({ chaos }) =>
 *   Effect.provide(myProgram, Transport.layerMemory(chaos))
 * )
 */
export const chaos = (limits: ChaosLimits = {}): FastCheck.Arbitrary<MemoryOptions> => {
  const { cuts = 4, bytes = 4096, delay = 0 } = limits
  const anywhere = FastCheck.oneof(FastCheck.nat(bytes), FastCheck.nat(Math.min(bytes, 64)))
  const never = FastCheck.constant(Number.POSITIVE_INFINITY)
  const cut: FastCheck.Arbitrary<Cut> = FastCheck.oneof(
    FastCheck.record({ written: anywhere, read: never }),
    FastCheck.record({ written: never, read: anywhere }),
    FastCheck.record({ written: anywhere, read: anywhere })
  )
  return FastCheck.record({
    chunkBytes: FastCheck.constantFrom(Number.POSITIVE_INFINITY, 1000, 64, 7, 1),
    cuts: FastCheck.array(cut, { maxLength: cuts }),
    delay: FastCheck.nat(delay)
  })
}

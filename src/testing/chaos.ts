import * as FastCheck from "effect/FastCheck"
import type { Cut, MemoryOptions } from "../transports/Memory.ts"

/** How much chaos there is at most. */
export interface ChaosLimits {
  /** Connections that may be cut; what is more lasts, so that a program that connects again comes to its end. */
  readonly cuts?: number
  /** Bytes that go by in one direction before a cut. */
  readonly bytes?: number
  /** Milliseconds by which everything is late; 0 for tests on the real clock. */
  readonly delay?: number
}

/** Sizes in which what is written arrives, from the mildest on: an index shrinks through all of them, a choice only to the first. */
const pieces = [Number.POSITIVE_INFINITY, 1000, 64, 7, 1]

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
  // Each way is cut or not by itself: a cut that has no part in the failure shrinks away, and a connection may last before one that does not.
  const place = FastCheck.option(anywhere, { nil: Number.POSITIVE_INFINITY, freq: 2 })
  const cut: FastCheck.Arbitrary<Cut> = FastCheck.record({ written: place, read: place })
  return FastCheck.record({
    chunkBytes: FastCheck.nat(pieces.length - 1).map((index) => pieces[index] as number),
    cuts: FastCheck.array(cut, { maxLength: cuts }),
    delay: FastCheck.nat(delay)
  })
}

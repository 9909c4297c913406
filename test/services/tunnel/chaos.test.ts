// Random actions of two programs over a tunnel; a model states what each may observe of the other.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"
import { runs } from "../../fixtures/sample.ts"
import { rig } from "./tunnelRig.ts"

type Side = "client" | "target"
type Step =
  | { readonly do: "write"; readonly side: Side; readonly bytes: number }
  | { readonly do: "end" | "reset" | "stall" | "read"; readonly side: Side }
  | { readonly do: "pause"; readonly millis: number }
  | { readonly do: "cut" }

const side = FastCheck.constantFrom<Side>("client", "target")
const write = FastCheck.record({
  do: FastCheck.constant("write" as const),
  side,
  bytes: FastCheck.oneof(
    FastCheck.integer({ min: 1, max: 100 }),
    FastCheck.constantFrom(65_516, 65_536, 65_537, 700_000)
  )
})
const harmless = FastCheck.oneof(
  FastCheck.record({
    do: FastCheck.constantFrom("end" as const, "stall" as const, "read" as const),
    side
  }),
  FastCheck.record({
    do: FastCheck.constant("pause" as const),
    millis: FastCheck.integer({ min: 0, max: 8 })
  })
)
const fault = FastCheck.oneof(
  FastCheck.record({ do: FastCheck.constant("reset" as const), side }),
  FastCheck.constant({ do: "cut" as const })
)
const steps: FastCheck.Arbitrary<ReadonlyArray<Step>> = FastCheck.array(
  FastCheck.oneof(
    { weight: 6, arbitrary: write },
    { weight: 5, arbitrary: harmless },
    { weight: 1, arbitrary: fault }
  ),
  { minLength: 1, maxLength: 14 }
)

const period = 65_536
/** Twice the period, so that it has a whole period from any position. */
const pattern = Buffer.from(
  Array.from({ length: 2 * period }, (_, index) => (index * 31 + (index >> 8)) & 0xff)
)

/** Bytes whose values show their position in the stream. */
const bytesAt = (at: number, count: number): Buffer =>
  Buffer.alloc(count, pattern.subarray(at % period, (at % period) + period))

/** One program, with the bytes it has written and read. */
class Program {
  written = 0
  ended = false
  read = 0
  corrupted = false
  /** "end", or the code of the error that ended its reading. */
  outcome: string | undefined
  #stalled = false
  #queue: Promise<unknown> = Promise.resolve()
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  stall(yes: boolean) {
    this.#stalled = yes
  }

  write(count: number) {
    if (this.ended) return
    const bytes = bytesAt(this.written, count)
    this.written += count
    this.#enqueue(this.connection.write(bytes))
  }

  end() {
    if (this.ended) return
    this.ended = true
    this.#enqueue(this.connection.end)
  }

  /** Runs in order without waiting: the other side may not be reading. */
  #enqueue(effect: Effect.Effect<void, unknown>) {
    this.#queue = this.#queue.then(() => Effect.runPromise(Effect.ignore(effect)))
  }

  readonly readAll: Effect.Effect<void> = Effect.gen(this, function* () {
    for (;;) {
      while (this.#stalled) yield* pause(1)
      const result = yield* Effect.either(this.connection.read)
      if (result._tag === "Left") return void (this.outcome = result.left.code)
      if (result.right === undefined) return void (this.outcome = "end")
      if (!bytesAt(this.read, result.right.length).equals(result.right)) this.corrupted = true
      this.read += result.right.length
    }
  })
}

const play = (script: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const { both, next, wires } = yield* rig({ pool: 0 })
    const ends = yield* both
    // A channel that is cut before its first byte is replaced once; the second connection to the
    // target is reset here.
    yield* Effect.forkScoped(
      Effect.ignore(Effect.flatMap(next, ({ connection }) => connection.abort))
    )
    const programs = {
      client: new Program(ends.client.connection),
      target: new Program(ends.target.connection)
    }
    const readers = yield* Effect.forEach(Object.values(programs), ({ readAll }) =>
      Effect.fork(readAll)
    )
    const reset = new Set<Side>()
    let cut = false
    /** The sides that had ended before a fault: a later end may be lost. */
    const inTime = new Set<Side>()
    for (const step of script) {
      if (step.do === "pause") yield* pause(step.millis)
      else if (step.do === "cut") {
        cut = true
        yield* wires.at(-1)?.abort ?? Effect.void
      } else if (step.do === "reset") {
        reset.add(step.side)
        yield* programs[step.side].connection.abort
      } else if (step.do === "write") programs[step.side].write(step.bytes)
      else if (step.do === "end") {
        if (reset.size === 0 && !cut) inTime.add(step.side)
        programs[step.side].end()
      } else programs[step.side].stall(step.do === "stall")
    }
    // Both programs read and write to the end.
    for (const program of Object.values(programs)) {
      program.stall(false)
      program.end()
    }
    yield* withTimeout(`the end of ${JSON.stringify(script)}`, Effect.forEach(readers, Fiber.join))
    for (const [me, other] of [
      ["client", "target"],
      ["target", "client"]
    ] as const) {
      const { read, outcome, corrupted } = programs[me]
      const { written } = programs[other]
      const observed = { me, read, outcome, corrupted, written, script: JSON.stringify(script) }
      // The bytes read are a prefix of those written, and an end of stream comes only after all of
      // them.
      expect(observed).toMatchObject({ corrupted: false })
      expect(read).toBeLessThanOrEqual(written)
      if (outcome === "end") expect(observed).toMatchObject({ read: written })
      if (outcome === "end" && (reset.size > 0 || cut))
        expect({ ...observed, inTime: inTime.has(other) }).toMatchObject({ inTime: true })
      // Without a fault all bytes arrive.
      if (reset.size === 0 && !cut)
        expect(observed).toMatchObject({ outcome: "end", read: written })
    }
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

describe.each([
  ["memory", Transport.layerMemory(), runs(15, 40)],
  ["memory cut into 7,001 bytes", Transport.layerMemory({ chunkBytes: 7001 }), runs(8, 20)],
  ["sockets", Transport.layerNet, runs(15, 40)]
] as const)("chaos over %s", (_, layer, numRuns) => {
  it.live.prop(
    "writes, stalls, half-closes, resets and cuts on either side, in any order",
    { script: steps },
    ({ script }) => Effect.provide(play(script), layer),
    { fastCheck: { numRuns }, timeout: 60_000 }
  )
})

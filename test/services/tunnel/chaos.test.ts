// Whatever two programs do to each other through a tunnel, each sees what the other did: a model says what it may see.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"
import { rig } from "./tunnelRig.ts"

type Who = "client" | "target"
type Step =
  | { readonly do: "write"; readonly who: Who; readonly bytes: number }
  | { readonly do: "end" | "reset" | "stall" | "read"; readonly who: Who }
  | { readonly do: "pause"; readonly millis: number }
  | { readonly do: "cut" }

const who = FastCheck.constantFrom<Who>("client", "target")
const write = FastCheck.record({
  do: FastCheck.constant("write" as const),
  who,
  bytes: FastCheck.oneof(
    FastCheck.integer({ min: 1, max: 100 }),
    FastCheck.constantFrom(65_516, 65_536, 65_537, 700_000)
  )
})
const quiet = FastCheck.oneof(
  FastCheck.record({
    do: FastCheck.constantFrom("end" as const, "stall" as const, "read" as const),
    who
  }),
  FastCheck.record({
    do: FastCheck.constant("pause" as const),
    millis: FastCheck.integer({ min: 0, max: 8 })
  })
)
const fault = FastCheck.oneof(
  FastCheck.record({ do: FastCheck.constant("reset" as const), who }),
  FastCheck.constant({ do: "cut" as const })
)
const steps: FastCheck.Arbitrary<ReadonlyArray<Step>> = FastCheck.array(
  FastCheck.oneof(
    { weight: 6, arbitrary: write },
    { weight: 5, arbitrary: quiet },
    { weight: 1, arbitrary: fault }
  ),
  { minLength: 1, maxLength: 14 }
)

/** Bytes whose place in the stream can be told from their value. */
const bytesAt = (at: number, count: number) =>
  Buffer.from(
    Array.from({ length: count }, (_, index) => ((at + index) * 31 + ((at + index) >> 8)) & 0xff)
  )

/** One program: what it has said, and what it hears. */
class Program {
  written = 0
  ended = false
  heard = 0
  wrong = false
  /** How its reading ended. */
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

  say(count: number) {
    if (this.ended) return
    const bytes = bytesAt(this.written, count)
    this.written += count
    this.#then(this.connection.write(bytes))
  }

  end() {
    if (this.ended) return
    this.ended = true
    this.#then(this.connection.end)
  }

  /** In order, and nobody waits: the other side may not be reading. */
  #then(effect: Effect.Effect<void, unknown>) {
    this.#queue = this.#queue.then(() => Effect.runPromise(Effect.ignore(effect)))
  }

  readonly listen: Effect.Effect<void> = Effect.gen(this, function* () {
    for (;;) {
      while (this.#stalled) yield* pause(1)
      const result = yield* Effect.either(this.connection.read)
      if (result._tag === "Left") return void (this.outcome = result.left.code)
      if (result.right === undefined) return void (this.outcome = "end")
      if (!bytesAt(this.heard, result.right.length).equals(result.right)) this.wrong = true
      this.heard += result.right.length
    }
  })
}

const play = (script: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const { both, next, wires } = yield* rig({ pool: 0 })
    const ends = yield* both
    // Cut before its client has said or heard anything, it is made anew, once: that is another connection to the target, and here it is reset.
    yield* Effect.forkScoped(
      Effect.ignore(Effect.flatMap(next, ({ connection }) => connection.abort))
    )
    const programs = {
      client: new Program(ends.client.connection),
      target: new Program(ends.target.connection)
    }
    const readers = yield* Effect.forEach(Object.values(programs), ({ listen }) =>
      Effect.fork(listen)
    )
    const reset = new Set<Who>()
    let cut = false
    /** Who had ended before anything went wrong: an end that comes later is nobody's to hear. */
    const inTime = new Set<Who>()
    for (const step of script) {
      if (step.do === "pause") yield* pause(step.millis)
      else if (step.do === "cut") {
        cut = true
        yield* wires.at(-1)?.abort ?? Effect.void
      } else if (step.do === "reset") {
        reset.add(step.who)
        yield* programs[step.who].connection.abort
      } else if (step.do === "write") programs[step.who].say(step.bytes)
      else if (step.do === "end") {
        if (reset.size === 0 && !cut) inTime.add(step.who)
        programs[step.who].end()
      } else programs[step.who].stall(step.do === "stall")
    }
    // Who has ended is let finish: everybody says all and hears all.
    for (const program of Object.values(programs)) {
      program.stall(false)
      program.end()
    }
    yield* withTimeout(`the end of ${JSON.stringify(script)}`, Effect.forEach(readers, Fiber.join))
    for (const [me, other] of [
      ["client", "target"],
      ["target", "client"]
    ] as const) {
      const { heard, outcome, wrong } = programs[me]
      const { written } = programs[other]
      const seen = { me, heard, outcome, wrong, written, script: JSON.stringify(script) }
      // What came is a beginning of what was said, and an end is never heard before all of it.
      expect(seen).toMatchObject({ wrong: false })
      expect(heard).toBeLessThanOrEqual(written)
      if (outcome === "end") expect(seen).toMatchObject({ heard: written })
      if (outcome === "end" && (reset.size > 0 || cut))
        expect({ ...seen, inTime: inTime.has(other) }).toMatchObject({ inTime: true })
      // With no fault everybody hears all.
      if (reset.size === 0 && !cut) expect(seen).toMatchObject({ outcome: "end", heard: written })
    }
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

describe.each([
  ["memory", Transport.layerMemory(), 40],
  ["memory cut into 7,001 bytes", Transport.layerMemory({ chunkBytes: 7001 }), 20],
  ["sockets", Transport.layerNet, 40]
] as const)("chaos over %s", (_, layer, numRuns) => {
  it.live.prop(
    "writes, stalls, half-closes, resets and cuts on either side, in any order",
    { script: steps },
    ({ script }) => Effect.provide(play(script), layer),
    { fastCheck: { numRuns }, timeout: 60_000 }
  )
})

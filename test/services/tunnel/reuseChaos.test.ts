// Many connections over few channels that are used again, with resets and cuts among them: every
// byte arrives once, in its own connection, and an end of stream only after all of them.
import { createCipheriv } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { pause, waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import { runs } from "../../fixtures/sample.ts"
import { rig, type End } from "./tunnelRig.ts"

/** The fate of one connection. */
interface Plan {
  readonly up: number
  readonly down: number
  readonly first: "client" | "target"
  /** The side that resets it, after `after` bytes; "wire" cuts its channel. */
  readonly fault: "none" | "client" | "target" | "wire"
  readonly after: number
  readonly delay: number
}

const size = FastCheck.oneof(
  { weight: 4, arbitrary: FastCheck.nat(200) },
  { weight: 1, arbitrary: FastCheck.constantFrom(0, 65_516, 65_517, 300_000) }
)
const plans: FastCheck.Arbitrary<ReadonlyArray<Plan>> = FastCheck.array(
  FastCheck.record({
    up: size,
    down: size,
    first: FastCheck.constantFrom<Plan["first"]>("client", "target"),
    fault: FastCheck.oneof(
      { weight: 5, arbitrary: FastCheck.constant("none" as const) },
      { weight: 1, arbitrary: FastCheck.constantFrom<Plan["fault"]>("client", "target", "wire") }
    ),
    after: FastCheck.nat(70_000),
    delay: FastCheck.nat(4)
  }),
  { minLength: 8, maxLength: 24 }
)

const idBytes = 4

/** The stream of a connection in one direction: no two share a sequence of bytes. */
const streamOf = (id: number, direction: "up" | "down", bytes: number): Buffer => {
  const key = Buffer.alloc(16, `${direction} ${id} `)
  const body = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
  const head = Buffer.alloc(idBytes)
  head.writeUInt32BE(id)
  return Buffer.concat([head, body])
}

/** Reads to the end; `on` is called with all bytes so far. */
const readInto = ({ read }: Connection, on: (bytes: Buffer) => void) =>
  Effect.gen(function* () {
    let all: Buffer = Buffer.alloc(0)
    for (;;) {
      const chunk = yield* read
      if (chunk === undefined) return { all, outcome: "end" }
      all = Buffer.concat([all, chunk])
      on(all)
    }
  })

class Played {
  readonly plan: Plan
  readonly up: Buffer
  readonly down: Buffer
  heard: { up: Buffer; down: Buffer } = { up: Buffer.alloc(0), down: Buffer.alloc(0) }
  outcome = { up: "open", down: "open" }
  target: End | undefined
  constructor(id: number, plan: Plan) {
    this.plan = plan
    this.up = streamOf(id, "up", plan.up)
    this.down = streamOf(id, "down", plan.down)
  }
}

const play = (script: ReadonlyArray<Plan>) =>
  Effect.gen(function* () {
    const { connect, arrivals, wires } = yield* rig({ pool: 2, isReused: true })
    const all = script.map((plan, id) => new Played(id, plan))
    /** Which connection a target belongs to is known from the bytes that it receives. */
    const serveTarget = (end: End) => {
      let played: Played | undefined
      const { connection } = end
      return readInto(connection, (bytes) => {
        if (bytes.length >= idBytes && played === undefined) {
          played = all[bytes.readUInt32BE(0)]
          if (played !== undefined) played.target = end
        }
        if (played !== undefined) played.heard.up = bytes
      }).pipe(
        Effect.match({
          onFailure: ({ code }) => code,
          onSuccess: ({ outcome }) => outcome
        }),
        Effect.tap((outcome) =>
          Effect.sync(() => {
            if (played !== undefined) played.outcome.up = outcome
          })
        )
      )
    }
    yield* Effect.forkScoped(
      Effect.forever(Effect.flatMap(arrivals, (end) => Effect.fork(serveTarget(end))))
    )
    const quietly = <E>(effect: Effect.Effect<void, E>) => Effect.ignore(effect)
    const run = (played: Played) =>
      Effect.gen(function* () {
        const { plan, up, down } = played
        const client = yield* connect
        const { connection } = client
        const reading = yield* Effect.fork(
          readInto(connection, (bytes) => (played.heard.down = bytes)).pipe(
            Effect.match({ onFailure: ({ code }) => code, onSuccess: ({ outcome }) => outcome }),
            Effect.map((outcome) => void (played.outcome.down = outcome))
          )
        )
        const cut = Math.min(plan.after, up.length - 1)
        // Its first byte opens the connection to the target.
        yield* quietly(connection.write(up.subarray(0, Math.max(cut, idBytes))))
        yield* pause(plan.delay)
        if (plan.fault === "client") return yield* connection.abort
        if (plan.fault === "wire") yield* wires.at(-1)?.abort ?? Effect.void
        const isOver = () => played.outcome.down !== "open" || played.target !== undefined
        yield* waitUntil("its target", isOver)
        const target = played.target?.connection
        if (plan.fault === "target") return yield* target?.abort ?? Effect.void
        const answering = quietly(
          Effect.zipRight(target?.write(down) ?? Effect.void, target?.end ?? Effect.void)
        )
        const asking = quietly(
          Effect.zipRight(connection.write(up.subarray(Math.max(cut, idBytes))), connection.end)
        )
        yield* plan.first === "client"
          ? Effect.zipRight(asking, answering)
          : Effect.zipRight(answering, asking)
        yield* withTimeout("the client's end", Fiber.join(reading))
        if (played.target === undefined) return undefined
        yield* waitUntil("the target's end", () => played.outcome.up !== "open")
        return yield* played.target.close()
      }).pipe(Effect.scoped)
    yield* withTimeout(
      `the connections of ${JSON.stringify(script)}`,
      Effect.forEach(all, run, { concurrency: 5 })
    )
    yield* waitUntil("the targets' ends", () =>
      all.every(({ target, outcome }) => target === undefined || outcome.up !== "open")
    )
    const hasCut = script.some(({ fault }) => fault === "wire")
    for (const { plan, up, down, heard, outcome, target } of all) {
      const observed = { plan, up: heard.up.length, down: heard.down.length, outcome }
      for (const [got, sent, end] of [
        [heard.up, up, outcome.up],
        [heard.down, down, outcome.down]
      ] as const) {
        // A prefix of its own stream, and an end only after all of it.
        expect({ ...observed, isOwn: got.equals(sent.subarray(0, got.length)) }).toMatchObject({
          isOwn: true
        })
        if (end === "end")
          expect({ ...observed, got: got.length }).toMatchObject({ got: sent.length })
      }
      if (!hasCut && plan.fault === "none")
        expect({ ...observed, hasTarget: target !== undefined }).toMatchObject({
          hasTarget: true,
          outcome: { up: "end", down: "end" }
        })
    }
    return wires.length
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

describe.each([
  ["memory", Transport.layerMemory(), runs(12, 60)],
  ["memory cut into 7,001 bytes", Transport.layerMemory({ chunkBytes: 7001 }), runs(6, 30)],
  ["sockets", Transport.layerNet, runs(12, 60)]
] as const)("chaos over %s", (_, layer, numRuns) => {
  it.live.prop(
    "no byte of one connection reaches another that uses its channel",
    { script: plans },
    ({ script }) => Effect.asVoid(Effect.provide(play(script), layer)),
    { fastCheck: { numRuns }, timeout: 120_000 }
  )

  it.live("without faults, many connections share few channels", () =>
    Effect.gen(function* () {
      const plan: Plan = { up: 90, down: 70, first: "client", fault: "none", after: 9, delay: 0 }
      const channels = yield* Effect.provide(play(Array.from({ length: 60 }, () => plan)), layer)
      expect(channels).toBeLessThan(20)
    })
  )
})

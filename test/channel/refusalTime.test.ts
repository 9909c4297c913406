// When a server refuses, and from when on a client takes a close for a refusal. The clock is the
// test's: real timers fire a millisecond early, and real clocks are rounded.
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/channel/Channel.ts"
import { limits } from "../../src/channel/limits.ts"
import { dial } from "../../src/services/Dial.ts"
import { pause, withTimeout } from "../../src/testing/steps.ts"
import { makeMemory } from "../../src/transports/Memory.ts"
import { Transport } from "../../src/transports/Transport.ts"
import { anyPort, clientKeys, dialKeys, listenAndRead, suiteOf } from "./rig.ts"

const suite = suiteOf("IK")
const quantum = limits.refusalQuantumMillis
const earliest = quantum - limits.refusalMarginMillis

/** Advances the test's clock, and lets what it has woken run. */
const after = (millis: number) => Effect.zipRight(TestClock.adjust(millis), pause(10))

describe("a client whose connection is closed without a byte", () => {
  /** Listens, and closes each connection `millis` after it was accepted. */
  const closingAfter = (millis: number) =>
    Effect.gen(function* () {
      const network = makeMemory()
      const { address } = yield* network.listen(anyPort, ({ abort }) =>
        Effect.zipRight(Effect.sleep(millis), abort)
      )
      return { network, address }
    })

  it.scoped.each([
    [0, true],
    [20, true],
    [earliest - 1, true],
    [earliest, false],
    [quantum - 1, false],
    [quantum, false],
    [2 * quantum - 1, false]
  ] as const)("after %s ms can try again: %s", ([millis, transient]) =>
    Effect.gen(function* () {
      const { network, address } = yield* closingAfter(millis)
      const connection = yield* network.connect(address)
      const client = yield* Effect.fork(Effect.flip(Channel.connect(connection, clientKeys(suite))))
      yield* pause(10)
      yield* after(millis)
      expect(yield* withTimeout("the client", Fiber.join(client))).toMatchObject({
        _tag: "HandshakeFailed",
        transient
      })
    })
  )

  it.scoped("that has received a byte does not try again: no load balancer sends one", () =>
    Effect.gen(function* () {
      const network = makeMemory()
      const { address } = yield* network.listen(anyPort, ({ write, abort }) =>
        write(Buffer.from([0])).pipe(
          Effect.ignore,
          Effect.zipRight(Effect.sleep(20)),
          Effect.zipRight(abort)
        )
      )
      const connection = yield* network.connect(address)
      const client = yield* Effect.fork(Effect.flip(Channel.connect(connection, clientKeys(suite))))
      yield* pause(10)
      yield* after(20)
      expect(yield* withTimeout("the client", Fiber.join(client))).toMatchObject({
        _tag: "HandshakeFailed",
        transient: false
      })
    })
  )

  it.scoped("counts from before it connects: the server has accepted when it learns of it", () =>
    Effect.gen(function* () {
      const { network, address } = yield* closingAfter(quantum)
      // The process is busy while the kernel connects.
      const late = {
        ...network,
        connect: (...args: Parameters<typeof network.connect>) =>
          Effect.tap(network.connect(...args), () => Effect.sleep(quantum - 10))
      }
      const client = yield* dial({ address, keys: dialKeys(suite) }, "x").pipe(
        Effect.provideService(Transport, late),
        Effect.flip,
        Effect.fork
      )
      yield* pause(10)
      yield* after(quantum - 10)
      yield* after(10)
      expect(yield* withTimeout("the client", Fiber.join(client))).toMatchObject({
        _tag: "HandshakeFailed",
        transient: false
      })
    })
  )
})

describe("a server whose timers fire a millisecond early", () => {
  const earlyTimers = Layer.unwrapEffect(
    Effect.map(Effect.clock, (clock) =>
      Layer.setClock({
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanos: clock.currentTimeNanos,
        sleep: (duration) =>
          clock.sleep(Duration.millis(Math.max(1, Duration.toMillis(duration) - 1)))
      })
    )
  )

  it.scoped.each([0, 1, 123, quantum - 1, quantum, quantum + 250])(
    "refuses what has failed after %s ms at the next multiple, and not before",
    (late) =>
      Effect.gen(function* () {
        const network = makeMemory()
        const { address, outcomes } = yield* listenAndRead().pipe(
          Effect.provide(earlyTimers),
          Effect.provideService(Transport, network)
        )
        const connection = yield* network.connect(address)
        const closed = yield* Effect.fork(Effect.exit(connection.read))
        yield* pause(10)
        yield* after(late)
        yield* connection.write(Buffer.alloc(8 + 2 + 96, 0xa5))
        yield* pause(10)
        yield* after(quantum - (late % quantum) - 1)
        expect(closed.unsafePoll()).toBe(null)
        yield* after(1)
        expect(closed.unsafePoll()).not.toBe(null)
        expect(outcomes).toMatchObject([{ _tag: "Refused", reason: "not the Sealwire protocol" }])
      })
  )
})

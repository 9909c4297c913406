// A program on sockets in memory under TestClock: minutes of delays, cuts and pauses, and no real time passes.
import { expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { Address, MessageService, Server, Transport } from "sealwire"
import { mutualKeys } from "sealwire/testing"
import { report } from "./Reporter.ts"

const alice = mutualKeys("alice")
const address = Address.tcp("127.0.0.1", 7000)

/** A server in the background, what it has handled, and when. */
const serving = Effect.gen(function* () {
  const began = yield* Clock.currentTimeMillis
  const handled: Array<readonly [millis: number, text: string]> = []
  const listening = yield* Deferred.make<void>()
  yield* Effect.forkScoped(
    Server.serve({
      address,
      keys: alice.server,
      services: [
        MessageService.service((messages) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            for (const { text } of messages)
              handled.push([now - began, Buffer.from(text).toString()])
          })
        )
      ],
      on: ({ _tag }) =>
        _tag === "Listening" ? Deferred.succeed(listening, undefined) : Effect.void
    })
  )
  yield* Deferred.await(listening)
  return handled
})

/** Lets the clock run, step by step, until the fiber is done: how many milliseconds that takes. */
const passing = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    for (let steps = 0; steps < 10_000; steps++) {
      const exit = yield* fiber.poll
      if (Option.isSome(exit))
        return {
          millis: (yield* Clock.currentTimeMillis) - began,
          result: yield* Effect.either(exit.value)
        }
      yield* TestClock.adjust("100 millis")
    }
    return yield* Effect.dieMessage("it is still not done")
  })

const line = "all is well; ".repeat(100)

const reporting = Effect.flatMap(Effect.fork(report({ address, ...alice.client }, line)), passing)

it.scoped("a line that is late by 200 ms each way is handled after its round trips", () =>
  Effect.gen(function* () {
    const handled = yield* serving
    const { result, millis } = yield* reporting
    expect(Either.isRight(result)).toBe(true)
    expect(handled.map(([, text]) => text)).toEqual([line])
    // The hello, its answer, and the message: three ways. Its receipt: the fourth.
    expect(handled[0]?.[0]).toBeGreaterThanOrEqual(600)
    expect(millis).toBeGreaterThanOrEqual(800)
    expect(millis).toBeLessThan(2000)
  }).pipe(Effect.provide(Transport.layerMemory({ delay: "200 millis" })))
)

it.scoped("connections that are cut are made again, after 1 and then 2 seconds", () =>
  Effect.gen(function* () {
    const handled = yield* serving
    const { result, millis } = yield* reporting
    expect(Either.isRight(result)).toBe(true)
    expect(handled.map(([, text]) => text)).toEqual([line])
    expect(millis).toBeGreaterThanOrEqual(3000)
    expect(millis).toBeLessThan(4000)
  }).pipe(Effect.provide(Transport.layerMemory({ cuts: [insideTheLine, insideTheLine] })))
)
/** The client's half of the handshake comes through, and not all of the line. */
const insideTheLine = { written: 500, read: Number.POSITIVE_INFINITY }

it.scoped("while nobody listens it tries for 31 seconds, and says why it gave up", () =>
  Effect.gen(function* () {
    const { result, millis } = yield* reporting
    expect(result).toMatchObject({
      _tag: "Left",
      left: { _tag: "ConnectFailed", reason: "refused" }
    })
    expect(millis).toBeGreaterThanOrEqual(31_000)
    expect(millis).toBeLessThan(32_000)
  }).pipe(Effect.provide(Transport.layerMemory()))
)

it.scoped("who is in nobody's list does not try again", () =>
  Effect.gen(function* () {
    const handled = yield* serving
    const stranger = { address, ...mutualKeys("mallory").client }
    const { result } = yield* Effect.flatMap(Effect.fork(report(stranger, "let me in")), passing)
    expect(result).toMatchObject({ _tag: "Left", left: { _tag: "HandshakeFailed" } })
    expect(handled).toEqual([])
  }).pipe(Effect.provide(Transport.layerMemory()))
)

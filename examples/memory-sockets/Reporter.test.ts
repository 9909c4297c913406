// A program on in-memory sockets under TestClock: delays, lost connections and pauses without real
// time.
import { expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { Address, MessageService, Server, Transport } from "sealwire"
import { chaos, mutualKeys } from "sealwire/testing"
import { report } from "./Reporter.ts"

const alice = mutualKeys("alice")
const address = Address.tcp("127.0.0.1", 7000)

/** Starts a server; returns the messages it handles, with their times. */
const startServer = Effect.gen(function* () {
  const began = yield* Clock.currentTimeMillis
  const handled: Array<readonly [millis: number, text: string]> = []
  yield* Server.listen({
    address,
    keys: alice.server,
    services: [
      MessageService.service((messages) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const { text } of messages) handled.push([now - began, Buffer.from(text).toString()])
        })
      )
    ]
  })
  return handled
})

/** Advances the clock until the fiber is done; returns its result and the time it took. */
const runToEnd = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
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
    return yield* Effect.dieMessage("the fiber is not done")
  })

const line = "all is well; ".repeat(100)

const runReport = Effect.flatMap(Effect.fork(report({ address, ...alice.client }, line)), runToEnd)

it.scoped("with 200 ms of delay each way a line is handled after two round trips", () =>
  Effect.gen(function* () {
    const handled = yield* startServer
    const { result, millis } = yield* runReport
    expect(Either.isRight(result)).toBe(true)
    expect(handled.map(([, text]) => text)).toEqual([line])
    // The handshake and the message take three one-way delays, the receipt a fourth.
    expect(handled[0]?.[0]).toBeGreaterThanOrEqual(600)
    expect(millis).toBeGreaterThanOrEqual(800)
    expect(millis).toBeLessThan(2000)
  }).pipe(Effect.provide(Transport.layerMemory({ delay: "200 millis" })))
)

it.scoped("lost connections are retried after 1 and 2 seconds", () =>
  Effect.gen(function* () {
    const handled = yield* startServer
    const { result, millis } = yield* runReport
    expect(Either.isRight(result)).toBe(true)
    expect(handled.map(([, text]) => text)).toEqual([line])
    expect(millis).toBeGreaterThanOrEqual(3000)
    expect(millis).toBeLessThan(4000)
  }).pipe(Effect.provide(Transport.layerMemory({ cuts: [insideTheLine, insideTheLine] })))
)
/** Lets the client's part of the handshake pass, but not the whole line. */
const insideTheLine = { written: 500, read: Number.POSITIVE_INFINITY }

it.scoped("without a listener it retries for 31 seconds and fails with the last error", () =>
  Effect.gen(function* () {
    const { result, millis } = yield* runReport
    expect(result).toMatchObject({
      _tag: "Left",
      left: { _tag: "ConnectFailed", reason: "refused" }
    })
    expect(millis).toBeGreaterThanOrEqual(31_000)
    expect(millis).toBeLessThan(32_000)
  }).pipe(Effect.provide(Transport.layerMemory()))
)

it.scoped("an unauthorized client does not retry", () =>
  Effect.gen(function* () {
    const handled = yield* startServer
    const unauthorized = { address, ...mutualKeys("mallory").client }
    const { result } = yield* Effect.flatMap(
      Effect.fork(report(unauthorized, "let me in")),
      runToEnd
    )
    expect(result).toMatchObject({ _tag: "Left", left: { _tag: "HandshakeFailed" } })
    expect(handled).toEqual([])
  }).pipe(Effect.provide(Transport.layerMemory()))
)

it.effect.prop(
  "on any network that loses up to three connections a success means that the server has the line",
  { network: chaos({ cuts: 3, bytes: 2000, delay: 100 }) },
  ({ network }) =>
    Effect.gen(function* () {
      const handled = yield* startServer
      const { result } = yield* runReport
      for (const [, text] of handled) expect(text).toBe(line)
      if (Either.isRight(result)) expect(handled.length).toBeGreaterThan(0)
      // A server that refuses a client closes its connection, so a loss may look like a refusal.
      else expect(result.left).toMatchObject({ _tag: "HandshakeFailed", failure: "refused" })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory(network))),
  { fastCheck: { numRuns: 20 } }
)

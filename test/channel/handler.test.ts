// Channel.handler: the same behaviour with an acceptor that begins in callbacks, and with one that
// runs the handler as an Effect.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Channel from "../../src/channel/Channel.ts"
import type { Handler } from "../../src/transports/Acceptor.ts"
import { makeMemory } from "../../src/transports/Memory.ts"
import { readAll as readRaw, waitUntil, withTimeout } from "../../src/testing/steps.ts"
import { anyPort, clientKeys, readAll, serverKeys, suiteOf } from "./rig.ts"

const forms: ReadonlyArray<readonly [string, (handler: Handler<never>) => Handler<never>]> = [
  ["in callbacks", (handler) => handler],
  ["as an Effect", (handler) => (connection) => handler(connection)]
]

describe.each(forms)("a handler of channels that runs %s", (_, form) => {
  const listening = (halfOpen = 1024) =>
    Effect.gen(function* () {
      const network = makeMemory()
      const log: Array<string> = []
      const handler = yield* Channel.handler(() => ({
        keys: serverKeys,
        settled: () => void log.push("settled"),
        opened: (channel) =>
          Effect.gen(function* () {
            log.push(`opened by ${channel.peer}`)
            yield* channel.write(Buffer.from("hello"))
            yield* channel.end
            yield* readAll(channel)
          }).pipe(Effect.ignore),
        refused: ({ reason }) => Effect.sync(() => void log.push(`refused: ${reason}`)),
        closed: () => void log.push("closed")
      }))
      const { address } = yield* network.listen(anyPort, form(handler), { halfOpen })
      return { network, address, log }
    })

  it.scopedLive("serves a client, and reports its end when the channel has closed", () =>
    Effect.gen(function* () {
      const { network, address, log } = yield* listening()
      const received = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* network.connect(address)
          const channel = yield* Channel.connect(connection, clientKeys(suiteOf("IK")))
          return yield* withTimeout("the bytes", readAll(channel))
        })
      )
      expect(received.toString()).toBe("hello")
      yield* waitUntil("the end", () => log.includes("closed"))
      expect(log).toEqual(["settled", "opened by alice", "closed"])
    })
  )

  it.scopedLive("reports a refusal once, after the reset", () =>
    Effect.gen(function* () {
      const { network, address, log } = yield* listening()
      const connection = yield* network.connect(address)
      yield* connection.write(Buffer.alloc(200, 0xa5))
      const ended = yield* Effect.fork(Effect.exit(readRaw(connection)))
      yield* waitUntil("the refusal", () => log.length >= 2)
      expect(log).toEqual(["settled", "refused: not the Sealwire protocol"])
      yield* withTimeout("the reset", ended.await)
    })
  )

  it.scopedLive("reports nothing about a connection that was evicted", () =>
    Effect.gen(function* () {
      const { network, address, log } = yield* listening(1)
      const silent = yield* network.connect(address)
      const ended = yield* Effect.fork(Effect.exit(readRaw(silent)))
      const connection = yield* network.connect(address)
      yield* withTimeout("the eviction", ended.await)
      const channel = yield* Channel.connect(connection, clientKeys(suiteOf("IK")))
      yield* withTimeout("the bytes", readAll(channel))
      expect(log).toEqual(["settled", "settled", "opened by alice"])
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )
})

it.scopedLive("a handler that throws resets its connection, and the listener goes on", () =>
  Effect.gen(function* () {
    const network = makeMemory()
    let calls = 0
    const served = yield* Deferred.make<void>()
    const handler: Handler<never> = Object.assign(() => Effect.void, {
      begin: (...[, { serve }]: Parameters<NonNullable<Handler<never>["begin"]>>) => {
        if (++calls === 1) throw new Error("on purpose")
        serve(Effect.asVoid(Deferred.succeed(served, undefined)))
        return () => {}
      }
    })
    const { address } = yield* network.listen(anyPort, handler)
    const first = yield* network.connect(address)
    expect((yield* withTimeout("the reset", Effect.exit(readRaw(first))))._tag).toBe("Failure")
    yield* network.connect(address)
    yield* withTimeout("the second", Deferred.await(served))
  }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
)

// Evictions of unauthenticated connections: which of them, and the lines about them.
import { Duplex } from "node:stream"
import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import { nextTurn } from "../../src/testing/steps.ts"
import { acceptor, type Acceptor } from "../../src/transports/Acceptor.ts"
import { limits } from "../../src/transports/limits.ts"

/** Starts an acceptor whose connections never prove anything; returns what was logged, too. */
const flooded = Effect.gen(function* () {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel.label} ${String(message)}`)
  })
  const { accept, halfOpen } = yield* acceptor(() => Effect.never, {
    halfOpen: 1000,
    halfOpenPerSource: 2
  }).pipe(
    Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
    Logger.withMinimumLogLevel(LogLevel.Info)
  )
  const warnings = Effect.as(nextTurn, lines)
  return { connectFrom: connectFrom(accept), halfOpen, warnings }
})

const connectFrom = (accept: Acceptor["accept"]) => (peer: string) => {
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
  accept({ stream, peer, reset: () => void stream.destroy() })
}

it.scoped("clients of a Unix socket are not one source", () =>
  Effect.gen(function* () {
    const { connectFrom, halfOpen, warnings } = yield* flooded
    for (let client = 0; client < 500; client++) connectFrom("unix:/run/app.sock")
    expect(halfOpen()).toBe(500)
    expect(yield* warnings).toEqual([])
  })
)

it.scoped("the first eviction is logged at once, the others as one line a period", () =>
  Effect.gen(function* () {
    const { connectFrom, halfOpen, warnings } = yield* flooded
    for (let source = 1; source <= 100; source++)
      for (let port = 1; port <= 4; port++) connectFrom(`10.0.0.${source}:${port}`)
    expect(halfOpen()).toBe(200)
    const first = "WARN 10.0.0.1:1: connection reset: too many unauthenticated connections"
    expect(yield* warnings).toEqual([first])
    yield* TestClock.adjust(Duration.sum(limits.reportInterval, "1 second"))
    const others =
      "WARN 199 more connections reset, the last from 10.0.0.100: too many unauthenticated connections"
    expect(yield* warnings).toEqual([first, others])
    yield* TestClock.adjust(Duration.times(limits.reportInterval, 3))
    expect(yield* warnings).toEqual([first, others])
  })
)

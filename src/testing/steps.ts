// Steps of tests: connect, read, write, and wait with a time limit.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import type { Connection } from "../transports/Connection.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectionLost } from "../transports/TransportErrors.ts"

/** An expected event did not occur within the time limit. */
export class WaitTimedOut extends Data.TaggedError("StillWaiting")<{ readonly for: string }> {
  override get message(): string {
    return `timed out while waiting for ${this.for}`
  }
}

/** Sleeps in real time, also under a TestClock. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Waits for one turn of the event loop. */
export const nextTurn: Effect.Effect<unknown> = Effect.promise(
  () => new Promise((resume) => setImmediate(resume))
)

/** Fails after 20 seconds of real time, even when the effect is uninterruptible. */
export const withTimeout = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | WaitTimedOut, R> =>
  Effect.raceFirst(
    Effect.disconnect(effect),
    Effect.flatMap(pause(20_000), () => new WaitTimedOut({ for: what }))
  )

/** Polls until the condition holds. */
export const waitUntil = (
  what: string,
  condition: () => boolean
): Effect.Effect<void, WaitTimedOut> =>
  withTimeout(what, Effect.repeat(pause(2), { until: condition }))

/** Waits until the value has not changed for 50 ms, and returns it. */
export const settled = (value: () => number): Effect.Effect<number, WaitTimedOut> => {
  let previous = -1
  let repeats = 0
  const unchanged = waitUntil("a constant value", () => {
    repeats = value() === previous ? repeats + 1 : 0
    previous = value()
    return repeats > 25
  })
  return Effect.map(unchanged, value)
}

/**
 * Advances the TestClock until the fiber is done, so that deadlines pass at once while sockets stay
 * real.
 */
export const advanceUntilDone = <A, E>(
  what: string,
  fiber: Fiber.RuntimeFiber<A, E>
): Effect.Effect<A, E | WaitTimedOut> =>
  Effect.gen(function* () {
    for (let step = 0; step < 50; step++) {
      const exit = yield* fiber.poll
      if (Option.isSome(exit)) return yield* exit.value
      yield* TestClock.adjust("3 seconds")
      yield* pause(2)
    }
    return yield* new WaitTimedOut({ for: what })
  })

/** Reads all bytes up to the end. */
export const readAll = (connection: Connection): Effect.Effect<Buffer, ConnectionLost> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read)
      chunks.push(chunk)
    return Buffer.concat(chunks)
  })

/** Reads at least `count` bytes, or fewer at the end. */
export const readBytes = (
  connection: Connection,
  count: number
): Effect.Effect<Buffer, ConnectionLost> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    for (let length = 0; length < count;) {
      const chunk = yield* connection.read
      if (chunk === undefined) break
      chunks.push(chunk)
      length += chunk.length
    }
    return Buffer.concat(chunks)
  })

/** The same as text. */
export const readAtLeast = (
  connection: Connection,
  count: number
): Effect.Effect<string, ConnectionLost> =>
  Effect.map(readBytes(connection, count), (bytes) => bytes.toString())

/** Writes a text. */
export const writeText = (
  connection: Connection,
  text: string
): Effect.Effect<void, ConnectionLost> => connection.write(Buffer.from(text))

/** A handler that echoes all bytes up to the end. */
export const echo = (connection: Accepted): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read)
      yield* connection.write(chunk)
    yield* connection.end
  }).pipe(Effect.ignore)

/** Writes a text to an echo handler, and returns the echo. */
export const echoOf = (connection: Connection, text: string) =>
  withTimeout(
    `the echo of ${text}`,
    Effect.zipRight(writeText(connection, text), readAtLeast(connection, text.length))
  )

/** One side of a connection, and the function that closes its scope. */
export interface Side {
  readonly connection: Connection
  readonly close: (exit: Exit.Exit<void>) => Effect.Effect<void>
}

/** Listens at an address, connects to it, and returns both sides of the connection. */
export const connectPair = (
  requested: Address
): Effect.Effect<readonly [Side, Side], unknown, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const accepted = yield* Deferred.make<Accepted>()
    const release = yield* Deferred.make<void>()
    const { address } = yield* transport.listen(requested, (connection) =>
      Effect.zipRight(
        Deferred.succeed(accepted, connection),
        Effect.raceFirst(Deferred.await(release), connection.draining)
      )
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const near = yield* withTimeout(
      "the connection",
      Scope.extend(transport.connect(address), scope)
    )
    const far = yield* withTimeout("the accepted connection", Deferred.await(accepted))
    return [
      { connection: near, close: (exit) => Scope.close(scope, exit) },
      { connection: far, close: (exit) => Deferred.done(release, exit) }
    ]
  })

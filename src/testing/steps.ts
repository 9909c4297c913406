// What tests do again and again: meet, read, write, wait, but never for ever.
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

/** What should have happened did not. */
export class WaitTimedOut extends Data.TaggedError("StillWaiting")<{ readonly for: string }> {
  override get message(): string {
    return `still waiting for ${this.for}`
  }
}

/** Real time, also under a TestClock. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** One turn of the event loop. */
export const nextTurn: Effect.Effect<unknown> = Effect.promise(
  () => new Promise((resume) => setImmediate(resume))
)

/** Fails after twenty real seconds, even when what is waited for cannot be interrupted. */
export const withTimeout = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | WaitTimedOut, R> =>
  Effect.raceFirst(
    Effect.disconnect(effect),
    Effect.flatMap(pause(20_000), () => new WaitTimedOut({ for: what }))
  )

/** Waits until it holds. */
export const waitUntil = (what: string, holds: () => boolean): Effect.Effect<void, WaitTimedOut> =>
  withTimeout(what, Effect.repeat(pause(2), { until: holds }))

/** Waits until the figure has stood still for a while. */
export const settled = (figure: () => number): Effect.Effect<number, WaitTimedOut> => {
  let before = -1
  let calm = 0
  const stood = waitUntil("it to stand still", () => {
    calm = figure() === before ? calm + 1 : 0
    before = figure()
    return calm > 25
  })
  return Effect.map(stood, figure)
}

/** Lets the TestClock run until the fiber is done: deadlines pass at once, sockets stay real. */
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

/** All bytes up to the end. */
export const readAll = (connection: Connection): Effect.Effect<Buffer, ConnectionLost> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read)
      chunks.push(chunk)
    return Buffer.concat(chunks)
  })

/** At least so many bytes, or fewer at the end. */
export const readAtLeast = (
  connection: Connection,
  count: number
): Effect.Effect<string, ConnectionLost> =>
  Effect.gen(function* () {
    let bytes = Buffer.alloc(0)
    while (bytes.length < count) {
      const chunk = yield* connection.read
      if (chunk === undefined) break
      bytes = Buffer.concat([bytes, chunk])
    }
    return bytes.toString()
  })

export const writeText = (
  connection: Connection,
  text: string
): Effect.Effect<void, ConnectionLost> => connection.write(Buffer.from(text))

/** A handler that gives back what it gets, up to the end. */
export const echo = (connection: Accepted): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read)
      yield* connection.write(chunk)
    yield* connection.end
  }).pipe(Effect.ignore)

/** Sends the text to somebody who echoes, and what came back. */
export const echoOf = (connection: Connection, text: string) =>
  withTimeout(
    `the echo of ${text}`,
    Effect.zipRight(writeText(connection, text), readAtLeast(connection, text.length))
  )

/** One side of a connection, and how its scope closes. */
export interface Side {
  readonly connection: Connection
  readonly close: (exit: Exit.Exit<void>) => Effect.Effect<void>
}

/** A listener, and the two sides of one connection with it. */
export const connectPair = (
  place: Address
): Effect.Effect<readonly [Side, Side], unknown, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const arrived = yield* Deferred.make<Accepted>()
    const leave = yield* Deferred.make<void>()
    const { address } = yield* transport.listen(place, (connection) =>
      Effect.zipRight(
        Deferred.succeed(arrived, connection),
        Effect.raceFirst(Deferred.await(leave), connection.draining)
      )
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const near = yield* withTimeout(
      "the connection",
      Scope.extend(transport.connect(address), scope)
    )
    const far = yield* withTimeout("the newcomer", Deferred.await(arrived))
    return [
      { connection: near, close: (exit) => Scope.close(scope, exit) },
      { connection: far, close: (exit) => Deferred.done(leave, exit) }
    ]
  })

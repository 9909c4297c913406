// The laws of connecting and listening.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Accepted } from "../transports/Acceptor.ts"
import { format } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import { ConnectFailed, PortInUse } from "../transports/TransportErrors.ts"
import type { Runner } from "./Runner.ts"
import {
  echo,
  echoOf,
  advanceUntilDone,
  pause,
  readAll,
  readAtLeast,
  writeText,
  withTimeout
} from "./steps.ts"
import { lawsOf, type TransportSubject } from "./TransportSubject.ts"

/** Defines the laws of connecting and listening. */
export const listenerLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { describe, expect } = vitest
  const {
    freeAddress,
    unusedAddress,
    unusedReason,
    supportsReset,
    supportsHalfClose = true,
    refusesWhileClosing = true
  } = subject
  const { law, timedLaw, expectReset } = lawsOf(vitest, subject)
  describe("connect", () => {
    law(
      "reports that nothing listens at an address",
      Effect.gen(function* () {
        const transport = yield* Transport
        const failed = yield* withTimeout(
          "the failure",
          Effect.flip(transport.connect(unusedAddress))
        )
        expect(failed).toMatchObject({
          _tag: "ConnectFailed",
          reason: unusedReason,
          address: format(unusedAddress)
        })
      })
    )
  })

  describe("a listener", () => {
    law(
      "serves a hundred connections at once",
      Effect.gen(function* () {
        const transport = yield* Transport
        const { address } = yield* transport.listen(yield* freeAddress, echo)
        const client = (name: number) =>
          Effect.gen(function* () {
            const connection = yield* transport.connect(address)
            const text = `I am number ${name}`
            yield* writeText(connection, text)
            if (!supportsHalfClose) return yield* readAtLeast(connection, text.length)
            yield* connection.end
            return (yield* readAll(connection)).toString()
          }).pipe(Effect.scoped)
        const echoes = yield* withTimeout(
          "all echoes",
          Effect.forEach(Array.from({ length: 100 }).keys(), client, { concurrency: 100 })
        )
        expect(echoes).toEqual(Array.from({ length: 100 }, (_, name) => `I am number ${name}`))
      })
    )

    law(
      "reports an address in use, and frees it on close",
      Effect.gen(function* () {
        const transport = yield* Transport
        const requested = yield* freeAddress
        const address = yield* Effect.scoped(
          Effect.gen(function* () {
            const { address } = yield* transport.listen(requested, echo)
            const failed = yield* withTimeout(
              "the failure",
              Effect.flip(transport.listen(address, echo))
            )
            expect(failed).toBeInstanceOf(PortInUse)
            expect(failed).toMatchObject({
              address: format(address),
              message: expect.stringContaining(format(address))
            })
            expect(yield* echoOf(yield* transport.connect(address), "undisturbed")).toBe(
              "undisturbed"
            )
            return address
          })
        )
        yield* transport.listen(address, echo)
        expect(yield* echoOf(yield* transport.connect(address), "again")).toBe("again")
      })
    )

    law(
      refusesWhileClosing
        ? "refuses connections while it closes, and waits for running handlers"
        : "resets connections while it closes, and waits for running handlers",
      Effect.gen(function* () {
        const transport = yield* Transport
        const arrived = yield* Deferred.make<void>()
        const closing = yield* Deferred.make<void>()
        const scope = yield* Scope.make()
        const handler = (connection: Accepted) =>
          Effect.gen(function* () {
            yield* Deferred.succeed(arrived, undefined)
            yield* connection.draining
            yield* Deferred.succeed(closing, undefined)
            yield* echo(connection)
          })
        const { address } = yield* Scope.extend(
          transport.listen(yield* freeAddress, handler),
          scope
        )
        const client = yield* transport.connect(address)
        yield* withTimeout("the connection", Deferred.await(arrived))

        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* withTimeout("the drain", Deferred.await(closing))
        if (refusesWhileClosing)
          expect(
            yield* withTimeout("the new connection", Effect.flip(transport.connect(address)))
          ).toBeInstanceOf(ConnectFailed)
        else {
          const rejected = Effect.flatMap(transport.connect(address), readAll)
          yield* withTimeout("the new connection", Effect.exit(Effect.scoped(rejected)))
        }
        expect(closed.unsafePoll()).toBeNull()
        expect(yield* echoOf(client, "in flight")).toBe("in flight")
        yield* client.end
        expect((yield* withTimeout("the end", readAll(client))).toString()).toBe("")
        yield* withTimeout("the listener to close", Fiber.join(closed))
      })
    )

    timedLaw(
      "interrupts a handler that does not finish before the deadline",
      Effect.gen(function* () {
        const transport = yield* Transport
        const handlerExit = yield* Deferred.make<Exit.Exit<void>>()
        const scope = yield* Scope.make()
        const { address } = yield* Scope.extend(
          transport.listen(yield* freeAddress, () =>
            Effect.onExit(Effect.never, (exit) => Deferred.succeed(handlerExit, exit))
          ),
          scope
        )
        const client = yield* transport.connect(address)
        yield* pause(50)
        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* pause(50)
        expect(closed.unsafePoll()).toBeNull()
        yield* advanceUntilDone("the listener to close", closed)
        expect(
          Exit.isInterrupted(yield* withTimeout("the handler", Deferred.await(handlerExit)))
        ).toBe(true)
        yield* expectReset(client)
      })
    )

    /** A listener for at most two connections that greets each of them. */
    const listenForTwo = (authenticated: boolean) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        const serve = (connection: Accepted) =>
          Effect.gen(function* () {
            if (authenticated) connection.markAuthenticated()
            yield* Effect.ignore(writeText(connection, "hello"))
            yield* echo(connection)
          })
        const { address } = yield* transport.listen(yield* freeAddress, serve, { connections: 2 })
        const connect = Effect.gen(function* () {
          const connection = yield* transport.connect(address)
          expect(yield* withTimeout("hello", readAtLeast(connection, 5))).toBe("hello")
          return connection
        })
        return { transport, address, connect }
      })

    law(
      "evicts the oldest unauthenticated connection when it is full",
      Effect.gen(function* () {
        const { connect } = yield* listenForTwo(false)
        const [first, second] = [yield* connect, yield* connect]
        const third = yield* connect
        yield* expectReset(first)
        expect(yield* echoOf(second, "still here")).toBe("still here")
        expect(yield* echoOf(third, "here now")).toBe("here now")
        const fourth = yield* connect
        yield* expectReset(second)
        expect(yield* echoOf(third, "still here")).toBe("still here")
        expect(yield* echoOf(fourth, "here now")).toBe("here now")
      })
    )

    law(
      "resets a new connection while it is full of authenticated ones",
      Effect.gen(function* () {
        const { transport, address, connect } = yield* listenForTwo(true)
        const [first, second] = [yield* connect, yield* connect]
        const rejected = Effect.flatMap(transport.connect(address), (connection) =>
          readAtLeast(connection, 5)
        )
        const outcome = yield* withTimeout(
          "the new connection",
          Effect.exit(Effect.scoped(rejected))
        )
        if (supportsReset) expect(Exit.isFailure(outcome)).toBe(true)
        else expect(outcome).toEqual(Exit.succeed(""))
        expect(yield* echoOf(first, "still here")).toBe("still here")
        expect(yield* echoOf(second, "still here")).toBe("still here")
        yield* first.end
        yield* withTimeout("the end", readAll(first))
        yield* pause(20)
        expect(yield* echoOf(yield* connect, "here now")).toBe("here now")
      })
    )

    const faults: Record<string, () => Effect.Effect<void>> = {
      throws: () => {
        throw new Error("thrown by the handler")
      },
      dies: () => Effect.die(new Error("the handler died")),
      "interrupts itself": () => Effect.interrupt
    }
    for (const [fault, faulty] of Object.entries(faults))
      law(
        `survives a handler that ${fault}`,
        Effect.gen(function* () {
          const transport = yield* Transport
          let count = 0
          const { address } = yield* transport.listen(yield* freeAddress, (connection) =>
            count++ === 1 ? faulty() : echo(connection)
          )
          const before = yield* transport.connect(address)
          expect(yield* echoOf(before, "before")).toBe("before")
          const outcome = yield* withTimeout(
            "the failure of the handler",
            Effect.exit(Effect.flatMap(transport.connect(address), readAll))
          )
          if (supportsReset) expect(Exit.isFailure(outcome)).toBe(true)
          expect(yield* echoOf(before, "still")).toBe("still")
          expect(yield* echoOf(yield* transport.connect(address), "after")).toBe("after")
        })
      )
  })
}

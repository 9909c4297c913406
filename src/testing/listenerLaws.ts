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

/** The laws of connecting and listening. */
export const listenerLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { describe, expect } = vitest
  const { freeAddress, unusedAddress, unusedReason, supportsReset } = subject
  const { law, lawOfTime, cutShort } = lawsOf(vitest, subject)
  describe("connect", () => {
    law(
      "says that nobody listens",
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
      "serves a hundred at once",
      Effect.gen(function* () {
        const transport = yield* Transport
        const { address } = yield* transport.listen(yield* freeAddress, echo)
        const guest = (name: number) =>
          Effect.gen(function* () {
            const connection = yield* transport.connect(address)
            yield* writeText(connection, `I am number ${name}`)
            yield* connection.end
            return (yield* readAll(connection)).toString()
          }).pipe(Effect.scoped)
        const heard = yield* withTimeout(
          "all of them",
          Effect.forEach(Array.from({ length: 100 }).keys(), guest, { concurrency: 100 })
        )
        expect(heard).toEqual(Array.from({ length: 100 }, (_, name) => `I am number ${name}`))
      })
    )

    law(
      "says which address is in use, and leaves it free when it has closed",
      Effect.gen(function* () {
        const transport = yield* Transport
        const place = yield* freeAddress
        const address = yield* Effect.scoped(
          Effect.gen(function* () {
            const { address } = yield* transport.listen(place, echo)
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
      "lets in nobody while it closes, and waits for the handlers in flight",
      Effect.gen(function* () {
        const transport = yield* Transport
        const arrived = yield* Deferred.make<void>()
        const closing = yield* Deferred.make<void>()
        const scope = yield* Scope.make()
        const inFlight = (connection: Accepted) =>
          Effect.gen(function* () {
            yield* Deferred.succeed(arrived, undefined)
            yield* connection.draining
            yield* Deferred.succeed(closing, undefined)
            yield* echo(connection)
          })
        const { address } = yield* Scope.extend(
          transport.listen(yield* freeAddress, inFlight),
          scope
        )
        const guest = yield* transport.connect(address)
        yield* withTimeout("the guest", Deferred.await(arrived))

        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* withTimeout("the drain", Deferred.await(closing))
        const newcomer = yield* withTimeout("the newcomer", Effect.flip(transport.connect(address)))
        expect(newcomer).toBeInstanceOf(ConnectFailed)
        expect(closed.unsafePoll()).toBeNull()
        expect(yield* echoOf(guest, "in flight")).toBe("in flight")
        yield* guest.end
        expect((yield* withTimeout("the end", readAll(guest))).toString()).toBe("")
        yield* withTimeout("the listener to close", Fiber.join(closed))
      })
    )

    lawOfTime(
      "interrupts after a deadline a handler that does not finish",
      Effect.gen(function* () {
        const transport = yield* Transport
        const fate = yield* Deferred.make<Exit.Exit<void>>()
        const scope = yield* Scope.make()
        const { address } = yield* Scope.extend(
          transport.listen(yield* freeAddress, () =>
            Effect.onExit(Effect.never, (exit) => Deferred.succeed(fate, exit))
          ),
          scope
        )
        const guest = yield* transport.connect(address)
        yield* pause(50)
        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* pause(50)
        expect(closed.unsafePoll()).toBeNull()
        yield* advanceUntilDone("the listener to close", closed)
        expect(Exit.isInterrupted(yield* withTimeout("the handler", Deferred.await(fate)))).toBe(
          true
        )
        yield* cutShort(guest)
      })
    )

    /** Listens for two at most; says hello to who is let in. */
    const forTwo = (established: boolean) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        const serve = (connection: Accepted) =>
          Effect.gen(function* () {
            if (established) connection.markAuthenticated()
            yield* Effect.ignore(writeText(connection, "hello"))
            yield* echo(connection)
          })
        const { address } = yield* transport.listen(yield* freeAddress, serve, { connections: 2 })
        const enter = Effect.gen(function* () {
          const connection = yield* transport.connect(address)
          expect(yield* withTimeout("hello", readAtLeast(connection, 5))).toBe("hello")
          return connection
        })
        return { transport, address, enter }
      })

    law(
      "that is full lets the oldest unknown guest go for a newcomer",
      Effect.gen(function* () {
        const { enter } = yield* forTwo(false)
        const [first, second] = [yield* enter, yield* enter]
        const third = yield* enter
        yield* cutShort(first)
        expect(yield* echoOf(second, "still here")).toBe("still here")
        expect(yield* echoOf(third, "here now")).toBe("here now")
        const fourth = yield* enter
        yield* cutShort(second)
        expect(yield* echoOf(third, "still here")).toBe("still here")
        expect(yield* echoOf(fourth, "here now")).toBe("here now")
      })
    )

    law(
      "that is full of established guests turns the newcomer away, until one leaves",
      Effect.gen(function* () {
        const { transport, address, enter } = yield* forTwo(true)
        const [first, second] = [yield* enter, yield* enter]
        const turnedAway = Effect.flatMap(transport.connect(address), (connection) =>
          readAtLeast(connection, 5)
        )
        const outcome = yield* withTimeout("the newcomer", Effect.exit(Effect.scoped(turnedAway)))
        if (supportsReset) expect(Exit.isFailure(outcome)).toBe(true)
        else expect(outcome).toEqual(Exit.succeed(""))
        expect(yield* echoOf(first, "still here")).toBe("still here")
        expect(yield* echoOf(second, "still here")).toBe("still here")
        yield* first.end
        yield* withTimeout("the end", readAll(first))
        yield* pause(20)
        expect(yield* echoOf(yield* enter, "here now")).toBe("here now")
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
        `outlives a handler that ${fault}`,
        Effect.gen(function* () {
          const transport = yield* Transport
          let count = 0
          const { address } = yield* transport.listen(yield* freeAddress, (connection) =>
            count++ === 1 ? faulty() : echo(connection)
          )
          const before = yield* transport.connect(address)
          expect(yield* echoOf(before, "before")).toBe("before")
          const ours = yield* withTimeout(
            "the fault",
            Effect.exit(Effect.flatMap(transport.connect(address), readAll))
          )
          if (supportsReset) expect(Exit.isFailure(ours)).toBe(true)
          expect(yield* echoOf(before, "still")).toBe("still")
          expect(yield* echoOf(yield* transport.connect(address), "after")).toBe("after")
        })
      )
  })
}

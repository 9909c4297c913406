// The laws of a connection and of a listener, the same for every transport.
import { createHash } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FC from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type { Accepted } from "../transports/Acceptor.ts"
import { format, type Address } from "../transports/Address.ts"
import type { Connection } from "../transports/Connection.ts"
import { Transport } from "../transports/Transport.ts"
import { ConnectFailed, ConnectionLost, PortInUse, type ConnectFailure } from "../transports/TransportErrors.ts"
import type { Runner } from "./Runner.ts"
import { echo, hear, hurry, meet, pause, readAll, readSome, say, soon, stillness, turn, type Side } from "./steps.ts"

/** A transport to be tested. */
export interface TransportSubject {
  readonly layer: Layer.Layer<Transport>
  /** A free address. */
  readonly somewhere: Effect.Effect<Address, never, Scope.Scope>
  /** Where nobody listens, and what connecting there says. */
  readonly nowhere: Address
  readonly nobody: ConnectFailure
  /** Unix sockets know no reset: there the peer of a failed scope just ends. */
  readonly resets: boolean
  /** What a writer may get rid of while nobody reads: Node's buffers and, on Net, the kernel's. */
  readonly mostUnread: number
  /** And so much more when somebody has begun to read and then stops. */
  readonly mostReadAhead: number
}

const program = {
  succeeded: Exit.void,
  died: Exit.die("the program failed"),
  "was interrupted": Exit.interrupt(FiberId.none)
}

/**
 * The laws of a connection and of a listener, as tests of the runner that is given: for every `Transport`.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * transportLaws(vitest, { layer: myTransport, somewhere: Effect.succeed(Address.tcp("127.0.0.1", 0)), ... })
 */
export const transportLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { describe, expect, it } = vitest
  const { layer, somewhere, nowhere, nobody, resets, mostUnread, mostReadAhead } = subject
  type Body<A> = Effect.Effect<A, unknown, Transport | Scope.Scope>
  // The log of handlers that fail on purpose is not shown.
  const ready = <A>(body: Body<A>) => body.pipe(Effect.provide(layer), Logger.withMinimumLogLevel(LogLevel.None))

  const law = (name: string, body: Body<void>) => it.scopedLive(name, () => ready(body))
  /** For deadlines: hurry() lets them pass. */
  const lawOfTime = (name: string, body: Body<void>) => it.scoped(name, () => ready(body))
  const met = Effect.flatMap(somewhere, meet)
  const bothWays = (name: string, body: (one: Side, other: Side) => Body<void>) => {
    law(
      `${name} (client first)`,
      Effect.flatMap(met, ([near, far]) => body(near, far))
    )
    law(
      `${name} (server first)`,
      Effect.flatMap(met, ([near, far]) => body(far, near))
    )
  }

  /** What a connection that was cut short shows: a loss; where there is no reset, at least an end. */
  const cutShort = (connection: Connection) =>
    Effect.map(soon("the loss", Effect.exit(readAll(connection))), (exit) => {
      if (resets || Exit.isFailure(exit)) expect(exit).toMatchObject({ cause: { error: { _tag: "ConnectionLost" } } })
    })

  describe("a connection", () => {
    const large = FC.nat(Math.min(70_000, mostUnread / 4)).map((length) => Buffer.alloc(length, "all the bytes there are, "))
    const pieces = FC.array(
      FC.oneof({ weight: 8, arbitrary: FC.uint8Array({ maxLength: 300 }) }, { weight: 1, arbitrary: large }),
      { maxLength: 10 }
    )
    it.scopedLive.prop(
      "brings all bytes in order, both ways at once, however they were cut",
      { there: pieces, back: pieces },
      ({ there, back }) =>
        Effect.gen(function* () {
          const [near, far] = yield* met
          const send = ({ connection }: Side, sent: ReadonlyArray<Uint8Array>) =>
            Effect.zipRight(Effect.forEach(sent, connection.write), connection.end)
          const [, , atFar, atNear] = yield* soon(
            "both streams",
            Effect.all([send(near, there), send(far, back), readAll(far.connection), readAll(near.connection)], {
              concurrency: "unbounded"
            })
          )
          expect(atFar.equals(Buffer.concat(there))).toBe(true)
          expect(atNear.equals(Buffer.concat(back))).toBe(true)
        }).pipe(Effect.scoped, ready),
      { fastCheck: { numRuns: 15 } }
    )

    bothWays("ends one way and goes on the other way", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        yield* say(one, "question")
        yield* one.end
        expect((yield* soon("the question", readAll(other))).toString()).toBe("question")
        yield* say(other, "the ")
        yield* say(other, "answer")
        yield* other.end
        expect((yield* soon("the answer", readAll(one))).toString()).toBe("the answer")
      })
    )

    bothWays("gives the end again and again, and ends more than once", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        yield* soon("the first end", one.end)
        yield* soon("the second end", one.end)
        for (let again = 0; again < 3; again++) expect(yield* soon("the end", other.read)).toBeUndefined()
        yield* soon("the other end", other.end)
        for (let again = 0; again < 3; again++) expect(yield* soon("the end", one.read)).toBeUndefined()
        expect(yield* soon("the end after both ends", other.read)).toBeUndefined()
      })
    )

    bothWays("fails a write after the end, and reads on", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        yield* one.end
        expect(yield* soon("the failure", Effect.flip(say(one, "late")))).toBeInstanceOf(ConnectionLost)
        yield* say(other, "go on")
        expect(yield* soon("what goes on", readSome(one, 5))).toBe("go on")
        yield* other.end
        yield* soon("the end", one.read)
        expect(yield* soon("the failure", Effect.flip(say(one, "later")))).toBeInstanceOf(ConnectionLost)
      })
    )

    bothWays("fails writing to a peer that has gone", ({ connection }, other) =>
      Effect.gen(function* () {
        yield* other.close(program.succeeded)
        yield* soon("the end", connection.read)
        const onAndOn = Effect.forever(Effect.zipLeft(say(connection, "anybody there?"), pause(1)))
        expect(yield* soon("the failure", Effect.flip(onAndOn))).toBeInstanceOf(ConnectionLost)
      })
    )

    bothWays("stops the writer while nobody reads, and then brings it all", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const total = 1.25 * (mostUnread + mostReadAhead)
        const sent = createHash("sha256")
        let accepted = 0
        const write = Effect.suspend(() => {
          const block = Buffer.alloc(65536, `${accepted} bytes were accepted before this, `)
          sent.update(block)
          return Effect.map(one.write(block), () => {
            accepted += block.length
          })
        })
        const writer = yield* Effect.fork(Effect.zipRight(Effect.repeat(write, { while: () => accepted < total }), one.end))
        expect(yield* stillness(() => accepted)).toBeLessThan(mostUnread)
        const received = createHash("sha256")
        let chunk = yield* soon("bytes", other.read)
        expect(yield* stillness(() => accepted)).toBeLessThan(mostUnread + mostReadAhead)
        for (; chunk !== undefined; chunk = yield* other.read) received.update(chunk)
        yield* soon("the writer", Fiber.join(writer))
        expect(received.digest("hex")).toBe(sent.digest("hex"))
      })
    )

    bothWays("lets a waiting writer go when its own side ends", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        let accepted = 0
        const write = Effect.zipRight(
          one.write(Buffer.alloc(65536)),
          Effect.sync(() => (accepted += 65536))
        )
        const writer = yield* Effect.fork(Effect.forever(write))
        yield* stillness(() => accepted)
        const ending = yield* Effect.fork(one.end)
        yield* soon("all that was written", readAll(other))
        expect(yield* soon("the writer to fail", Effect.flip(Fiber.join(writer)))).toBeInstanceOf(ConnectionLost)
        yield* soon("the end", Fiber.join(ending))
      })
    )

    bothWays("takes pieces from many writers at once, and keeps each whole", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const warnings: Array<Error> = []
        const warned = (warning: Error) => warnings.push(warning)
        yield* Effect.acquireRelease(
          Effect.sync(() => process.on("warning", warned)),
          () => Effect.sync(() => process.off("warning", warned))
        )
        const writers = Array.from({ length: 30 }, (_, name) => one.write(Buffer.alloc(2000, `${String(name).padStart(4)} `)))
        const writing = yield* Effect.fork(Effect.zipRight(Effect.all(writers, { concurrency: "unbounded" }), one.end))
        yield* pause(5)
        const received = (yield* soon("the pieces", readAll(other))).toString()
        yield* soon("the writers", Fiber.join(writing))
        const wholes = Array.from({ length: 30 }, (_, at) => new Set(received.slice(at * 2000, (at + 1) * 2000).match(/.{5}/g)))
        expect(wholes.map((whole) => whole.size)).toEqual(wholes.map(() => 1))
        expect(warnings).toEqual([])
      })
    )

    bothWays("loses no bytes to a read that is interrupted", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        for (let round = 0; round < 20; round++) {
          const reader = yield* Effect.fork(other.read)
          yield* pause(0)
          yield* say(one, "x")
          for (let wait = 0; wait < round % 4; wait++) yield* turn
          const read = yield* Fiber.interrupt(reader)
          if (Exit.isInterrupted(read)) expect(yield* soon("the bytes", readSome(other, 1))).toBe("x")
        }
      })
    )

    bothWays("is flushed and ended when its scope succeeds", (one, other) =>
      Effect.gen(function* () {
        const bytes = Buffer.alloc(100_000, "to the last byte, ")
        const writing = yield* Effect.fork(Effect.ensuring(one.connection.write(bytes), one.close(program.succeeded)))
        expect((yield* soon("the bytes", readAll(other.connection))).equals(bytes)).toBe(true)
        yield* soon("the writer", Fiber.join(writing))
      })
    )

    for (const how of ["died", "was interrupted"] as const)
      bothWays(`never looks finished when its program ${how}`, (one, { connection: other }) =>
        Effect.gen(function* () {
          yield* say(one.connection, "unfinished")
          yield* soon("what came first", readSome(other, 10))
          const reader = yield* Effect.fork(cutShort(other))
          yield* pause(0)
          yield* soon("the close", one.close(program[how]))
          yield* Fiber.join(reader)
        })
      )

    bothWays("is reset by abort, also in the moment of its end", ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const ending = yield* Effect.fork(Effect.exit(one.end))
        yield* Effect.yieldNow()
        yield* one.abort
        yield* soon("the end", Fiber.join(ending))
        yield* soon("the other side", Effect.exit(readAll(other)))
        expect(yield* soon("this side", Effect.exit(Effect.forever(one.read)))).toMatchObject({ _tag: "Failure" })
      })
    )

    lawOfTime(
      "closes after a deadline when the peer does not take its bytes, and then does not look finished",
      Effect.gen(function* () {
        const [near, { connection: far }] = yield* met
        const writer = yield* Effect.fork(Effect.forever(near.connection.write(Buffer.alloc(65536))))
        yield* pause(100)
        const closing = yield* Effect.fork(near.close(program.succeeded))
        yield* hurry("the close", closing)
        yield* soon("the writer to fail", Effect.flip(Fiber.join(writer)))
        yield* cutShort(far)
      })
    )
  })

  describe("connect", () => {
    law(
      "says that nobody listens",
      Effect.gen(function* () {
        const transport = yield* Transport
        const failed = yield* soon("the failure", Effect.flip(transport.connect(nowhere)))
        expect(failed).toMatchObject({ _tag: "ConnectFailed", reason: nobody, address: format(nowhere) })
      })
    )
  })

  describe("a listener", () => {
    law(
      "serves a hundred at once",
      Effect.gen(function* () {
        const transport = yield* Transport
        const { address } = yield* transport.listen(yield* somewhere, echo)
        const guest = (name: number) =>
          Effect.gen(function* () {
            const connection = yield* transport.connect(address)
            yield* say(connection, `I am number ${name}`)
            yield* connection.end
            return (yield* readAll(connection)).toString()
          }).pipe(Effect.scoped)
        const heard = yield* soon("all of them", Effect.forEach(Array.from({ length: 100 }).keys(), guest, { concurrency: 100 }))
        expect(heard).toEqual(Array.from({ length: 100 }, (_, name) => `I am number ${name}`))
      })
    )

    law(
      "says which address is in use, and leaves it free when it has closed",
      Effect.gen(function* () {
        const transport = yield* Transport
        const place = yield* somewhere
        const address = yield* Effect.scoped(
          Effect.gen(function* () {
            const { address } = yield* transport.listen(place, echo)
            const failed = yield* soon("the failure", Effect.flip(transport.listen(address, echo)))
            expect(failed).toBeInstanceOf(PortInUse)
            expect(failed).toMatchObject({ address: format(address), message: expect.stringContaining(format(address)) })
            expect(yield* hear(yield* transport.connect(address), "undisturbed")).toBe("undisturbed")
            return address
          })
        )
        yield* transport.listen(address, echo)
        expect(yield* hear(yield* transport.connect(address), "again")).toBe("again")
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
        const { address } = yield* Scope.extend(transport.listen(yield* somewhere, inFlight), scope)
        const guest = yield* transport.connect(address)
        yield* soon("the guest", Deferred.await(arrived))

        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* soon("the drain", Deferred.await(closing))
        const newcomer = yield* soon("the newcomer", Effect.flip(transport.connect(address)))
        expect(newcomer).toBeInstanceOf(ConnectFailed)
        expect(closed.unsafePoll()).toBeNull()
        expect(yield* hear(guest, "in flight")).toBe("in flight")
        yield* guest.end
        expect((yield* soon("the end", readAll(guest))).toString()).toBe("")
        yield* soon("the listener to close", Fiber.join(closed))
      })
    )

    lawOfTime(
      "interrupts after a deadline a handler that does not finish",
      Effect.gen(function* () {
        const transport = yield* Transport
        const fate = yield* Deferred.make<Exit.Exit<void>>()
        const scope = yield* Scope.make()
        const { address } = yield* Scope.extend(
          transport.listen(yield* somewhere, () => Effect.onExit(Effect.never, (exit) => Deferred.succeed(fate, exit))),
          scope
        )
        const guest = yield* transport.connect(address)
        yield* pause(50)
        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* pause(50)
        expect(closed.unsafePoll()).toBeNull()
        yield* hurry("the listener to close", closed)
        expect(Exit.isInterrupted(yield* soon("the handler", Deferred.await(fate)))).toBe(true)
        yield* cutShort(guest)
      })
    )

    /** Listens for two at most; says hello to who is let in. */
    const forTwo = (established: boolean) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        const serve = (connection: Accepted) =>
          Effect.gen(function* () {
            if (established) connection.establish()
            yield* Effect.ignore(say(connection, "hello"))
            yield* echo(connection)
          })
        const { address } = yield* transport.listen(yield* somewhere, serve, { connections: 2 })
        const enter = Effect.gen(function* () {
          const connection = yield* transport.connect(address)
          expect(yield* soon("hello", readSome(connection, 5))).toBe("hello")
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
        expect(yield* hear(second, "still here")).toBe("still here")
        expect(yield* hear(third, "here now")).toBe("here now")
        const fourth = yield* enter
        yield* cutShort(second)
        expect(yield* hear(third, "still here")).toBe("still here")
        expect(yield* hear(fourth, "here now")).toBe("here now")
      })
    )

    law(
      "that is full of established guests turns the newcomer away, until one leaves",
      Effect.gen(function* () {
        const { transport, address, enter } = yield* forTwo(true)
        const [first, second] = [yield* enter, yield* enter]
        const turnedAway = Effect.flatMap(transport.connect(address), (connection) => readSome(connection, 5))
        const outcome = yield* soon("the newcomer", Effect.exit(Effect.scoped(turnedAway)))
        if (resets) expect(Exit.isFailure(outcome)).toBe(true)
        else expect(outcome).toEqual(Exit.succeed(""))
        expect(yield* hear(first, "still here")).toBe("still here")
        expect(yield* hear(second, "still here")).toBe("still here")
        yield* first.end
        yield* soon("the end", readAll(first))
        yield* pause(20)
        expect(yield* hear(yield* enter, "here now")).toBe("here now")
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
          const { address } = yield* transport.listen(yield* somewhere, (connection) =>
            count++ === 1 ? faulty() : echo(connection)
          )
          const before = yield* transport.connect(address)
          expect(yield* hear(before, "before")).toBe("before")
          const ours = yield* soon("the fault", Effect.exit(Effect.flatMap(transport.connect(address), readAll)))
          if (resets) expect(Exit.isFailure(ours)).toBe(true)
          expect(yield* hear(before, "still")).toBe("still")
          expect(yield* hear(yield* transport.connect(address), "after")).toBe("after")
        })
      )
  })
}

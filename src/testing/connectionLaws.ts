// The laws of a connection.
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FC from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { ConnectionLost } from "../transports/TransportErrors.ts"
import type { Runner } from "./Runner.ts"
import {
  advanceUntilDone,
  pause,
  readAll,
  readAtLeast,
  writeText,
  withTimeout,
  settled,
  nextTurn,
  type Side
} from "./steps.ts"
import { lawsOf, type TransportSubject } from "./TransportSubject.ts"

const program = {
  succeeded: Exit.void,
  died: Exit.die("the program failed"),
  "was interrupted": Exit.interrupt(FiberId.none)
}

/** The laws of a connection, whichever side it was made from. */
export const connectionLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { expect, it } = vitest
  const { maxUnreadBytes, maxReadAheadBytes } = subject
  const { ready, lawOfTime, met, bothWays, cutShort } = lawsOf(vitest, subject)
  const large = FC.nat(Math.min(70_000, maxUnreadBytes / 4)).map((length) =>
    Buffer.alloc(length, "all the bytes there are, ")
  )
  const pieces = FC.array(
    FC.oneof(
      { weight: 8, arbitrary: FC.uint8Array({ maxLength: 300 }) },
      { weight: 1, arbitrary: large }
    ),
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
        const [, , atFar, atNear] = yield* withTimeout(
          "both streams",
          Effect.all(
            [send(near, there), send(far, back), readAll(far.connection), readAll(near.connection)],
            {
              concurrency: "unbounded"
            }
          )
        )
        expect(atFar.equals(Buffer.concat(there))).toBe(true)
        expect(atNear.equals(Buffer.concat(back))).toBe(true)
      }).pipe(Effect.scoped, ready),
    { fastCheck: { numRuns: 15 } }
  )

  bothWays("ends one way and goes on the other way", ({ connection: one }, { connection: other }) =>
    Effect.gen(function* () {
      yield* writeText(one, "question")
      yield* one.end
      expect((yield* withTimeout("the question", readAll(other))).toString()).toBe("question")
      yield* writeText(other, "the ")
      yield* writeText(other, "answer")
      yield* other.end
      expect((yield* withTimeout("the answer", readAll(one))).toString()).toBe("the answer")
    })
  )

  bothWays(
    "gives the end again and again, and ends more than once",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        yield* withTimeout("the first end", one.end)
        yield* withTimeout("the second end", one.end)
        for (let again = 0; again < 3; again++)
          expect(yield* withTimeout("the end", other.read)).toBeUndefined()
        yield* withTimeout("the other end", other.end)
        for (let again = 0; again < 3; again++)
          expect(yield* withTimeout("the end", one.read)).toBeUndefined()
        expect(yield* withTimeout("the end after both ends", other.read)).toBeUndefined()
      })
  )

  bothWays(
    "fails a write after the end, and reads on",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        yield* one.end
        expect(
          yield* withTimeout("the failure", Effect.flip(writeText(one, "late")))
        ).toBeInstanceOf(ConnectionLost)
        yield* writeText(other, "go on")
        expect(yield* withTimeout("what goes on", readAtLeast(one, 5))).toBe("go on")
        yield* other.end
        yield* withTimeout("the end", one.read)
        expect(
          yield* withTimeout("the failure", Effect.flip(writeText(one, "later")))
        ).toBeInstanceOf(ConnectionLost)
      })
  )

  bothWays("fails writing to a peer that has gone", ({ connection }, other) =>
    Effect.gen(function* () {
      yield* other.close(program.succeeded)
      yield* withTimeout("the end", connection.read)
      const onAndOn = Effect.forever(
        Effect.zipLeft(writeText(connection, "anybody there?"), pause(1))
      )
      expect(yield* withTimeout("the failure", Effect.flip(onAndOn))).toBeInstanceOf(ConnectionLost)
    })
  )

  bothWays(
    "stops the writer while nobody reads, and then brings it all",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const total = 1.25 * (maxUnreadBytes + maxReadAheadBytes)
        const sent = createHash("sha256")
        let accepted = 0
        const write = Effect.suspend(() => {
          const block = Buffer.alloc(65536, `${accepted} bytes were accepted before this, `)
          sent.update(block)
          return Effect.map(one.write(block), () => {
            accepted += block.length
          })
        })
        const writer = yield* Effect.fork(
          Effect.zipRight(Effect.repeat(write, { while: () => accepted < total }), one.end)
        )
        expect(yield* settled(() => accepted)).toBeLessThan(maxUnreadBytes)
        const received = createHash("sha256")
        let chunk = yield* withTimeout("bytes", other.read)
        expect(yield* settled(() => accepted)).toBeLessThan(maxUnreadBytes + maxReadAheadBytes)
        for (; chunk !== undefined; chunk = yield* other.read) received.update(chunk)
        yield* withTimeout("the writer", Fiber.join(writer))
        expect(received.digest("hex")).toBe(sent.digest("hex"))
      })
  )

  bothWays(
    "lets a waiting writer go when its own side ends",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        let accepted = 0
        const write = Effect.zipRight(
          one.write(Buffer.alloc(65536)),
          Effect.sync(() => (accepted += 65536))
        )
        const writer = yield* Effect.fork(Effect.forever(write))
        yield* settled(() => accepted)
        const ending = yield* Effect.fork(one.end)
        yield* withTimeout("all that was written", readAll(other))
        expect(
          yield* withTimeout("the writer to fail", Effect.flip(Fiber.join(writer)))
        ).toBeInstanceOf(ConnectionLost)
        yield* withTimeout("the end", Fiber.join(ending))
      })
  )

  bothWays(
    "takes pieces from many writers at once, and keeps each whole",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const warnings: Array<Error> = []
        const warned = (warning: Error) => warnings.push(warning)
        yield* Effect.acquireRelease(
          Effect.sync(() => process.on("warning", warned)),
          () => Effect.sync(() => process.off("warning", warned))
        )
        const writers = Array.from({ length: 30 }, (_, name) =>
          one.write(Buffer.alloc(2000, `${String(name).padStart(4)} `))
        )
        const writing = yield* Effect.fork(
          Effect.zipRight(Effect.all(writers, { concurrency: "unbounded" }), one.end)
        )
        yield* pause(5)
        const received = (yield* withTimeout("the pieces", readAll(other))).toString()
        yield* withTimeout("the writers", Fiber.join(writing))
        const wholes = Array.from(
          { length: 30 },
          (_, at) => new Set(received.slice(at * 2000, (at + 1) * 2000).match(/.{5}/g))
        )
        expect(wholes.map((whole) => whole.size)).toEqual(wholes.map(() => 1))
        expect(warnings).toEqual([])
      })
  )

  bothWays(
    "loses no bytes to a read that is interrupted",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        for (let round = 0; round < 20; round++) {
          const reader = yield* Effect.fork(other.read)
          yield* pause(0)
          yield* writeText(one, "x")
          for (let wait = 0; wait < round % 4; wait++) yield* nextTurn
          const read = yield* Fiber.interrupt(reader)
          if (Exit.isInterrupted(read))
            expect(yield* withTimeout("the bytes", readAtLeast(other, 1))).toBe("x")
        }
      })
  )

  bothWays("is flushed and ended when its scope succeeds", (one, other) =>
    Effect.gen(function* () {
      const bytes = Buffer.alloc(100_000, "to the last byte, ")
      const writing = yield* Effect.fork(
        Effect.ensuring(one.connection.write(bytes), one.close(program.succeeded))
      )
      expect((yield* withTimeout("the bytes", readAll(other.connection))).equals(bytes)).toBe(true)
      yield* withTimeout("the writer", Fiber.join(writing))
    })
  )

  for (const how of ["died", "was interrupted"] as const)
    bothWays(`never looks finished when its program ${how}`, (one, { connection: other }) =>
      Effect.gen(function* () {
        yield* writeText(one.connection, "unfinished")
        yield* withTimeout("what came first", readAtLeast(other, 10))
        const reader = yield* Effect.fork(cutShort(other))
        yield* pause(0)
        yield* withTimeout("the close", one.close(program[how]))
        yield* Fiber.join(reader)
      })
    )

  bothWays(
    "is reset by abort, also in the moment of its end",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const ending = yield* Effect.fork(Effect.exit(one.end))
        yield* Effect.yieldNow()
        yield* one.abort
        yield* withTimeout("the end", Fiber.join(ending))
        yield* withTimeout("the other side", Effect.exit(readAll(other)))
        expect(
          yield* withTimeout("this side", Effect.exit(Effect.forever(one.read)))
        ).toMatchObject({
          _tag: "Failure"
        })
      })
  )

  lawOfTime(
    "closes after a deadline when the peer does not take its bytes, and then does not look finished",
    Effect.gen(function* () {
      const [near, { connection: far }] = yield* met
      const writer = yield* Effect.fork(Effect.forever(near.connection.write(Buffer.alloc(65536))))
      yield* pause(100)
      const closing = yield* Effect.fork(near.close(program.succeeded))
      yield* advanceUntilDone("the close", closing)
      yield* withTimeout("the writer to fail", Effect.flip(Fiber.join(writer)))
      yield* cutShort(far)
    })
  )
}

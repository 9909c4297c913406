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
  readBytes,
  writeText,
  withTimeout,
  settled,
  nextTurn,
  type Side
} from "./steps.ts"
import { lawsOf, type TransportSubject } from "./TransportSubject.ts"

const exits = {
  succeeded: Exit.void,
  died: Exit.die("the program failed"),
  "was interrupted": Exit.interrupt(FiberId.none)
}

/** Defines the laws of a connection, for the connecting and for the accepting side. */
export const connectionLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { expect, it } = vitest
  const { maxUnreadBytes, maxReadAheadBytes, supportsHalfClose = true } = subject
  const { ready, timedLaw, pair, bothWays, halfClosed, expectReset } = lawsOf(vitest, subject)
  const large = FC.nat(Math.min(70_000, maxUnreadBytes / 4)).map((length) =>
    Buffer.alloc(length, "a block of bytes, ")
  )
  const pieces = FC.array(
    FC.oneof(
      { weight: 8, arbitrary: FC.uint8Array({ maxLength: 300 }) },
      { weight: 1, arbitrary: large }
    ),
    { maxLength: 10 }
  )
  it.scopedLive.prop(
    "delivers all bytes in order, both ways at once, in chunks of any size",
    { there: pieces, back: pieces },
    ({ there, back }) =>
      Effect.gen(function* () {
        const [near, far] = yield* pair
        const sizeOf = (sent: ReadonlyArray<Uint8Array>) =>
          sent.reduce((sum, { length }) => sum + length, 0)
        const send = ({ connection }: Side, sent: ReadonlyArray<Uint8Array>) =>
          Effect.zipRight(
            Effect.forEach(sent, connection.write),
            supportsHalfClose ? connection.end : Effect.void
          )
        // Without half-close each end comes when the other side has sent everything.
        const receive = ({ connection }: Side, sent: ReadonlyArray<Uint8Array>) =>
          supportsHalfClose ? readAll(connection) : readBytes(connection, sizeOf(sent))
        const [, , atFar, atNear] = yield* withTimeout(
          "both streams",
          Effect.all(
            [send(near, there), send(far, back), receive(far, there), receive(near, back)],
            { concurrency: "unbounded" }
          )
        )
        yield* near.connection.end
        expect(yield* withTimeout("the end", readAll(far.connection))).toEqual(Buffer.alloc(0))
        expect(atFar.equals(Buffer.concat(there))).toBe(true)
        expect(atNear.equals(Buffer.concat(back))).toBe(true)
      }).pipe(Effect.scoped, ready),
    { fastCheck: { numRuns: 15 } }
  )

  halfClosed(
    "ends one direction and keeps the other open",
    ({ connection: one }, { connection: other }) =>
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
    "returns the end repeatedly, and may be ended repeatedly",
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

  halfClosed(
    "fails a write after the end, and continues to read",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        yield* one.end
        expect(
          yield* withTimeout("the failure", Effect.flip(writeText(one, "late")))
        ).toBeInstanceOf(ConnectionLost)
        yield* writeText(other, "go on")
        expect(yield* withTimeout("the later bytes", readAtLeast(one, 5))).toBe("go on")
        yield* other.end
        yield* withTimeout("the end", one.read)
        expect(
          yield* withTimeout("the failure", Effect.flip(writeText(one, "later")))
        ).toBeInstanceOf(ConnectionLost)
      })
  )

  bothWays("fails to write to a peer that has closed", ({ connection }, other) =>
    Effect.gen(function* () {
      yield* other.close(exits.succeeded)
      yield* withTimeout("the end", connection.read)
      const writing = Effect.forever(Effect.zipLeft(writeText(connection, "more"), pause(1)))
      expect(yield* withTimeout("the failure", Effect.flip(writing))).toBeInstanceOf(ConnectionLost)
    })
  )

  bothWays(
    "blocks the writer while the peer does not read, then delivers everything",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        let total = 1.25 * (maxUnreadBytes + maxReadAheadBytes)
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
        // The writer is blocked: some blocks more show that it continues.
        total = Math.min(total, accepted + 3 * 65536)
        for (; chunk !== undefined; chunk = yield* other.read) received.update(chunk)
        yield* withTimeout("the writer", Fiber.join(writer))
        expect(received.digest("hex")).toBe(sent.digest("hex"))
      })
  )

  bothWays(
    "fails a waiting writer when its own side ends",
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
        yield* withTimeout("the written bytes", readAll(other))
        expect(
          yield* withTimeout("the writer to fail", Effect.flip(Fiber.join(writer)))
        ).toBeInstanceOf(ConnectionLost)
        yield* withTimeout("the end", Fiber.join(ending))
      })
  )

  bothWays(
    "keeps the writes of concurrent writers intact",
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
        const patterns = Array.from(
          { length: 30 },
          (_, at) => new Set(received.slice(at * 2000, (at + 1) * 2000).match(/.{5}/g))
        )
        expect(patterns.map(({ size }) => size)).toEqual(patterns.map(() => 1))
        expect(warnings).toEqual([])
      })
  )

  bothWays(
    "loses no bytes when a read is interrupted",
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

  bothWays("flushes and ends when its scope succeeds", (one, other) =>
    Effect.gen(function* () {
      const bytes = Buffer.alloc(100_000, "to the last byte, ")
      const writing = yield* Effect.fork(
        Effect.ensuring(one.connection.write(bytes), one.close(exits.succeeded))
      )
      expect((yield* withTimeout("the bytes", readAll(other.connection))).equals(bytes)).toBe(true)
      yield* withTimeout("the writer", Fiber.join(writing))
    })
  )

  for (const how of ["died", "was interrupted"] as const)
    bothWays(`does not end normally when its program ${how}`, (one, { connection: other }) =>
      Effect.gen(function* () {
        yield* writeText(one.connection, "unfinished")
        yield* withTimeout("the first bytes", readAtLeast(other, 10))
        const reader = yield* Effect.fork(expectReset(other))
        yield* pause(0)
        yield* withTimeout("the close", one.close(exits[how]))
        yield* Fiber.join(reader)
      })
    )

  bothWays(
    "is reset by abort, also while it is ending",
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

  timedLaw(
    "closes after a deadline when the peer does not read, and then does not end normally",
    Effect.gen(function* () {
      const [near, { connection: far }] = yield* pair
      const writer = yield* Effect.fork(Effect.forever(near.connection.write(Buffer.alloc(65536))))
      yield* pause(100)
      const closing = yield* Effect.fork(near.close(exits.succeeded))
      yield* advanceUntilDone("the close", closing)
      yield* withTimeout("the writer to fail", Effect.flip(Fiber.join(writer)))
      yield* expectReset(far)
    })
  )
}

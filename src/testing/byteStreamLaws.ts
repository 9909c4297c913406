// The laws of a pipeline of bytes.
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Runner } from "./Runner.ts"
import { settled, withTimeout } from "./steps.ts"

/** A pipeline under test: everything that goes in comes out. */
export interface ByteStreamSubject {
  /**
   * Returns the stream that emits what arrives of the given one: it is encrypted and decrypted, sent
   * and received, written and read.
   */
  readonly through: <E>(
    bytes: Stream.Stream<Uint8Array, E>
  ) => Stream.Stream<Uint8Array, unknown, Scope.Scope>
  /** Bytes that it takes from its source, at most, while its reader waits. */
  readonly maxReadAheadBytes: number
}

const pieces = FastCheck.array(
  FastCheck.oneof(
    { weight: 8, arbitrary: FastCheck.uint8Array({ maxLength: 300 }) },
    { weight: 1, arbitrary: FastCheck.constant(new Uint8Array(0)) },
    { weight: 1, arbitrary: FastCheck.nat(70_000).map((length) => Buffer.alloc(length, "bytes, ")) }
  ),
  { maxLength: 10 }
)

const emitted = (stream: Stream.Stream<Uint8Array, unknown, Scope.Scope>) =>
  withTimeout("the stream", Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray))

/**
 * Defines the laws of a pipeline of bytes, as tests of the runner: it emits the same bytes and no
 * empty element, it never turns a failure into an end, and it waits for its reader.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * byteStreamLaws(vitest, {
 *   through: (bytes) =>
 *     bytes.pipe(
 *       EncryptedFile.encryptStream(Recipients.FileKey({ key })),
 *       EncryptedFile.decryptStream({ fileKey: Effect.succeed(key) }),
 *       Effect.map(({ content }) => content),
 *       Stream.unwrap
 *     ),
 *   maxReadAheadBytes: 64 * 1024
 * })
 */
export const byteStreamLaws = (
  vitest: Runner,
  { through, maxReadAheadBytes }: ByteStreamSubject
): void => {
  const { expect, it } = vitest

  it.scopedLive.prop(
    "emits the same bytes, however they are cut",
    { pieces },
    ({ pieces }) =>
      Effect.gen(function* () {
        const parts = yield* emitted(through(Stream.fromIterable(pieces)))
        expect(Buffer.concat(parts).equals(Buffer.concat(pieces))).toBe(true)
      }).pipe(Effect.scoped),
    { fastCheck: { numRuns: 15 } }
  )

  // FileSystem.sink of @effect/platform fails with WriteZero at an empty element.
  it.scopedLive.prop(
    "emits no empty element",
    { pieces },
    ({ pieces }) =>
      Effect.gen(function* () {
        const parts = yield* emitted(through(Stream.fromIterable(pieces)))
        expect(parts.filter(({ length }) => length === 0)).toEqual([])
      }).pipe(Effect.scoped),
    { fastCheck: { numRuns: 15 } }
  )

  it.scopedLive("does not end normally when its source fails", () =>
    Effect.gen(function* () {
      const source = Stream.concat(Stream.make(Buffer.alloc(1000)), Stream.fail("broken"))
      const exit = yield* withTimeout("the failure", Effect.exit(Stream.runDrain(through(source))))
      expect(Exit.isFailure(exit)).toBe(true)
    })
  )

  it.scopedLive("takes a limited number of bytes from its source while its reader waits", () =>
    Effect.gen(function* () {
      let taken = 0
      const source = Stream.repeatEffect(
        Effect.sync(() => {
          taken += 16 * 1024
          return Buffer.alloc(16 * 1024, taken)
        })
      )
      const reader = yield* Effect.fork(Stream.runForEach(through(source), () => Effect.never))
      const atRest = yield* settled(() => taken)
      yield* Fiber.interruptFork(reader)
      expect(atRest).toBeGreaterThan(0)
      expect(atRest).toBeLessThanOrEqual(maxReadAheadBytes)
    })
  )
}

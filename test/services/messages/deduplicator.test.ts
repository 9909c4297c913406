// The Deduplicator: messages that are handled or in progress in another session are not handled
// again.
import { runs } from "../../fixtures/sample.ts"
import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { Deduplicator, limits } from "../../../src/services/messages/Deduplicator.ts"
import { withTimeout, nextTurn } from "../../../src/testing/steps.ts"

interface Message {
  readonly id: Uint8Array
}

class Failed extends Data.TaggedError("Failed")<object> {}

const message = (number: number): Message => {
  const id = Buffer.alloc(16)
  id.writeUInt32BE(number, 12)
  return { id }
}
const numberOf = ({ id }: Message): number => Buffer.from(id).readUInt32BE(12)
const range = (from: number, to: number): ReadonlyArray<Message> =>
  Array.from({ length: to - from }, (_, index) => message(from + index))

/** Handles the messages at once and returns the numbers of the new ones. */
const handledOf = (ids: Deduplicator, peer: string, messages: ReadonlyArray<Message>) =>
  Effect.gen(function* () {
    const fresh: Array<number> = []
    yield* ids.handleOnce(peer, messages, (some) =>
      Effect.sync(() => void fresh.push(...some.map(numberOf)))
    )
    return fresh
  })

/** A handler that has started and ends as the test decides. */
const held = (ids: Deduplicator, messages: ReadonlyArray<Message>) =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<ReadonlyArray<number>>()
    const end = yield* Deferred.make<void, Failed>()
    const fiber = yield* Effect.fork(
      ids.handleOnce("a", messages, (some) =>
        Effect.zipRight(Deferred.succeed(begun, some.map(numberOf)), Deferred.await(end))
      )
    )
    return { fiber, end, fresh: yield* withTimeout("the handler", Deferred.await(begun)) }
  })

describe("a message ID", () => {
  it.effect("is handled once, in this batch or another, and for each peer", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      expect(yield* handledOf(ids, "a", [1, 2, 1, 2, 3].map(message))).toEqual([1, 2, 3])
      expect(yield* handledOf(ids, "a", [3, 4, 1, 5].map(message))).toEqual([4, 5])
      expect(yield* handledOf(ids, "a", [5, 4].map(message))).toEqual([])
      expect(yield* handledOf(ids, "b", [1, 4].map(message))).toEqual([1, 4])
      expect(ids.size).toBe(7)
    })
  )

  it.effect(
    "in progress in one session is awaited by another session, which does not handle it",
    () =>
      Effect.gen(function* () {
        const ids = new Deduplicator()
        const first = yield* held(ids, range(0, 3))
        const second = yield* Effect.fork(handledOf(ids, "a", range(1, 5)))
        const other = yield* withTimeout("another peer", handledOf(ids, "b", range(0, 3)))
        expect(other).toEqual([0, 1, 2])
        yield* nextTurn
        expect((yield* second.poll)._tag).toBe("None")
        yield* Deferred.succeed(first.end, undefined)
        expect(yield* withTimeout("the second", Fiber.join(second))).toEqual([3, 4])
      })
  )

  it.effect.each<
    readonly [
      string,
      (first: Effect.Effect.Success<ReturnType<typeof held>>) => Effect.Effect<unknown>
    ]
  >([
    ["fails", ({ end }) => Deferred.fail(end, new Failed())],
    ["dies", ({ end }) => Deferred.die(end, "a fault")],
    ["is interrupted", ({ fiber }) => Fiber.interrupt(fiber)]
  ])("whose handler %s counts as new for waiting and later sessions", ([, go]) =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      const first = yield* held(ids, range(0, 2))
      const second = yield* Effect.fork(handledOf(ids, "a", range(0, 3)))
      yield* nextTurn
      yield* go(first)
      expect(yield* withTimeout("the second", Fiber.join(second))).toEqual([0, 1, 2])
      expect(yield* handledOf(ids, "a", range(0, 3))).toEqual([])
    })
  )

  it.effect("does not block other sessions when its handler throws synchronously", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      const broken = ids.handleOnce("a", range(0, 2), (): Effect.Effect<void> => {
        throw new Error("a fault")
      })
      expect((yield* Effect.exit(broken))._tag).toBe("Failure")
      expect(ids.size).toBe(0)
      expect(yield* withTimeout("the next", handledOf(ids, "a", range(0, 2)))).toEqual([0, 1])
    })
  )

  it.effect("is released by a waiting session that is interrupted", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      const first = yield* held(ids, range(0, 2))
      const second = yield* Effect.fork(handledOf(ids, "a", [5, 6, 1].map(message)))
      yield* nextTurn
      yield* Fiber.interrupt(second)
      expect(yield* withTimeout("a third", handledOf(ids, "a", range(5, 7)))).toEqual([5, 6])
      yield* Deferred.succeed(first.end, undefined)
      yield* Fiber.join(first.fiber)
    })
  )
})

describe("concurrent sessions", () => {
  it.live.prop(
    "handle every message once, in the order of each session",
    {
      // Sessions of one client: each starts at some message and sends the rest in batches of these
      // sizes.
      sessions: FastCheck.array(
        FastCheck.record({
          from: FastCheck.nat({ max: 30 }),
          batches: FastCheck.array(FastCheck.integer({ min: 1, max: 12 }), {
            minLength: 1,
            maxLength: 6
          })
        }),
        { minLength: 1, maxLength: 5 }
      ),
      failures: FastCheck.uniqueArray(FastCheck.nat({ max: 12 }), { maxLength: 5 }),
      turns: FastCheck.array(FastCheck.nat({ max: 4 }), { minLength: 1, maxLength: 5 })
    },
    ({ sessions, failures, turns }) =>
      Effect.gen(function* () {
        const ids = new Deduplicator()
        const handled: Array<number> = []
        const brought = new Set<number>()
        let calls = 0
        const session = ({ from, batches }: (typeof sessions)[number]) =>
          Effect.gen(function* () {
            let at = from
            for (const count of batches) {
              const some = range(at, at + count)
              yield* ids.handleOnce("a", some, (fresh) =>
                Effect.gen(function* () {
                  const call = calls++
                  for (let left = turns[call % turns.length] ?? 0; left > 0; left--) yield* nextTurn
                  if (failures.includes(call)) return yield* new Failed()
                  handled.push(...fresh.map(numberOf))
                })
              )
              for (const one of some) brought.add(numberOf(one))
              at += count
            }
          }).pipe(Effect.ignore)
        yield* withTimeout(
          "all",
          Effect.forEach(sessions, session, { concurrency: "unbounded", discard: true })
        )
        expect(new Set(handled).size).toBe(handled.length)
        expect(new Set(handled)).toEqual(brought)
        expect(ids.size).toBe(brought.size)
      }),
    { fastCheck: { numRuns: runs(60, 200) } }
  )
})

/** Handles messages with new IDs at once. */
const fill = (ids: Deduplicator, peer: string, count: number, most = 3_000) =>
  Effect.gen(function* () {
    const random = randomBytes(16 * count)
    const messages = Array.from({ length: count }, (_, index) => ({
      id: random.subarray(16 * index, 16 * index + 16)
    }))
    for (let at = 0; at < count; at += most)
      yield* ids.handleOnce(peer, messages.slice(at, at + most), () => Effect.void)
  })

describe("the history", () => {
  it.effect("of a peer holds its last IDs, twice the window of a client", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      for (let at = 0; at < 100_000; at += 1_000) {
        yield* handledOf(ids, "a", range(at, at + 1_000))
        expect(ids.size).toBeLessThanOrEqual(limits.idsPerPeer)
      }
      expect(yield* handledOf(ids, "a", range(100_000 - 16_384, 100_000))).toEqual([])
      expect((yield* handledOf(ids, "a", range(0, 1_000))).length).toBe(1_000)
    })
  )

  it.effect("of a peer stays bounded while one of its sessions never ends", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      const first = yield* held(ids, range(0, 10))
      yield* fill(ids, "a", 2 * limits.idsPerPeer)
      expect(ids.size).toBeLessThanOrEqual(limits.idsPerPeer)
      const second = yield* Effect.fork(handledOf(ids, "a", range(0, 10)))
      yield* nextTurn
      expect((yield* second.poll)._tag).toBe("None")
      yield* Deferred.succeed(first.end, undefined)
      expect(yield* withTimeout("the second", Fiber.join(second))).toEqual([])
    })
  )

  it.effect("of all peers is bounded, at the cost of the largest", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      yield* handledOf(ids, "small", range(0, 10))
      for (let peer = 0; peer < 35; peer++) yield* fill(ids, `${peer}`, limits.idsPerPeer)
      expect(ids.size).toBeLessThanOrEqual(limits.ids)
      expect(ids.size).toBeGreaterThan(limits.ids - 4_000)
      expect(yield* handledOf(ids, "small", range(0, 10))).toEqual([])
    })
  )

  it.effect("of a peer whose handler failed is empty", () =>
    Effect.gen(function* () {
      const ids = new Deduplicator()
      for (let peer = 0; peer < 100; peer++) {
        yield* Effect.ignore(ids.handleOnce(`${peer}`, range(0, 10), () => new Failed()))
        yield* ids.handleOnce(`${peer}`, [], () => Effect.void)
      }
      expect([ids.size, ids.peerCount]).toEqual([0, 0])
    })
  )
})

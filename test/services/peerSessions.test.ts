// Who may come in, who is in, and how much each may send, under TestClock.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import { PeerList } from "../../src/peers/PeerList.ts"
import type { Rules } from "../../src/peers/Rules.ts"
import { TokenBucket } from "../../src/services/TokenBucket.ts"
import { RefusedByRules, PeerSessions, type PeerSession } from "../../src/services/PeerSessions.ts"

const keyOf = (number: number): Uint8Array => Buffer.alloc(32, number)
const here = "127.0.0.1:5000"

/** One key a number; each is alice's unless it is said whose. */
const listOf = (
  keys: Readonly<Record<number, Partial<Rules> & { readonly name?: string }>>
): PeerList =>
  new PeerList(
    Object.entries(keys).map(([number, { name = "alice", ...rules }], index) => ({
      publicKey: keyOf(Number(number)),
      name,
      rules: { where: `authorized_peers:${index + 1}`, ...rules },
      line: index + 1
    }))
  )

const rosterOf = (list: PeerList) => PeerSessions.make(list)

/** Somebody who comes in; how often it was cut off. */
const entered = (roster: PeerSessions, number: number) => {
  const state = { cuts: 0 }
  const seat = roster.enter(keyOf(number), here, "message", () => state.cuts++)
  if (seat instanceof RefusedByRules) throw seat
  return { seat, state }
}

const reasonOf = (seat: PeerSession | RefusedByRules): string | undefined =>
  seat instanceof RefusedByRules ? seat.message : seat.expelled()?.message

describe("a bucket", () => {
  it.prop(
    "never gives more in any minute than twice what it holds, nor more over a time than that time fills",
    {
      perMinute: FastCheck.integer({ min: 1, max: 1000 }),
      steps: FastCheck.array(
        FastCheck.record({
          wait: FastCheck.nat(30_000),
          want: FastCheck.integer({ min: 1, max: 500 })
        }),
        {
          minLength: 1,
          maxLength: 60
        }
      )
    },
    ({ perMinute, steps }) => {
      const bucket = new TokenBucket(0)
      let now = 0
      let given = 0
      for (const { wait, want } of steps) {
        now += wait
        const left = bucket.left(perMinute, now)
        expect(left).toBeLessThanOrEqual(perMinute)
        if (left < want) continue
        bucket.spend(want)
        given += want
        expect(given).toBeLessThanOrEqual(perMinute + (perMinute * now) / 60_000 + 1e-6)
      }
    }
  )
  it("is full again after a minute, and a clock that goes back fills nothing", () => {
    const bucket = new TokenBucket(1000)
    bucket.spend(10)
    expect(bucket.left(10, 0)).toBe(0)
    expect(bucket.left(10, 60_000)).toBe(10)
  })
})

describe("a roster", () => {
  it.effect("puts out at once whom a new list does not let in, once, and touches nobody else", () =>
    Effect.gen(function* () {
      const roster = yield* rosterOf(
        listOf({ 1: {}, 2: { name: "bob" }, 3: { name: "carol" }, 4: {} })
      )
      const [first, bob, carol, second] = [1, 2, 3, 4].map((number) => entered(roster, number))
      const ended = roster.replace(
        listOf({ 1: {}, 2: { name: "bob", revoked: true }, 3: { name: "carol", expires: 0 } })
      )
      expect(ended).toBe(3)
      expect([first, bob, carol, second].map((one) => one?.state.cuts)).toEqual([0, 1, 1, 1])
      expect([bob, carol, second].map((one) => one && reasonOf(one.seat))).toEqual([
        "bob was put out: its key is revoked (authorized_peers:2)",
        "carol was put out: its key has expired: 1970-01-01 (authorized_peers:3)",
        "alice was put out: its key is not in authorized_peers"
      ])
      expect(roster.replace(listOf({}))).toBe(1)
      expect(bob?.state.cuts).toBe(1)
    })
  )

  it.effect(
    "puts out a peer when its key expires, also one whose day is far off or was set later",
    () =>
      Effect.gen(function* () {
        const day = 24 * 60 * 60 * 1000
        const roster = yield* rosterOf(listOf({ 1: { expires: 60 * day }, 2: { name: "bob" } }))
        const [alice, bob] = [entered(roster, 1), entered(roster, 2)]
        for (let days = 0; days < 59; days++) yield* TestClock.adjust(day)
        roster.replace(listOf({ 1: { expires: 60 * day }, 2: { name: "bob", expires: 61 * day } }))
        expect([alice.state.cuts, bob.state.cuts]).toEqual([0, 0])
        yield* TestClock.adjust(day)
        expect([alice.state.cuts, bob.state.cuts]).toEqual([1, 0])
        yield* TestClock.adjust(day)
        expect(bob.state.cuts).toBe(1)
        expect(roster.authorize(keyOf(2), here)).toMatch(/^its key has expired/)
      })
  )

  it.effect("does not ring for who has left", () =>
    Effect.gen(function* () {
      const roster = yield* rosterOf(listOf({ 1: { expires: 1000 } }))
      const { seat, state } = entered(roster, 1)
      seat.leave()
      yield* TestClock.adjust(5000)
      roster.replace(listOf({}))
      expect(state.cuts).toBe(0)
    })
  )

  it.effect(
    "counts the connections of a peer over all its keys, and those that have left no more",
    () =>
      Effect.gen(function* () {
        const rules = { connections: 2 }
        const roster = yield* rosterOf(listOf({ 1: rules, 2: rules, 3: { name: "bob" } }))
        const first = entered(roster, 1)
        entered(roster, 2)
        entered(roster, 3)
        const third = roster.enter(keyOf(1), here, "message", () => {})
        expect(reasonOf(third)).toBe(
          "alice was refused: it has 2 connections already (authorized_peers:1)"
        )
        first.seat.leave()
        first.seat.leave()
        entered(roster, 1)
        expect(roster.enter(keyOf(2), here, "message", () => {})).toBeInstanceOf(RefusedByRules)
      })
  )

  it.effect("refuses a service that the line does not name, and says so to the log alone", () =>
    Effect.gen(function* () {
      const roster = yield* rosterOf(listOf({ 1: { services: ["file"] } }))
      // The handshake lets it in: who it is, is not in doubt.
      expect(roster.authorize(keyOf(1), here)).toEqual({ name: "alice" })
      expect(reasonOf(roster.enter(keyOf(1), here, "message", () => {}))).toBe(
        "alice was refused: its line allows it file only, not message (authorized_peers:1)"
      )
    })
  )

  it.effect(
    "lets nobody have anything handled after it was put out, and knows a peer by the name it has now",
    () =>
      Effect.gen(function* () {
        const rules = { connections: 1, messagesPerMinute: 5 }
        const roster = yield* rosterOf(listOf({ 1: rules, 2: { name: "bob" } }))
        const { seat } = entered(roster, 1)
        expect(seat.allow([1, 1, 1])).toBe(3)
        roster.replace(listOf({ 1: { ...rules, name: "alina" } }))
        expect(roster.enter(keyOf(1), here, "message", () => {})).toBeInstanceOf(RefusedByRules)
        expect(seat.allow([1, 1, 1, 1, 1])).toBe(5)
        roster.replace(listOf({ 1: { ...rules, name: "alina" } }))
        expect(seat.allow([1])).toBe(0)
        roster.replace(listOf({}))
        yield* TestClock.adjust("10 minutes")
        expect(seat.allow([1])).toBe(0)
        seat.leave()
      })
  )

  it.effect("counts what did not become whole, and keys of one peer with limits of their own", () =>
    Effect.gen(function* () {
      const roster = yield* rosterOf(
        listOf({
          1: { bytesPerMinute: 100 },
          2: { messagesPerMinute: 1000 },
          3: { messagesPerMinute: 5 }
        })
      )
      const one = entered(roster, 1).seat
      expect([one.bears(100), one.bears(101)]).toEqual([true, false])
      one.waste(90)
      expect([one.bears(10), one.bears(11), one.allow([11])]).toEqual([true, false, 0])
      expect(entered(roster, 3).seat.allow([1])).toBe(1)
      expect(entered(roster, 2).seat.allow(Array.from({ length: 999 }, () => 1))).toBe(999)
    })
  )

  it.effect(
    "allows a minute's messages and bytes, over all sessions and keys, and more as time goes",
    () =>
      Effect.gen(function* () {
        const rules = { messagesPerMinute: 6, bytesPerMinute: 1000 }
        const roster = yield* rosterOf(listOf({ 1: rules, 2: rules }))
        const one = entered(roster, 1).seat
        expect(one.allow([10, 10, 10, 10])).toBe(4)
        one.leave()
        const other = entered(roster, 2).seat
        expect(other.allow([10, 10, 10])).toBe(2)
        yield* TestClock.adjust("10 seconds")
        expect(other.allow([10, 10])).toBe(1)
        yield* TestClock.adjust("60 seconds")
        // Up to the first that is too much: the order stays.
        expect(other.allow([900, 101, 1])).toBe(1)
        // A longer leash counts from now on.
        roster.replace(listOf({ 2: { messagesPerMinute: 6 } }))
        expect(other.allow([5000, 5000])).toBe(2)
        roster.replace(listOf({ 2: {} }))
        expect(other.allow(Array.from({ length: 100 }, () => 1))).toBe(100)
      })
  )
})

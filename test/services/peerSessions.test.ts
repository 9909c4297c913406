// PeerSessions: authorization, open sessions and allowances, under TestClock.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { PeerList } from "../../src/peers/PeerList.ts"
import { fitsAllowance, takeMessages } from "../../src/services/messages/rules.ts"
import { spendBytes, throttle, throttleMillis } from "../../src/services/rules.ts"
import { rulesOf, type RuleValues } from "../peers/rulesOf.ts"
import { TokenBucket } from "../../src/services/TokenBucket.ts"
import { RefusedByRules, PeerSessions, type PeerSession } from "../../src/services/PeerSessions.ts"

/** Messages of these sizes. */
const sizes = (...bytes: ReadonlyArray<number>) => bytes.map((size) => ({ size }))

const keyOf = (number: number): Uint8Array => Buffer.alloc(32, number)
const here = "127.0.0.1:5000"

/** A list with the key of each number, of alice unless a name is given. */
const listOf = (
  keys: Readonly<Record<number, RuleValues & { readonly name?: string }>>
): PeerList =>
  new PeerList(
    Object.entries(keys).map(([number, { name = "alice", ...rules }], index) => ({
      publicKey: keyOf(Number(number)),
      name,
      rules: rulesOf(rules, `authorized_peers:${index + 1}`),
      line: index + 1
    }))
  )

const sessionsOf = (list: PeerList) => PeerSessions.make(list)

/** Opens a session; `state.cuts` counts how often its connection was cut. */
const open = (peers: PeerSessions, number: number) => {
  const state = { cuts: 0 }
  const session = peers.open(keyOf(number), here, "message", () => state.cuts++)
  if (session instanceof RefusedByRules) throw session
  return { session, state }
}

const reasonOf = (session: PeerSession | RefusedByRules): string | undefined =>
  session instanceof RefusedByRules ? session.message : session.expelled()?.message

describe("TokenBucket", () => {
  it.prop(
    "allows no more than its limit, plus the refill of the elapsed time",
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
  it("is full again after a minute, and does not refill when the clock goes back", () => {
    const bucket = new TokenBucket(1000)
    bucket.spend(10)
    expect(bucket.left(10, 0)).toBe(0)
    expect(bucket.left(10, 60_000)).toBe(10)
  })
})

describe("PeerSessions", () => {
  it.effect("ends the sessions that a new list does not allow, once, and no other", () =>
    Effect.gen(function* () {
      const peers = yield* sessionsOf(
        listOf({ 1: {}, 2: { name: "bob" }, 3: { name: "carol" }, 4: {} })
      )
      const [first, bob, carol, second] = [1, 2, 3, 4].map((number) => open(peers, number))
      const ended = peers.replace(
        listOf({ 1: {}, 2: { name: "bob", revoked: true }, 3: { name: "carol", expires: 0 } })
      )
      expect(ended).toBe(3)
      expect([first, bob, carol, second].map((one) => one?.state.cuts)).toEqual([0, 1, 1, 1])
      expect([bob, carol, second].map((one) => one && reasonOf(one.session))).toEqual([
        "session of bob ended: its key is revoked (authorized_peers:2)",
        "session of carol ended: its key has expired: 1970-01-01 (authorized_peers:3)",
        "session of alice ended: its key is not in authorized_peers"
      ])
      expect(peers.replace(listOf({}))).toBe(1)
      expect(bob?.state.cuts).toBe(1)
    })
  )

  it.effect(
    "ends a session when its key expires, even if that is months ahead or was set later",
    () =>
      Effect.gen(function* () {
        const day = 24 * 60 * 60 * 1000
        const peers = yield* sessionsOf(listOf({ 1: { expires: 60 * day }, 2: { name: "bob" } }))
        const [alice, bob] = [open(peers, 1), open(peers, 2)]
        for (let days = 0; days < 59; days++) yield* TestClock.adjust(day)
        peers.replace(listOf({ 1: { expires: 60 * day }, 2: { name: "bob", expires: 61 * day } }))
        expect([alice.state.cuts, bob.state.cuts]).toEqual([0, 0])
        yield* TestClock.adjust(day)
        expect([alice.state.cuts, bob.state.cuts]).toEqual([1, 0])
        yield* TestClock.adjust(day)
        expect(bob.state.cuts).toBe(1)
        expect(peers.authorize(keyOf(2), here)).toMatch(/^its key has expired/)
      })
  )

  it.effect("sets no timer for a closed session", () =>
    Effect.gen(function* () {
      const peers = yield* sessionsOf(listOf({ 1: { expires: 1000 } }))
      const { session, state } = open(peers, 1)
      session.close()
      yield* TestClock.adjust(5000)
      peers.replace(listOf({}))
      expect(state.cuts).toBe(0)
    })
  )

  it.effect("counts the open connections of a client over all its keys", () =>
    Effect.gen(function* () {
      const rules = { connections: 2 }
      const peers = yield* sessionsOf(listOf({ 1: rules, 2: rules, 3: { name: "bob" } }))
      const first = open(peers, 1)
      open(peers, 2)
      open(peers, 3)
      const third = peers.open(keyOf(1), here, "message", () => {})
      expect(reasonOf(third)).toBe(
        "alice refused: it already has 2 connections (authorized_peers:1)"
      )
      first.session.close()
      first.session.close()
      open(peers, 1)
      expect(peers.open(keyOf(2), here, "message", () => {})).toBeInstanceOf(RefusedByRules)
    })
  )

  it.effect("refuses a service that the line does not name; only the log has the reason", () =>
    Effect.gen(function* () {
      const peers = yield* sessionsOf(listOf({ 1: { services: ["file"] } }))
      // The handshake succeeds: the client has proven its key.
      expect(peers.authorize(keyOf(1), here)).toEqual({ name: "alice" })
      expect(reasonOf(peers.open(keyOf(1), here, "message", () => {}))).toBe(
        "alice refused: its rules allow only the services file, not message (authorized_peers:1)"
      )
    })
  )

  it.effect("allows nothing after a session was ended, and uses the current name of a client", () =>
    Effect.gen(function* () {
      const rules = { connections: 1, messagesPerMinute: 5 }
      const peers = yield* sessionsOf(listOf({ 1: rules, 2: { name: "bob" } }))
      const { session } = open(peers, 1)
      expect(takeMessages(session, sizes(1, 1, 1))).toBe(3)
      peers.replace(listOf({ 1: { ...rules, name: "alina" } }))
      expect(peers.open(keyOf(1), here, "message", () => {})).toBeInstanceOf(RefusedByRules)
      expect(takeMessages(session, sizes(1, 1, 1, 1, 1))).toBe(5)
      peers.replace(listOf({ 1: { ...rules, name: "alina" } }))
      expect(takeMessages(session, sizes(1))).toBe(0)
      peers.replace(listOf({}))
      yield* TestClock.adjust("10 minutes")
      expect(takeMessages(session, sizes(1))).toBe(0)
      session.close()
    })
  )

  it.effect("pauses a stream for as long as it exceeds its bytes per minute", () =>
    Effect.gen(function* () {
      const peers = yield* sessionsOf(listOf({ 1: { bytesPerMinute: 600 }, 2: { name: "bob" } }))
      const [one, other] = [open(peers, 1).session, open(peers, 1).session]
      expect(throttleMillis(open(peers, 2).session, 1e9)).toBe(0)
      expect([throttleMillis(one, 600), throttleMillis(other, 5)]).toEqual([0, 500])
      // Asked again, it spends nothing; a long pause is asked about every second.
      expect(throttleMillis(one, 0)).toBe(500)
      expect(throttleMillis(other, 1000)).toBe(1000)
      const waiting = yield* Effect.fork(throttle(one, 0))
      yield* TestClock.adjust("100 seconds")
      expect(waiting.unsafePoll()).toBeNull()
      yield* TestClock.adjust("501 millis")
      yield* Fiber.join(waiting)
      // Messages share the allowance.
      expect(takeMessages(one, sizes(1))).toBe(0)
    })
  )

  it.effect("counts incomplete messages, and applies the limits of each key", () =>
    Effect.gen(function* () {
      const peers = yield* sessionsOf(
        listOf({
          1: { bytesPerMinute: 100 },
          2: { messagesPerMinute: 1000 },
          3: { messagesPerMinute: 5 }
        })
      )
      const one = open(peers, 1).session
      expect([fitsAllowance(one, 100), fitsAllowance(one, 101)]).toEqual([true, false])
      spendBytes(one, 90)
      expect([
        fitsAllowance(one, 10),
        fitsAllowance(one, 11),
        takeMessages(one, sizes(11))
      ]).toEqual([true, false, 0])
      expect(takeMessages(open(peers, 3).session, sizes(1))).toBe(1)
      expect(
        takeMessages(open(peers, 2).session, sizes(...Array.from({ length: 999 }, () => 1)))
      ).toBe(999)
    })
  )

  it.effect("allows messages and bytes per minute over all sessions and keys, and refills", () =>
    Effect.gen(function* () {
      const rules = { messagesPerMinute: 6, bytesPerMinute: 1000 }
      const peers = yield* sessionsOf(listOf({ 1: rules, 2: rules }))
      const one = open(peers, 1).session
      expect(takeMessages(one, sizes(10, 10, 10, 10))).toBe(4)
      one.close()
      const other = open(peers, 2).session
      expect(takeMessages(other, sizes(10, 10, 10))).toBe(2)
      yield* TestClock.adjust("10 seconds")
      expect(takeMessages(other, sizes(10, 10))).toBe(1)
      yield* TestClock.adjust("60 seconds")
      // Only up to the first that exceeds the allowance: the order stays.
      expect(takeMessages(other, sizes(900, 101, 1))).toBe(1)
      // A higher limit applies at once.
      peers.replace(listOf({ 2: { messagesPerMinute: 6 } }))
      expect(takeMessages(other, sizes(5000, 5000))).toBe(2)
      peers.replace(listOf({ 2: {} }))
      expect(takeMessages(other, sizes(...Array.from({ length: 100 }, () => 1)))).toBe(100)
    })
  )
})

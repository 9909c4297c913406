// What follows a failed attempt: a pause, dead letters, and their way back. One contract for every
// inbox that stores messages.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { InboxMessages, Inbox } from "../../../src/services/inbox/Inbox.ts"
import { limits } from "../../../src/services/inbox/limits.ts"
import * as Redelivery from "../../../src/services/inbox/Redelivery.ts"
import {
  failuresOf,
  type LeaseOrder,
  type StoredMessage
} from "../../../src/services/inbox/StoredMessage.ts"
import { pause } from "../../../src/testing/steps.ts"
import { alice, bob, isMissing, message, stores } from "./stores.ts"

const store = (texts: ReadonlyArray<string>, sender = alice) =>
  Effect.flatMap(Inbox, (inbox) =>
    inbox.handle(
      texts.map((text) => message(text)),
      sender
    )
  )
const textOf = ({ text }: Pick<StoredMessage, "text">) => Buffer.from(text).toString()
const minute = 60_000
const longPause = { error: "no luck", millis: minute, counts: true }

/** Leases one message; a test that gets none fails. */
const leaseOne = (order: LeaseOrder = "none", millis = minute) =>
  Effect.gen(function* () {
    const [leased] = yield* (yield* InboxMessages).lease({ count: 1, millis, order })
    return leased ?? (yield* Effect.dieMessage("no message could be leased"))
  })
const leasable = (order: LeaseOrder, count = 100) =>
  Effect.flatMap(InboxMessages, (messages) =>
    Effect.map(messages.lease({ count, millis: minute, order }), (leased) => leased.map(textOf))
  )

describe.each(stores)("%s", (kind, open) => {
  const test = (name: string, body: Effect.Effect<unknown, unknown, Inbox | InboxMessages>) =>
    it.live.skipIf(isMissing(kind))(name, () =>
      Effect.scoped(Effect.flatMap(open, (layer) => Effect.provide(body, layer)))
    )

  test(
    "delivers a deferred message after its pause and not before, with its error and its failures",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      yield* store(["first", "second"])
      const first = yield* leaseOne()
      yield* messages.defer(first, longPause)
      expect(yield* leasable("none")).toEqual(["second"])
      const [listed] = yield* messages.list({ limit: 1, textBytes: 10 })
      expect(listed).toMatchObject({ error: "no luck", leaseUntil: 0, attempts: 1, uncounted: 0 })
      expect((listed?.retryAt ?? 0) - Date.now()).toBeGreaterThan(minute / 2)
      expect(yield* messages.retry([first.sequence])).toBe(1)
      const again = yield* leaseOne()
      expect([textOf(again), failuresOf(again)]).toEqual(["first", 1])
      yield* messages.defer(again, { ...longPause, millis: 30 })
      yield* pause(60)
      expect(failuresOf(yield* leaseOne())).toBe(2)
    })
  )

  test(
    "counts an attempt unless it was released or said so",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      yield* store(["text"])
      yield* messages.release(yield* leaseOne())
      yield* messages.defer(yield* leaseOne(), { ...longPause, millis: 0, counts: false })
      yield* messages.defer(yield* leaseOne(), { ...longPause, millis: 0 })
      // Its consumer was killed.
      yield* leaseOne("none", 0)
      const last = yield* leaseOne()
      expect([last.attempts, failuresOf(last)]).toEqual([5, 3])
    })
  )

  test(
    "keeps dead letters apart: not pending, listed with their error, retried and pruned",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      yield* store(["dead", "alive"])
      const before = Date.now()
      yield* messages.bury(yield* leaseOne(), "no such customer")
      expect(yield* messages.depth).toMatchObject({ messages: 1, dead: 1 })
      expect((yield* messages.list({ limit: 9, textBytes: 9 })).map(textOf)).toEqual(["alive"])
      const [dead, ...others] = yield* messages.list({ limit: 9, textBytes: 9, dead: true })
      expect([others, dead]).toMatchObject([
        [],
        { error: "no such customer", attempts: 1, leaseUntil: 0, retryAt: 0 }
      ])
      expect(Math.abs((dead?.deadAt ?? 0) - before)).toBeLessThan(20_000)
      const found = yield* messages.find(Buffer.from(dead?.id ?? "").toString("hex"))
      expect(found.map(textOf)).toEqual(["dead"])
      // Not even an order that waits for earlier messages waits for a dead letter.
      expect(yield* leasable("strict")).toEqual(["alive"])
      yield* messages.acknowledge(
        (yield* messages.list({ limit: 9, textBytes: 9 })).map(({ sequence }) => sequence)
      )

      // Duplicates of a dead letter are recognised.
      const inbox = yield* Inbox
      yield* inbox.handle([{ id: dead?.id ?? Buffer.alloc(16), text: Buffer.from("dead") }], alice)
      expect(yield* messages.depth).toMatchObject({ messages: 0, dead: 1 })

      expect(yield* messages.prune({ before: Date.now() + minute, pending: true })).toBe(1)
      expect(yield* messages.prune({ before: before - minute, pending: true, dead: true })).toBe(0)
      expect(yield* messages.retry("dead")).toBe(1)
      const revived = yield* leaseOne()
      expect([textOf(revived), failuresOf(revived)]).toEqual(["dead", 1])
      // A leased message is left alone.
      expect(yield* messages.retry([revived.sequence])).toBe(0)
      yield* messages.bury(revived, "again")
      expect(yield* messages.prune({ before: Date.now() + minute, pending: false })).toBe(0)
      expect(
        yield* messages.prune({ before: Date.now() + minute, pending: false, dead: true })
      ).toBe(1)
      expect(yield* messages.depth).toMatchObject({ messages: 0, dead: 0 })
    })
  )

  test(
    "changes nothing for a consumer whose lease is lost",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      yield* store(["text"])
      const lost = yield* leaseOne("none", 0)
      const held = yield* leaseOne()
      expect(yield* messages.renew(lost, minute)).toBe(false)
      yield* messages.defer(lost, { ...longPause, error: "late" })
      yield* messages.bury(lost, "late")
      yield* messages.release(lost)
      expect(yield* leasable("none")).toEqual([])
      expect(yield* messages.list({ limit: 1, textBytes: 1 })).toMatchObject([{ error: undefined }])
      expect(yield* messages.renew(held, 0)).toBe(true)
      const again = yield* leaseOne()
      expect(again.attempts).toBe(3)
      yield* messages.acknowledge([again.sequence])
      expect(yield* messages.renew(again, minute)).toBe(false)
    })
  )

  test(
    "leases one message of a peer at a time, in order; one that waits is overtaken, or is not",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      yield* store(["a1", "a2", "a3"])
      yield* store(["b1", "b2"], bob)
      const first = yield* leaseOne("peer")
      expect(textOf(first)).toBe("a1")
      // Of each peer without a lease, one.
      const [second] = yield* messages.lease({ count: 9, millis: minute, order: "peer" })
      expect(textOf(second ?? first)).toBe("b1")
      expect(yield* leasable("peer")).toEqual([])
      yield* messages.defer(first, longPause)
      yield* messages.defer(second ?? first, longPause)
      // Both wait for their next attempt.
      expect(yield* leasable("strict")).toEqual([])
      expect(yield* leasable("peer")).toEqual(["a2", "b2"])
      expect(yield* leasable("none")).toEqual(["a3"])
      expect(yield* messages.retry([first.sequence])).toBe(1)
      expect(yield* leasable("peer")).toEqual([])
      expect(yield* leasable("none", 1)).toEqual(["a1"])
    })
  )

  test(
    "leases the older of a new message and one whose pause is over",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      for (const order of ["none", "peer", "strict"] as const) {
        yield* store(["older", "newer"])
        yield* messages.defer(yield* leaseOne(order), { ...longPause, millis: 0 })
        const older = yield* leaseOne(order)
        expect([order, textOf(older)]).toEqual([order, "older"])
        yield* messages.acknowledge([older.sequence, older.sequence + 1])
      }
    })
  )

  test(
    "can be checked for writing",
    Effect.flatMap(InboxMessages, ({ check }) => check)
  )
})

describe("the pause after a failed attempt", () => {
  it("doubles within its limits, and jitter takes up to half of it", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 10_000 }),
        FastCheck.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (nth, random) => {
          const whole = Math.min(
            limits.firstPauseMillis * 2 ** (nth - 1),
            limits.longestPauseMillis
          )
          const millis = Redelivery.pauseAfter(nth, random)
          expect(millis).toBeGreaterThanOrEqual(whole / 2)
          expect(millis).toBeLessThanOrEqual(whole)
          expect(Redelivery.pauseAfter(nth + 1, random)).toBeGreaterThanOrEqual(millis)
        }
      )
    )
    expect(Redelivery.pauseAfter(3, 0)).not.toBe(Redelivery.pauseAfter(3, 0.9))
  })

  const stored = (attempts: number, uncounted: number): StoredMessage => ({
    sequence: 1,
    peer: "p",
    name: "alice",
    id: Buffer.alloc(16),
    receivedAt: 0,
    size: 0,
    text: Buffer.alloc(0),
    leaseUntil: 1,
    retryAt: 0,
    attempts,
    uncounted,
    error: undefined,
    deadAt: undefined
  })

  it.each([
    ["failed", 9, 0, "Deferred"],
    ["failed", 10, 0, "Dead"],
    ["failed", 30, 21, "Deferred"],
    ["failed", 30, 20, "Dead"],
    ["later", 1000, 0, "Deferred"],
    ["dead", 1, 0, "Dead"]
  ] as const)("%s in attempt %i, %i of them uncounted: %s", (verdict, attempts, uncounted, tag) => {
    const next = Redelivery.consequence(
      stored(attempts, uncounted),
      { reason: `a\nb${"x".repeat(2 * limits.errorCharacters)}`, verdict },
      10,
      0.5
    )
    expect(next).toMatchObject({
      _tag: tag,
      ...(tag === "Dead" ? {} : { counts: verdict === "failed" })
    })
    expect(next.error.length).toBe(limits.errorCharacters)
    expect(next.error).not.toContain("\n")
  })
})

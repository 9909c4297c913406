// PeerBudgets: connections and memory of one peer over all its sessions, under TestClock.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { limits } from "../../src/services/limits.ts"
import {
  budgetKey,
  PeerBudgets,
  peerLimits,
  type PeerLimitOptions,
  type PeerPlace
} from "../../src/services/PeerBudgets.ts"
import { PeerSessions } from "../../src/services/PeerSessions.ts"
import { PeerList } from "../../src/peers/PeerList.ts"
import { rulesOf, type RuleValues } from "../peers/rulesOf.ts"

const most = (connections: number, memory = 100) => ({
  connections: () => connections,
  memory: () => memory
})

describe("a peer", () => {
  it("is the name of a key; without a name the source of the address", () => {
    expect(budgetKey({ peer: "alice", from: "10.0.0.7:41356" })).toBe("peer alice")
    const shared = (from: string) => budgetKey({ peer: from, from })
    expect(shared("10.0.0.7:41356")).toBe(shared("10.0.0.7:41357"))
    expect(shared("[2001:db8::1]:1")).toBe(shared("[2001:db8::2]:1"))
    expect(shared("10.0.0.7:1")).not.toBe(shared("10.0.0.8:1"))
    // A client cannot take the name of a source, nor the other way round.
    expect(shared("10.0.0.7:1")).not.toBe(budgetKey({ peer: "10.0.0.7", from: "10.0.0.9:1" }))
  })
})

describe("the limits of a peer", () => {
  const publicKey = Buffer.alloc(32, 1)
  const limitsOf = (options: PeerLimitOptions, key: Uint8Array | undefined = undefined) => {
    const { connections, memory } = peerLimits(key, options)
    return [connections(), memory()]
  }
  const { peerConnections, peerMemory } = limits

  it("are defaults, and at most half of the connections of the listener", () => {
    expect(limitsOf({ connections: 1000 })).toEqual([peerConnections, peerMemory])
    expect(limitsOf({ connections: 21 })).toEqual([10, peerMemory])
    expect(limitsOf({ connections: 1 })).toEqual([1, peerMemory])
    expect(limitsOf({})[0]).toBeLessThanOrEqual(peerConnections)
    expect(limitsOf({ connections: 10, peerConnections: 9, peerMemory: 8 })).toEqual([9, 8])
  })

  it.effect("are those of its rules before all others, as soon as they change", () =>
    Effect.gen(function* () {
      const listOf = (values: RuleValues) =>
        new PeerList([{ publicKey, name: "alice", rules: rulesOf(values), line: 1 }])
      const peers = yield* PeerSessions.make(listOf({}))
      const options = { peers, peerConnections: 9, peerMemory: 8 }
      const { connections, memory } = peerLimits(publicKey, options)
      expect([connections(), memory()]).toEqual([9, 8])
      peers.replace(listOf({ connections: 3, memory: 1_048_576 }))
      expect([connections(), memory()]).toEqual([3, 1_048_576])
      expect(limitsOf(options, Buffer.alloc(32, 2))).toEqual([9, 8])
      expect(limitsOf(options)).toEqual([9, 8])
    })
  )
})

describe("connections", () => {
  it("over the limit are refused, then ignored, and others are not affected", () => {
    const budgets = new PeerBudgets()
    const enter = () => budgets.enter("alice", most(2))
    const states = Array.from({ length: 2 + limits.refusedConnections + 2 }, () => enter().state)
    expect(states.slice(0, 2)).toEqual(["entered", "entered"])
    expect(states.slice(2, -2).every((state) => state === "refused")).toBe(true)
    expect(states.slice(-2)).toEqual(["ignored", "ignored"])
    expect(budgets.enter("bob", most(2)).state).toBe("entered")
  })

  it("make room when they end, once each, and leave no trace", () => {
    const budgets = new PeerBudgets()
    const [first, second] = [budgets.enter("alice", most(1)), budgets.enter("alice", most(1))]
    second.leave()
    expect(budgets.enter("alice", most(1)).state).toBe("refused")
    first.leave()
    first.leave()
    const [third, fourth] = [budgets.enter("alice", most(1)), budgets.enter("alice", most(1))]
    expect([third.state, fourth.state]).toEqual(["entered", "refused"])
    expect(budgets.usedBy("alice")).toEqual({ connections: 1, memory: 0 })
    // One that leaves twice makes room once, also while others stay.
    const [fifth] = [budgets.enter("alice", most(3)), budgets.enter("alice", most(3))]
    fifth.leave()
    fifth.leave()
    expect(budgets.usedBy("alice").connections).toBe(2)
  })
})

it("a refused connection counts until it has left, also after all that had entered", () => {
  const budgets = new PeerBudgets()
  const first = budgets.enter("alice", most(1))
  const refused = Array.from({ length: limits.refusedConnections }, () =>
    budgets.enter("alice", most(1))
  )
  first.leave()
  expect(budgets.size).toBe(1)
  expect(Array.from({ length: 2 }, () => budgets.enter("alice", most(1)).state)).toEqual([
    "entered",
    "ignored"
  ])
  for (const place of refused) place.leave()
  expect(budgets.usedBy("alice").connections).toBe(1)
})

describe("memory", () => {
  it("is shared by the sessions of a peer, and given back when one ends", () => {
    const budgets = new PeerBudgets()
    const [one, two] = [budgets.enter("alice", most(9)), budgets.enter("alice", most(9))]
    const bob = budgets.enter("bob", most(9))
    expect([one.memory.reserve(60), two.memory.reserve(60)]).toEqual([true, false])
    expect(bob.memory.reserve(100)).toBe(true)
    one.leave()
    expect(two.memory.reserve(100)).toBe(true)
    two.memory.release(1000)
    // A session that has left reserves nothing that nobody would give back.
    expect(one.memory.reserve(1)).toBe(false)
    expect(budgets.usedBy("alice").memory).toBe(0)
  })

  it.effect("is waited for, until the deadline", () =>
    Effect.gen(function* () {
      const budgets = new PeerBudgets()
      const [one, two] = [budgets.enter("alice", most(9)), budgets.enter("alice", most(9))]
      one.memory.reserve(80)
      const waits = yield* Effect.fork(two.memory.reserveOrWait(50))
      yield* TestClock.adjust("1 second")
      one.memory.release(40)
      expect(yield* Fiber.join(waits)).toBe(true)
      const late = yield* Effect.fork(two.memory.reserveOrWait(50))
      yield* TestClock.adjust(limits.memoryDeadline)
      expect(yield* Fiber.join(late)).toBe(false)
      expect(budgets.usedBy("alice").memory).toBe(90)
      // More than the limit is refused at once.
      expect(yield* two.memory.reserveOrWait(101)).toBe(false)
    })
  )

  it.prop(
    "never exceeds the limit, and ends with the last session",
    {
      steps: FastCheck.array(
        FastCheck.record({
          session: FastCheck.nat(3),
          action: FastCheck.constantFrom("reserve" as const, "release" as const, "leave" as const),
          bytes: FastCheck.nat(70)
        }),
        { maxLength: 100 }
      )
    },
    ({ steps }) => {
      const budgets = new PeerBudgets()
      const places = new Map<number, PeerPlace>()
      for (const { session, action, bytes } of steps) {
        const place = places.get(session) ?? budgets.enter("alice", most(9))
        places.set(session, place)
        if (action === "leave") {
          place.leave()
          places.delete(session)
        } else place.memory[action](bytes)
        const { memory, connections } = budgets.usedBy("alice")
        expect(memory).toBeGreaterThanOrEqual(0)
        expect(memory).toBeLessThanOrEqual(100)
        expect(connections).toBe(places.size)
      }
      for (const place of places.values()) place.leave()
      expect(budgets.size).toBe(0)
    }
  )
})

// Invariants of the pool's state machine, over random sequences of events. The model performs the
// actions as ChannelPool does, and sends only events that a pool can see.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  initial,
  limits,
  maxOpening,
  type ChannelId,
  type PoolAction,
  type PoolEvent,
  type PoolState,
  type WaiterId
} from "../../../src/services/tunnel/ChannelPoolEvents.ts"
import { transition } from "../../../src/services/tunnel/ChannelPoolState.ts"

type ChannelStatus = "opening" | "ready" | "lent" | "returning" | "closing" | "ended"
type WaiterStatus = "waiting" | "lent" | "refused" | "cancelled"

/** One step of a script; `pick` selects among the channels or waiters that the step applies to. */
interface Command {
  readonly kind:
    | "offer"
    | "fail"
    | "lose"
    | "finish"
    | "giveBack"
    | "expire"
    | "end"
    | "take"
    | "takeFresh"
    | "timeOut"
    | "cancel"
    | "backoffElapsed"
    | "refillDue"
    | "tick"
    | "suspend"
    | "close"
  readonly pick: number
}

const kinds: ReadonlyArray<readonly [weight: number, kind: Command["kind"]]> = [
  [8, "offer"],
  [4, "fail"],
  [2, "lose"],
  [4, "finish"],
  [6, "giveBack"],
  [1, "expire"],
  [8, "end"],
  [8, "take"],
  [2, "takeFresh"],
  [2, "timeOut"],
  [2, "cancel"],
  [4, "backoffElapsed"],
  [4, "refillDue"],
  [1, "tick"],
  [1, "suspend"],
  [1, "close"]
]

const scripts: FastCheck.Arbitrary<ReadonlyArray<Command>> = FastCheck.array(
  FastCheck.record({
    kind: FastCheck.oneof(
      ...kinds.map(([weight, kind]) => ({ weight, arbitrary: FastCheck.constant(kind) }))
    ),
    pick: FastCheck.nat(1000)
  }),
  { maxLength: 120 }
)

/** The resources of a pool: its channels, waiters and timers. */
class Model {
  state: PoolState<string>
  readonly channels = new Map<ChannelId, ChannelStatus>()
  readonly waiters = new Map<WaiterId, WaiterStatus>()
  readonly fresh = new Set<WaiterId>()
  backingOff = false
  refilling = false
  closed = false
  unavailable = false
  now = 1_000_000
  readonly isReused: boolean

  constructor(size: number, isReused = false) {
    this.isReused = isReused
    this.state = initial(size, this.now)
    this.send({ _tag: "Started" })
  }

  send(event: PoolEvent<string>): void {
    const before = this.state
    const { state, actions } = transition(before, event)
    this.state = state
    for (const action of actions) this.perform(action, event, before)
    this.check(event, actions)
  }

  perform(action: PoolAction<string>, event: PoolEvent<string>, before: PoolState<string>): void {
    switch (action._tag) {
      case "Open":
        expect(this.closed).toBe(false)
        expect(this.channels.has(action.id)).toBe(false)
        return void this.channels.set(action.id, "opening")
      case "Keep":
        expect(this.closed).toBe(false)
        expect(["opening", "returning"]).toContain(this.channels.get(action.id))
        return void this.channels.set(action.id, "ready")
      case "Lend":
        expect(action.wasReady ? ["ready"] : ["opening", "returning"]).toContain(
          this.channels.get(action.id)
        )
        if (action.wasReady) expect(before.ready.at(-1)).toBe(action.id)
        // The first that waits is the first that is served.
        if (event._tag === "Offered") expect(action.waiter).toBe(before.waiting[0])
        if (event._tag === "Taken") expect(action.waiter).toBe(event.waiter)
        this.channels.set(action.id, "lent")
        this.settle(action.waiter, "lent")
        return
      case "Discard":
        expect(["opening", "ready", "returning"]).toContain(this.channels.get(action.id))
        return void this.channels.set(action.id, "closing")
      case "Refuse":
        return this.settle(action.waiter, "refused")
      case "BackOff":
        expect([this.closed, this.backingOff]).toEqual([false, false])
        expect(action.millis).toBeGreaterThanOrEqual(limits.minBackoffMillis)
        expect(action.millis).toBeLessThanOrEqual(limits.maxBackoffMillis)
        this.backingOff = true
        return
      case "ScheduleRefill":
        expect([this.closed, this.refilling]).toEqual([false, false])
        this.refilling = true
        return
      case "ReportUnavailable":
        expect([this.closed, this.unavailable]).toEqual([false, false])
        expect(this.state.ready).toEqual([])
        this.unavailable = true
        return
      case "ReportAvailable":
        expect(this.unavailable).toBe(true)
        this.unavailable = false
        return
      case "StopTimers":
        this.backingOff = this.refilling = false
    }
  }

  settle(waiter: WaiterId, status: WaiterStatus): void {
    expect(this.waiters.get(waiter)).toBe("waiting")
    this.waiters.set(waiter, status)
  }

  withStatus(status: ChannelStatus): ReadonlyArray<ChannelId> {
    return [...this.channels].flatMap(([id, other]) => (other === status ? [id] : []))
  }

  get waiting(): ReadonlyArray<WaiterId> {
    return [...this.waiters].flatMap(([id, status]) => (status === "waiting" ? [id] : []))
  }

  check(event: PoolEvent<string>, actions: ReadonlyArray<PoolAction<string>>): void {
    const { phase, size, opening, ready, returning, waiting, refillScheduled } = this.state
    // State and resources agree: no channel and no waiter is lost, or is in two places.
    expect([...opening]).toEqual(this.withStatus("opening"))
    expect([...ready].sort((one, other) => one - other)).toEqual(this.withStatus("ready"))
    expect([...returning].sort((one, other) => one - other)).toEqual(this.withStatus("returning"))
    expect([...waiting]).toEqual(this.waiting)
    const room = this.isReused && size > 0 ? limits.maxReady : size
    expect(ready.length).toBeLessThanOrEqual(room)
    expect(phase === "BackingOff").toBe(this.backingOff)
    expect(phase === "Closed").toBe(this.closed)
    expect(refillScheduled).toBe(this.refilling)
    expect(this.state.reportedUnavailable).toBe(this.unavailable)
    if (this.closed) expect(ready).toEqual([])
    // A connection waits only when no channel is ready, unless it asks for a fresh one.
    if (ready.length > 0) expect(waiting.every((waiter) => this.fresh.has(waiter))).toBe(true)
    // Attempts start only as far as the phase allows, and then as many as are wanted.
    const wanted = size + waiting.length - ready.length - returning.length
    const target = Math.min(wanted, maxOpening[phase])
    const opens = actions.some(({ _tag }) => _tag === "Open")
    if (opens && event._tag !== "Started")
      expect(opening.length).toBeLessThanOrEqual(maxOpening[phase])
    const fills = ["Offered", "Ended", "BackoffElapsed", "RefillDue"].includes(event._tag)
    if (fills && !this.closed) expect(opening.length).toBeGreaterThanOrEqual(target)
    // A channel that is not offered again holds up nobody for longer than `refillMillis`.
    if (event._tag === "RefillDue" && !this.closed)
      expect(opening.length).toBeGreaterThanOrEqual(Math.min(waiting.length, maxOpening[phase]))
    const isHeldUp = opening.length < Math.min(waiting.length, maxOpening[phase])
    if (event._tag === "Taken" && isHeldUp && returning.length > 0)
      expect(refillScheduled).toBe(true)
  }

  run({ kind, pick }: Command): void {
    const among = <A>(items: ReadonlyArray<A>): A | undefined => items[pick % items.length]
    switch (kind) {
      case "offer": {
        const id = among([...this.withStatus("opening"), ...this.withStatus("returning")])
        if (id !== undefined) this.send({ _tag: "Offered", id, isReused: this.isReused })
        return
      }
      case "fail": {
        const id = among(this.withStatus("opening"))
        if (id === undefined) return
        this.channels.set(id, "closing")
        return this.send({ _tag: "Failed", id, error: `failure of ${id}` })
      }
      case "lose": {
        const id = among(this.withStatus("ready"))
        if (id === undefined) return
        this.channels.set(id, "closing")
        this.send({ _tag: "Released", id })
        return this.send({ _tag: "Failed", id, error: `loss of ${id}` })
      }
      case "finish": {
        const id = among(this.withStatus("lent"))
        if (id === undefined) return
        this.channels.set(id, "closing")
        return this.send({ _tag: "Released", id })
      }
      case "giveBack": {
        const id = this.isReused ? among(this.withStatus("lent")) : undefined
        if (id === undefined) return
        this.channels.set(id, "returning")
        this.send({ _tag: "Returned", id })
        return void expect(this.channels.get(id)).toBe(this.closed ? "closing" : "returning")
      }
      case "expire": {
        const id = among([...this.withStatus("ready"), ...this.withStatus("returning")])
        if (id === undefined) return
        this.send({ _tag: "Expired", id })
        return void expect(this.channels.get(id)).toBe("closing")
      }
      case "end": {
        const id = among(this.withStatus("closing"))
        if (id === undefined) return
        this.channels.set(id, "ended")
        return this.send({ _tag: "Ended", id })
      }
      case "take":
      case "takeFresh": {
        const waiter = this.waiters.size
        const fresh = kind === "takeFresh"
        this.waiters.set(waiter, "waiting")
        if (fresh) this.fresh.add(waiter)
        return this.send({ _tag: "Taken", waiter, fresh, now: this.now })
      }
      case "timeOut": {
        const waiter = among(this.waiting)
        if (waiter === undefined) return
        this.send({ _tag: "TimedOut", waiter })
        return void expect(this.waiters.get(waiter)).toBe("refused")
      }
      case "cancel": {
        const waiter = among(this.waiting)
        if (waiter === undefined) return
        this.waiters.set(waiter, "cancelled")
        return this.send({ _tag: "Cancelled", waiter })
      }
      case "backoffElapsed":
        if (!this.backingOff) return
        this.backingOff = false
        return this.send({ _tag: "BackoffElapsed" })
      case "refillDue":
        if (!this.refilling) return
        this.refilling = false
        return this.send({ _tag: "RefillDue" })
      case "tick":
        this.now += limits.clockCheckMillis
        return this.send({ _tag: "ClockChecked", now: this.now })
      case "suspend":
        this.now += limits.clockJumpMillis + 1 + limits.clockCheckMillis
        this.send({ _tag: "ClockChecked", now: this.now })
        return void expect(this.state.ready).toEqual([])
      case "close":
        this.closed = true
        return this.send({ _tag: "ScopeClosed" })
    }
  }
}

describe("the pool's state machine", () => {
  it.prop(
    "keeps its invariants in any order of events",
    { script: scripts, size: FastCheck.nat(4), isReused: FastCheck.boolean() },
    ({ script, size, isReused }) => {
      const model = new Model(size, isReused)
      for (const command of script) model.run(command)
    },
    { fastCheck: { numRuns: 500 }, timeout: 60_000 }
  )

  it.prop(
    "serves waiting connections in order once channels are offered again",
    { script: scripts, size: FastCheck.nat(4), isReused: FastCheck.boolean() },
    ({ script, size, isReused }) => {
      const model = new Model(size, isReused)
      for (const command of script) if (command.kind !== "close") model.run(command)
      const waiting = [...model.state.waiting]
      for (let turn = 0; turn < 1000 && model.state.waiting.length > 0; turn++) {
        model.run({ kind: "backoffElapsed", pick: 0 })
        for (const kind of ["refillDue", "offer", "end"] as const) model.run({ kind, pick: 0 })
      }
      expect(waiting.map((waiter) => model.waiters.get(waiter))).toEqual(waiting.map(() => "lent"))
    },
    { fastCheck: { numRuns: 200 }, timeout: 60_000 }
  )
})

describe("a channel that carries several connections", () => {
  const runAll = (model: Model, ...kinds: ReadonlyArray<Command["kind"]>) => {
    for (const kind of kinds) model.run({ kind, pick: 0 })
  }

  it("is lent again, and needs no replacement while the server is about to offer it", () => {
    const model = new Model(1, true)
    runAll(model, "offer", "take", "giveBack", "end", "refillDue")
    const { nextId } = model.state
    // The replacement of the first one is on its way.
    expect(model.withStatus("opening").length).toBe(1)
    runAll(model, "offer", "offer", "take", "take")
    expect(model.withStatus("lent").length).toBe(2)
    runAll(model, "giveBack", "giveBack", "end", "offer", "refillDue", "offer")
    expect(model.state.nextId - nextId).toBeLessThanOrEqual(1)
  })

  it("that is not offered again holds nobody up: the refill opens another", () => {
    const model = new Model(1, true)
    runAll(model, "offer", "take", "giveBack", "offer", "take", "giveBack", "take", "take")
    const before = model.withStatus("opening").length
    runAll(model, "take", "refillDue")
    expect(model.withStatus("opening").length).toBeGreaterThanOrEqual(model.waiting.length)
    expect(model.withStatus("opening").length).toBeGreaterThanOrEqual(before)
  })

  it("is closed once a whole interval has not needed it", () => {
    const model = new Model(1, true)
    runAll(model, "offer", ...Array.from({ length: 5 }, () => "take" as const))
    runAll(model, ...Array.from({ length: 6 }, () => "offer" as const))
    runAll(model, ...Array.from({ length: 5 }, () => "giveBack" as const))
    runAll(model, ...Array.from({ length: 5 }, () => "offer" as const))
    const burst = model.state.ready.length
    expect(burst).toBeGreaterThanOrEqual(5)
    // The interval in which they were used counts none as unneeded.
    runAll(model, "tick")
    expect(model.state.ready.length).toBe(burst)
    runAll(model, "take", "take", "giveBack", "giveBack", "offer", "offer", "tick")
    expect(model.state.ready.length).toBe(3)
    runAll(model, "tick")
    expect(model.state.ready.length).toBe(1)
  })
})

describe("a failed attempt", () => {
  const failAgain = (model: Model) => {
    model.run({ kind: "fail", pick: 0 })
    model.run({ kind: "end", pick: 0 })
  }
  const backoffs = (model: Model, count: number) =>
    Array.from({ length: count }, () => {
      const { actions } = transition(model.state, {
        _tag: "Failed",
        id: model.withStatus("opening")[0] as ChannelId,
        error: "down"
      })
      failAgain(model)
      model.run({ kind: "backoffElapsed", pick: 0 })
      return actions.find(({ _tag }) => _tag === "BackOff")
    })

  it("doubles the pause up to its limit, and a success resets it", () => {
    const model = new Model(1)
    expect(
      backoffs(model, 8).map((action) => action && "millis" in action && action.millis)
    ).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
    model.run({ kind: "offer", pick: 0 })
    model.run({ kind: "take", pick: 0 })
    expect(backoffs(model, 1)).toMatchObject([{ millis: 100 }])
  })

  it("stops all attempts for the pause, then allows one at a time until one succeeds", () => {
    const model = new Model(3)
    const opening = () => model.withStatus("opening").length
    model.run({ kind: "take", pick: 0 })
    expect(opening()).toBe(4)
    const left = [0, 1, 2, 3].map(() => {
      failAgain(model)
      return opening()
    })
    expect(left).toEqual([3, 2, 1, 0])
    model.run({ kind: "take", pick: 0 })
    expect(opening()).toBe(0)
    model.run({ kind: "backoffElapsed", pick: 0 })
    expect([model.state.phase, opening()]).toEqual(["Probing", 1])
    model.run({ kind: "offer", pick: 0 })
    expect([model.state.phase, opening()]).toEqual(["Available", 4])
  })

  it("is reported once until a channel is offered", () => {
    const model = new Model(1)
    const events = [model.unavailable]
    for (const kind of [
      "fail",
      "end",
      "backoffElapsed",
      "fail",
      "end",
      "backoffElapsed"
    ] as const) {
      model.run({ kind, pick: 0 })
      events.push(model.unavailable)
    }
    model.run({ kind: "offer", pick: 0 })
    expect([...events, model.unavailable]).toEqual([
      false,
      true,
      true,
      true,
      true,
      true,
      true,
      false
    ])
  })

  it("is no outage while a channel is ready", () => {
    const model = new Model(2)
    model.run({ kind: "offer", pick: 0 })
    expect(model.state.ready.length).toBe(1)
    model.run({ kind: "fail", pick: 0 })
    expect([model.state.phase, model.unavailable]).toEqual(["BackingOff", false])
  })
})

describe("a closed pool", () => {
  it("closes ready channels, opens none, and serves only waiting connections", () => {
    const model = new Model(2)
    for (const kind of ["offer", "takeFresh", "close"] as const) model.run({ kind, pick: 0 })
    const { nextId } = model.state
    model.run({ kind: "offer", pick: 0 })
    expect(model.waiters.get(0)).toBe("lent")
    for (const kind of ["offer", "offer", "end", "end", "take", "end"] as const)
      model.run({ kind, pick: 0 })
    expect(model.state).toMatchObject({ phase: "Closed", ready: [], opening: [], nextId })
    expect(model.waiters.get(1)).toBe("waiting")
    model.run({ kind: "timeOut", pick: 0 })
    expect(model.waiters.get(1)).toBe("refused")
  })
})

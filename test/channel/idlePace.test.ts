// The pace of an idle channel of a pool: PING at every check, also while the peer sends; the normal
// pace again afterwards.
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ChannelState } from "../../src/channel/ChannelState.ts"
import { startKeepAlive } from "../../src/channel/KeepAlive.ts"
import type { Timers } from "../../src/transports/Timers.ts"

/** Timers of the test, and a state that counts. */
const rig = () => {
  let now = 0
  let pending: ReadonlyArray<{ readonly at: number; readonly run: () => void }> = []
  const timers = {
    schedule: (millis: number, run: () => void) => {
      const entry = { at: now + millis, run }
      pending = [...pending, entry]
      return () => void (pending = pending.filter((each) => each !== entry))
    }
  } as unknown as Timers
  const state = {
    records: 0,
    hasDrained: false,
    busy: false,
    blocked: false,
    pings: 0,
    dead: false,
    ping: () => state.pings++,
    timedOut: () => (state.dead = true)
  }
  const advance = (millis: number, isAlive: boolean) => {
    for (const until = now + millis; now < until;) {
      now += 1000
      if (isAlive) state.records++
      const due = pending.filter(({ at }) => at <= now)
      pending = pending.filter(({ at }) => at > now)
      for (const { run } of due) run()
    }
  }
  const keepAlive = startKeepAlive(state as unknown as ChannelState, timers)
  return { state, advance, keepAlive, timers: () => pending.length }
}

it.effect("sends PING every five seconds while idle, and every 25 after silence otherwise", () =>
  Effect.sync(() => {
    const { state, advance, keepAlive, timers } = rig()
    advance(100_000, true)
    expect(state.pings).toBe(0)
    keepAlive.setIdle(true)
    advance(20_000, true)
    expect(state.pings).toBe(4)
    keepAlive.setIdle(false)
    advance(100_000, true)
    expect([state.pings, state.dead, timers()]).toEqual([4, false, 1])
    // Silence: three PINGs may stay unanswered.
    advance(75_000, false)
    expect([state.pings, state.dead]).toEqual([7, false])
    advance(25_000, false)
    expect(state.dead).toBe(true)
  })
)

it("an idle channel is dead after one unanswered PING; a stopped one has no timer", () => {
  const { state, advance, keepAlive, timers } = rig()
  keepAlive.setIdle(true)
  advance(5000, false)
  expect([state.pings, state.dead]).toEqual([1, false])
  advance(5000, false)
  expect(state.dead).toBe(true)
  const other = rig()
  other.keepAlive.stop()
  other.keepAlive.setIdle(true)
  expect([timers(), other.timers()]).toEqual([0, 0])
})

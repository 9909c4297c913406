import * as Duration from "effect/Duration"
import type { Timers } from "../transports/Timers.ts"
import type { ChannelState } from "./ChannelState.ts"
import { limits } from "./limits.ts"

/**
 * The interval of the checks, the PINGs that may stay unanswered, and whether every check sends
 * PING.
 */
const paces = {
  normal: {
    millis: Duration.toMillis(limits.keepalive),
    misses: limits.keepaliveMisses,
    alwaysPing: false
  },
  idle: {
    millis: Duration.toMillis(limits.idleKeepalive),
    misses: limits.idleKeepaliveMisses,
    alwaysPing: true
  }
} as const

export interface KeepAlive {
  readonly stop: () => void
  /**
   * Switches between the pace of an idle channel, which detects a dead peer soon, and the normal
   * one.
   */
  readonly setIdle: (isIdle: boolean) => void
  /**
   * Sends PING and calls back with true when a record arrives, and with false after
   * `limits.probeMillis`. True at once while this side may be the reason for the silence.
   */
  readonly probe: (done: (isAlive: boolean) => void) => void
}

/**
 * Sends PING after silence. Ends the channel when the peer leaves three of them unanswered, or
 * takes none of the waiting bytes for `limits.stalledKeepalives` checks, even if it still sends.
 * PROTOCOL.md section 10.
 */
export const startKeepAlive = (state: ChannelState, timers: Timers): KeepAlive => {
  let pace: (typeof paces)[keyof typeof paces] = paces.normal
  let misses = 0
  let stalled = 0
  let seen = state.records
  const check = () => {
    const hasReceived = state.records !== seen
    misses = hasReceived || state.busy ? 0 : misses + 1
    stalled = state.blocked && !state.hasDrained ? stalled + 1 : 0
    state.hasDrained = false
    if (misses > pace.misses || stalled >= limits.stalledKeepalives) return state.timedOut()
    cancel = timers.schedule(pace.millis, check)
    // Before the PING: on a memory transport its PONG arrives before ping() returns.
    seen = state.records
    // Also while this side does not read: the peer's PINGs wait unread, and ours show it that this
    // side is alive.
    if (!hasReceived || pace.alwaysPing) state.ping()
  }
  let cancel = timers.schedule(pace.millis, check)
  let stopped = false
  return {
    stop: () => {
      stopped = true
      cancel()
    },
    setIdle: (isIdle) => {
      if (stopped) return
      cancel()
      pace = isIdle ? paces.idle : paces.normal
      misses = 0
      cancel = timers.schedule(pace.millis, check)
      seen = state.records
    },
    probe: (done) => {
      if (stopped || state.busy || state.blocked) return done(!stopped)
      const before = state.records
      let left = limits.probeMillis
      const look = () => {
        if (state.records !== before) return done(true)
        if (stopped || left <= 0) return done(false)
        left -= limits.probeStepMillis
        timers.schedule(limits.probeStepMillis, look)
      }
      state.ping()
      look()
    }
  }
}

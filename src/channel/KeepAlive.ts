import * as Duration from "effect/Duration"
import type { Timers } from "../transports/Timers.ts"
import type { ChannelState } from "./ChannelState.ts"
import { limits } from "./limits.ts"

/** How often it is looked, how many PINGs may stay without an answer, and whether one goes out at every look, not after silence alone. */
const paces = {
  usual: {
    millis: Duration.toMillis(limits.keepalive),
    most: limits.keepaliveMisses,
    always: false
  },
  close: {
    millis: Duration.toMillis(limits.closeKeepalive),
    most: limits.closeKeepaliveMisses,
    always: true
  }
} as const

export interface KeepAlive {
  readonly stop: () => void
  /** For a channel that is kept ready: whether the peer is there shows soon. */
  readonly attend: (closely: boolean) => void
}

/**
 * PING after silence, and an end to a peer that leaves three of them unanswered, or that for long takes nothing of what is
 * written to it, whatever it says.
 */
export const keepAlive = (core: ChannelState, timers: Timers): KeepAlive => {
  let pace: (typeof paces)[keyof typeof paces] = paces.usual
  let misses = 0
  let stalled = 0
  const ring = () => {
    const { heard } = core
    misses = heard || core.busy ? 0 : misses + 1
    stalled = core.blocked && !core.taken ? stalled + 1 : 0
    core.taken = false
    if (misses > pace.most || stalled >= limits.stalledKeepalives) return core.timedOut()
    stop = timers.schedule(pace.millis, ring)
    // Before the PING: in memory its PONG is here when it has gone.
    core.heard = false
    // Also while we do not read: the peer, whose PINGs wait unread, must hear that we live.
    if (!heard || pace.always) core.ping()
  }
  core.heard = false
  let stop = timers.schedule(pace.millis, ring)
  let stopped = false
  return {
    stop: () => {
      stopped = true
      stop()
    },
    attend: (closely) => {
      if (stopped) return
      stop()
      pace = closely ? paces.close : paces.usual
      misses = 0
      stop = timers.schedule(pace.millis, ring)
      core.heard = false
    }
  }
}

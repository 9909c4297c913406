import * as Duration from "effect/Duration"
import type { Alarms } from "../transports/Alarms.ts"
import type { Core } from "./Core.ts"
import { limits } from "./limits.ts"

const millis = Duration.toMillis(limits.keepalive)

/**
 * PING after silence, and an end to a peer that leaves three of them unanswered, or that for long takes nothing of what is
 * written to it, whatever it says. Gives what stops it.
 */
export const keepAlive = (core: Core, alarms: Alarms): (() => void) => {
  let misses = 0
  let stalled = 0
  const ring = () => {
    const { heard } = core
    misses = heard || core.busy ? 0 : misses + 1
    stalled = core.blocked && !core.taken ? stalled + 1 : 0
    core.taken = false
    if (misses > limits.keepaliveMisses || stalled >= limits.stalledKeepalives) return core.die()
    stop = alarms.set(millis, ring)
    // Before the PING: in memory its PONG is here when it has gone.
    core.heard = false
    // Also while we do not read: the peer, whose PINGs wait unread, must hear that we live.
    if (!heard) core.ping()
  }
  core.heard = false
  let stop = alarms.set(millis, ring)
  return () => stop()
}

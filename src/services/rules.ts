// The rule options that several services count against. The others are in the rules.ts of their
// service.
import * as Effect from "effect/Effect"
import * as OptionSpec from "../peers/OptionSpec.ts"
import { limits } from "./limits.ts"
import type { PeerSession } from "./PeerSessions.ts"

/**
 * The number of bytes of a client in a minute: of the messages that it sends, and of files, their
 * manifests and tunnels in both directions. A message over it is refused; the others become slower.
 */
export const bytesPerMinute: OptionSpec.OptionSpec<number> = OptionSpec.bytes({
  name: "bytes-per-minute",
  example: "10M",
  summary: "maximum number of bytes per minute; K, M and G stand for 1024, 1024² and 1024³"
})

/** The number of bytes that the server holds for unfinished requests of a client. */
export const memory: OptionSpec.OptionSpec<number> = OptionSpec.bytes({
  name: "memory",
  example: "256M",
  summary: "maximum memory of its unfinished messages and manifests, over all sessions"
})

/** The options of authorized_peers that several services share. */
export const sharedOptions: ReadonlyArray<OptionSpec.AnyOption> = [bytesPerMinute, memory]

/**
 * Counts bytes of a stream, and returns for how many milliseconds to pause it before it is asked
 * again with 0 bytes: until the client's allowance is no longer exceeded, at most
 * `limits.throttleMillis`.
 */
export const throttleMillis = (session: PeerSession, bytes: number): number => {
  const perMinute = session.rules().get(bytesPerMinute)
  const allowance = session.allowance(bytesPerMinute)
  if (perMinute === undefined || allowance === undefined) return 0
  if (bytes > 0) allowance.spend(bytes)
  const excess = bytes - allowance.left
  return excess <= 0 ? 0 : Math.min(limits.throttleMillis, Math.ceil((excess / perMinute) * 60_000))
}

/** Counts bytes of a stream, and waits until they are within the client's allowance. */
export const throttle = (session: PeerSession, bytes: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const millis = throttleMillis(session, bytes)
    return millis === 0 ? Effect.void : Effect.zipRight(Effect.sleep(millis), throttle(session, 0))
  })

/** Counts bytes that a client has sent. Returns false if they exceed its allowance. */
export const spendBytes = (session: PeerSession, bytes: number): boolean => {
  const allowance = session.allowance(bytesPerMinute)
  if (allowance === undefined) return true
  const { left } = allowance
  allowance.spend(bytes)
  return bytes <= left
}

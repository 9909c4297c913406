// The rule options that several services count against. The others are in the rules.ts of their
// service.
import * as OptionSpec from "../peers/OptionSpec.ts"
import type { PeerSession } from "./PeerSessions.ts"

/** The number of bytes that a client may send in a minute, in messages and through tunnels. */
export const bytesPerMinute: OptionSpec.OptionSpec<number> = OptionSpec.bytes({
  name: "bytes-per-minute",
  example: "10M",
  summary: "maximum number of bytes per minute; K, M and G stand for 1024, 1024² and 1024³"
})

/** The options of authorized_peers that several services share. */
export const sharedOptions: ReadonlyArray<OptionSpec.AnyOption> = [bytesPerMinute]

/** Counts bytes that a client has sent. Returns false if they exceed its allowance. */
export const spendBytes = (session: PeerSession, bytes: number): boolean => {
  const allowance = session.allowance(bytesPerMinute)
  if (allowance === undefined) return true
  const { left } = allowance
  allowance.spend(bytes)
  return bytes <= left
}

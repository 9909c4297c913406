// The rules of authorized_peers for messages, and the allowance that a session has under them.
import * as OptionSpec from "../../peers/OptionSpec.ts"
import type { PeerSession } from "../PeerSessions.ts"
import { bytesPerMinute } from "../rules.ts"

/** The name of the service, in openings and in `services="…"`. */
export const name = "message"

/** The number of messages that a client may send in a minute. */
export const messagesPerMinute: OptionSpec.OptionSpec<number> = OptionSpec.count({
  name: "messages-per-minute",
  example: "600",
  summary: "maximum number of messages per minute"
})

/** The options that the service adds to authorized_peers. */
export const ruleOptions: ReadonlyArray<OptionSpec.AnyOption> = [messagesPerMinute]

/**
 * Returns how many of these messages the rules allow now, and counts them as sent. Stops at the
 * first that exceeds the allowance, so that the order stays. An ended session gets 0.
 */
export const takeMessages = (
  session: PeerSession,
  sent: ReadonlyArray<{ readonly size: number }>
): number => {
  if (session.isEnded()) return 0
  const messages = session.allowance(messagesPerMinute)
  const bytes = session.allowance(bytesPerMinute)
  if (messages === undefined && bytes === undefined) return sent.length
  let [messagesLeft, bytesLeft] = [messages?.left ?? Infinity, bytes?.left ?? Infinity]
  let [allowed, total] = [0, 0]
  for (const { size } of sent) {
    if (messagesLeft < 1 || bytesLeft < size) break
    messagesLeft--
    bytesLeft -= size
    allowed++
    total += size
  }
  messages?.spend(allowed)
  bytes?.spend(total)
  return allowed
}

/** Returns whether an incomplete message of this length is within the allowance. */
export const fitsAllowance = (session: PeerSession, bytes: number): boolean =>
  bytes <= (session.allowance(bytesPerMinute)?.left ?? Infinity)

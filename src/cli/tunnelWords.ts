// What tunnels have to say, and the words for it: a part of `words`.
import * as LogLevel from "effect/LogLevel"
import type { Counted } from "../programs/Service.ts"

/** A connection at the near end of a tunnel. */
interface Carried {
  /** The target, as `--target` names it; "" for the only one. */
  readonly target: string
  readonly from: string
  readonly peer: string
  readonly suite: string
}

interface CarriedEnd extends Carried {
  readonly counted: Readonly<Counted>
  readonly error: string | undefined
}

/** What happens at the near end. */
export interface TunnelEvents {
  TunnelOpen: { readonly listen: string; readonly to: string; readonly target: string; readonly ready: number }
  TunnelAway: { readonly to: string; readonly target: string; readonly reason: string }
  TunnelBack: { readonly to: string; readonly target: string }
  ConnectionStarted: Carried
  ConnectionEnded: CarriedEnd
  TurnedAway: { readonly target: string; readonly from: string; readonly reason: string }
}

const called = (target: string): string => (target === "" ? "" : ` (${target})`)

const carriedFields = ({ target, from, peer, suite }: Carried) => ({ target, from, peer, suite })

/** { bytesIn: 3 } is "3 bytes in"; what is not here is counted in its plural. */
export const doneWords: Readonly<Record<string, (count: string) => string>> = {
  bytesIn: (count) => `${count} bytes in`,
  bytesOut: (count) => `${count} bytes out`
}

/** As `words` has them, given its words for what was counted. */
export const tunnelWords = (doneOf: (counted: Readonly<Counted>) => string) => ({
  TunnelOpen: {
    code: "tunnel",
    level: LogLevel.Info,
    line: ({ listen, to, target }: TunnelEvents["TunnelOpen"]) =>
      `what connects to ${listen} comes out at the target of ${to}${called(target)}; Ctrl-C stops`,
    fields: ({ listen, to, target, ready }: TunnelEvents["TunnelOpen"]) => ({ listen, to, target, ready })
  },
  TunnelAway: {
    code: "tunnel-away",
    level: LogLevel.Warning,
    line: ({ target, reason }: TunnelEvents["TunnelAway"]) =>
      `no tunnel for now${called(target)}: ${reason}; trying again, and who connects meanwhile is reset after 10 s`,
    fields: ({ to, target, reason }: TunnelEvents["TunnelAway"]) => ({ to, target, reason })
  },
  TunnelBack: {
    code: "tunnel-back",
    level: LogLevel.Info,
    line: ({ to, target }: TunnelEvents["TunnelBack"]) => `the tunnel to ${to}${called(target)} is there again`,
    fields: ({ to, target }: TunnelEvents["TunnelBack"]) => ({ to, target })
  },
  ConnectionStarted: {
    code: "connection-started",
    level: LogLevel.Debug,
    line: ({ target, from }: TunnelEvents["ConnectionStarted"]) => `${from}${called(target)}: connected`,
    fields: carriedFields
  },
  ConnectionEnded: {
    code: "connection-ended",
    level: LogLevel.Debug,
    line: ({ target, from, counted }: TunnelEvents["ConnectionEnded"]) =>
      `${from}${called(target)}: ended after ${doneOf(counted)}`,
    fields: ({ counted, ...carried }: TunnelEvents["ConnectionEnded"]) => ({ ...carriedFields(carried), ...counted })
  },
  ConnectionReset: {
    code: "connection-reset",
    level: LogLevel.Warning,
    line: ({ target, from, counted, error }: TunnelEvents["ConnectionEnded"]) =>
      `${from}${called(target)}: reset after ${doneOf(counted)}: ${error}`,
    fields: ({ counted, error, ...carried }: TunnelEvents["ConnectionEnded"]) => ({
      ...carriedFields({ ...carried }),
      ...counted,
      error
    })
  },
  TurnedAway: {
    code: "turned-away",
    level: LogLevel.Warning,
    line: ({ target, from, reason }: TunnelEvents["TurnedAway"]) => `${from}${called(target)}: reset: ${reason}`,
    fields: ({ target, from, reason }: TunnelEvents["TurnedAway"]) => ({ target, from, reason })
  }
})

// What tunnels have to say.
import * as LogLevel from "effect/LogLevel"
import type { Counters } from "../../../services/Service.ts"
import { formatCounters } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** A connection at the near end of a tunnel. */
interface Carried {
  /** The target, as `--target` names it; "" for the only one. */
  readonly target: string
  readonly from: string
  readonly peer: string
  readonly suite: string
}

interface CarriedEnd extends Carried {
  readonly counted: Readonly<Counters>
  readonly error: string | undefined
}

/** What happens at the near end. */
export type TunnelEvents = {
  TunnelListening: {
    readonly listen: string
    readonly to: string
    readonly target: string
    readonly ready: number
  }
  TunnelDisconnected: { readonly to: string; readonly target: string; readonly reason: string }
  TunnelReconnected: { readonly to: string; readonly target: string }
  ConnectionStarted: Carried
  ConnectionEnded: CarriedEnd
  ConnectionReset: CarriedEnd
}

const called = (target: string): string => (target === "" ? "" : ` (${target})`)

const carriedFields = ({ target, from, peer, suite }: Carried) => ({ target, from, peer, suite })

export const tunnelTexts: EventTexts<TunnelEvents> = {
  TunnelListening: {
    code: "tunnel-listening",
    level: LogLevel.Info,
    line: ({ listen, to, target }) =>
      `what connects to ${listen} comes out at the target of ${to}${called(target)}; Ctrl-C stops`,
    fields: ({ listen, to, target, ready }) => ({ listen, to, target, ready })
  },
  TunnelDisconnected: {
    code: "tunnel-disconnected",
    level: LogLevel.Warning,
    line: ({ target, reason }) =>
      `no tunnel for now${called(target)}: ${reason}; trying again, and who connects meanwhile is reset after 10 s`,
    fields: ({ to, target, reason }) => ({ to, target, reason })
  },
  TunnelReconnected: {
    code: "tunnel-reconnected",
    level: LogLevel.Info,
    line: ({ to, target }) => `the tunnel to ${to}${called(target)} is there again`,
    fields: ({ to, target }) => ({ to, target })
  },
  ConnectionStarted: {
    code: "connection-started",
    level: LogLevel.Debug,
    line: ({ target, from }) => `${from}${called(target)}: connected`,
    fields: carriedFields
  },
  ConnectionEnded: {
    code: "connection-ended",
    level: LogLevel.Debug,
    line: ({ target, from, counted }) =>
      `${from}${called(target)}: ended after ${formatCounters(counted)}`,
    fields: ({ counted, ...carried }) => ({ ...carriedFields(carried), ...counted })
  },
  ConnectionReset: {
    code: "connection-reset",
    level: LogLevel.Warning,
    line: ({ target, from, counted, error }) =>
      `${from}${called(target)}: reset after ${formatCounters(counted)}: ${error}`,
    fields: ({ counted, error, ...carried }) => ({
      ...carriedFields({ ...carried }),
      ...counted,
      error
    })
  }
}

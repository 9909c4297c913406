// Events at the near end of a tunnel.
import * as LogLevel from "effect/LogLevel"
import type { Counters } from "../../../services/Service.ts"
import { countersSuffix } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** A connection at the near end of a tunnel. */
interface Forwarded {
  /** The target, as `--target` names it; "" for the server's only target. */
  readonly target: string
  readonly from: string
  readonly peer: string
  readonly suite: string
}

interface ForwardedEnd extends Forwarded {
  readonly counted: Readonly<Counters>
  readonly error: string | undefined
}

export type TunnelEvents = {
  TunnelListening: {
    readonly listen: string
    readonly to: string
    readonly target: string
    readonly ready: number
  }
  TunnelDisconnected: { readonly to: string; readonly target: string; readonly reason: string }
  TunnelReconnected: { readonly to: string; readonly target: string }
  ConnectionStarted: Forwarded
  ConnectionEnded: ForwardedEnd
  ConnectionReset: ForwardedEnd
}

const tunnelOf = (target: string): string => (target === "" ? "tunnel" : `tunnel "${target}"`)

const connectionOf = ({ from, target }: Forwarded): string =>
  `${from}${target === "" ? "" : ` (${target})`}: connection`

const forwardedFields = ({ target, from, peer, suite }: Forwarded) => ({
  target,
  from,
  peer,
  suite
})

export const tunnelTexts: EventTexts<TunnelEvents> = {
  TunnelListening: {
    code: "tunnel-listening",
    level: LogLevel.Info,
    line: ({ listen, to, target }) =>
      `forwarding ${listen}${target === "" ? "" : ` -> ${target}`} via ${to} (press Ctrl-C to stop)`,
    fields: ({ listen, to, target, ready }) => ({ listen, address: to, target, ready })
  },
  TunnelDisconnected: {
    code: "tunnel-disconnected",
    level: LogLevel.Warning,
    line: ({ target, reason }) =>
      `${tunnelOf(target)} down: ${reason}; retrying (new connections fail after 10 s)`,
    fields: ({ to, target, reason }) => ({ address: to, target, reason })
  },
  TunnelReconnected: {
    code: "tunnel-reconnected",
    level: LogLevel.Info,
    line: ({ to, target }) => `${tunnelOf(target)} to ${to} re-established`,
    fields: ({ to, target }) => ({ address: to, target })
  },
  ConnectionStarted: {
    code: "connection-started",
    level: LogLevel.Debug,
    line: (forwarded) => `${connectionOf(forwarded)} opened`,
    fields: forwardedFields
  },
  ConnectionEnded: {
    code: "connection-ended",
    level: LogLevel.Debug,
    line: (end) => `${connectionOf(end)} closed${countersSuffix(end.counted)}`,
    fields: (end) => ({ ...forwardedFields(end), counters: end.counted })
  },
  ConnectionReset: {
    code: "connection-reset",
    level: LogLevel.Warning,
    line: (end) => `${connectionOf(end)} reset${countersSuffix(end.counted)}: ${end.error}`,
    fields: (end) => ({ ...forwardedFields(end), counters: end.counted, reason: end.error })
  }
}

// Channels that are used again, where the server knows them. TUNNEL.md section 4.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import { NotOffered, type ChannelError } from "../../channel/ChannelErrors.ts"
import type { Open } from "./ChannelPool.ts"
import * as Opening from "./Opening.ts"

/** Opens one channel for an opening, and passes it to `use`. */
export type OpenFor<E, R> = (
  opening: string,
  use: (channel: Channel) => Effect.Effect<void, ChannelError>
) => Effect.Effect<void, E | ChannelError, R>

/**
 * Opens channels that carry several connections, one after another. A server that does not know them
 * answers CLOSE 5, which nobody else can send: its channels carry one connection each, until an
 * attempt fails, for it may then be another version.
 *
 * @example
 * const open = openReusable((opening, use) =>
 *   dial(options, opening).pipe(Effect.flatMap(use), Effect.scoped), "postgres")
 * const pool = yield* ChannelPool.make({ open })
 */
export const openReusable = <E, R>(open: OpenFor<E, R>, target = ""): Open<E, R> => {
  let isKnown = true
  const isUnknown = (error: E | ChannelError) => error instanceof NotOffered
  return (use) => {
    const once = Effect.suspend(() => {
      isKnown = false
      return open(Opening.once(target), use)
    })
    const reused = Effect.suspend(() => open(Opening.reused(target), use))
    const forget = Effect.sync(() => {
      isKnown = true
    })
    return Effect.suspend(() =>
      isKnown ? Effect.catchIf(reused, isUnknown, () => once) : Effect.tapError(once, () => forget)
    )
  }
}

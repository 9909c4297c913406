// Connects a client: connection, handshake, key announcement; then a channel for one service.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import {
  ChannelTampered,
  type ChannelError,
  type HandshakeFailed
} from "../channel/ChannelErrors.ts"
import type { ClientKeys } from "../channel/Handshake.ts"
import type { Padding } from "../channel/Padding.ts"
import type { ServerKey } from "../peers/KnownPeers.ts"
import { format, type Address } from "../transports/Address.ts"
import { Timers } from "../transports/Timers.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import * as KeyAnnouncement from "./KeyAnnouncement.ts"
import { application as defaultApplication } from "./Service.ts"
import { spanned } from "./Tracing.ts"

/** The server's address, the client's keys, and the checks of the server's keys. */
export interface DialOptions<E, R> {
  readonly address: Address
  /** The application of the prologue. Default: that of `Server`. */
  readonly application?: string
  readonly keys: Omit<ClientKeys, "application">
  readonly padding?: Padding
  /** Checks the key that a server without a pinned key offers, before the client sends its own. */
  readonly checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /**
   * Receives that key once the server has proven every key of the suite. Only then may it be
   * pinned.
   */
  readonly onProven?: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /** Receives all public keys of a server that has several. The channel is read only afterwards. */
  readonly onServerKeys?: OnServerKeys
}

/** Receives the keys that a server announces, the current one first, and the one it has proven. */
export type OnServerKeys = (
  keys: ReadonlyArray<ServerKey>,
  shown: Uint8Array
) => Effect.Effect<void>

/**
 * Opens a channel to a server for `opening`; it closes with the scope.
 *
 * @example
 * const channel = yield* dial({ address, keys, checkServer: () => Effect.void }, "chat lounge")
 */
export const dial = <E, R>(
  {
    address,
    keys,
    application = defaultApplication,
    padding,
    checkServer,
    onProven,
    onServerKeys = () => Effect.void
  }: DialOptions<E, R>,
  opening: string
): Effect.Effect<
  Channel.Channel,
  ConnectFailed | HandshakeFailed | E,
  R | Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const startedAt = (yield* Timers.current).monotonic
    const connection = yield* transport.connect(address)
    const channel = yield* Channel.connect(connection, { ...keys, application }, checkServer, {
      opening,
      startedAt,
      ...(padding === undefined ? {} : { padding })
    })
    if (onProven !== undefined && keys.serverKey === undefined && channel.publicKey !== undefined) {
      yield* channel.ready
      yield* onProven(channel.publicKey)
    }
    return withAnnouncement(channel, onServerKeys)
  }).pipe(
    spanned("sealwire.connect", () => ({
      kind: "client",
      attributes: {
        "server.address": format(address),
        "sealwire.suite": keys.suite.name,
        "sealwire.opening": opening
      }
    }))
  )

/** Handles a key announcement if it is the first item; reads of the result begin after it. */
const withAnnouncement = (
  channel: Channel.Channel,
  onServerKeys: OnServerKeys
): Channel.Channel => {
  let first = true
  const read: Effect.Effect<Channel.ChannelItem | undefined, ChannelError> = Effect.flatMap(
    channel.read,
    (item) => {
      if (
        !first ||
        !(item instanceof Channel.Control) ||
        !KeyAnnouncement.isAnnouncement(item.body)
      ) {
        first = false
        return Effect.succeed(item)
      }
      first = false
      return Effect.zipRight(receiveKeys(channel, item, onServerKeys), channel.read)
    }
  )
  return { ...channel, read: Effect.suspend(() => (first ? read : channel.read)) }
}

/** Accepts an announcement only if the key that the server has proven is in it. */
const receiveKeys = (
  { peer, publicKey }: Channel.Channel,
  { body }: Channel.Control,
  onServerKeys: OnServerKeys
): Effect.Effect<void, ChannelTampered> => {
  const keys = KeyAnnouncement.decode(body)
  return publicKey !== undefined &&
    keys?.some((key) => Buffer.compare(key.publicKey, publicKey) === 0) === true
    ? onServerKeys(keys, publicKey)
    : new ChannelTampered({ peer, detail: "invalid key announcement" })
}

/** Ends a probe once the key was received. */
class KeySeen extends Data.TaggedError("KeySeen")<{ readonly publicKey: Uint8Array }> {}

/**
 * Asks a server for its public key, which it sends to every client. This side sends no key of its
 * own. For suites without a pinned key.
 */
export const probe = ({
  address,
  keys
}: Pick<DialOptions<never, never>, "address" | "keys">): Effect.Effect<
  Uint8Array | undefined,
  ConnectFailed | HandshakeFailed,
  Transport
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(address)
    yield* Channel.connect(
      connection,
      { ...keys, application: defaultApplication },
      (publicKey) => new KeySeen({ publicKey })
    )
    return undefined
  }).pipe(
    Effect.scoped,
    Effect.catchTag("KeySeen", ({ publicKey }) => Effect.succeed(publicKey))
  )

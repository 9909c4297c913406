// A client's way to a server: connection, handshake, what is to be remembered of the server's keys; then a channel for one service.
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
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import * as KeyAnnouncement from "./KeyAnnouncement.ts"
import { application as services } from "./Service.ts"
import { spanned } from "./Tracing.ts"

/** Where a client connects, with which keys, and what it checks. */
export interface DialOptions<E, R> {
  readonly address: Address
  /** The application protocol of the prologue. Default: that of a server with services. */
  readonly application?: string
  readonly keys: Omit<ClientKeys, "application">
  readonly padding?: Padding
  /** Sees the key that an unpinned server offers, before the client shows its own. */
  readonly checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /** Sees the key of a server that was not pinned once it has proven that it holds every key: the moment to remember it. */
  readonly onProven?: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /** Told all public keys of a server that has several; no receipt is heard before it is done. */
  readonly onServerKeys?: OnServerKeys
}

/** The keys that a server says it has, the current one first, and the one among them that it has shown. */
export type OnServerKeys = (
  keys: ReadonlyArray<ServerKey>,
  shown: Uint8Array
) => Effect.Effect<void>

/** A channel that is opened for `opening`, and ends in good order with the scope. */
export const dial = <E, R>(
  {
    address,
    keys,
    application = services,
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
    const connection = yield* transport.connect(address)
    const channel = yield* Channel.connect(connection, { ...keys, application }, checkServer, {
      opening,
      ...(padding === undefined ? {} : { padding })
    })
    if (onProven !== undefined && keys.serverKey === undefined && channel.publicKey !== undefined) {
      yield* channel.ready
      yield* onProven(channel.publicKey)
    }
    return announcing(channel, onServerKeys)
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

/** Hears what keys the server has, where it says so first of all; what is read of the channel begins behind that. */
const announcing = (channel: Channel.Channel, onServerKeys: OnServerKeys): Channel.Channel => {
  let first = true
  const read: Effect.Effect<Channel.ChannelItem | undefined, ChannelError> = Effect.flatMap(
    channel.read,
    (item) => {
      if (!first || !(item instanceof Channel.Control) || !KeyAnnouncement.isOne(item.body)) {
        first = false
        return Effect.succeed(item)
      }
      first = false
      return Effect.zipRight(announced(channel, item, onServerKeys), channel.read)
    }
  )
  return { ...channel, read: Effect.suspend(() => (first ? read : channel.read)) }
}

/** The key that the server has shown must be among those it says it has. */
const announced = (
  { peer, publicKey }: Channel.Channel,
  { body }: Channel.Control,
  onServerKeys: OnServerKeys
): Effect.Effect<void, ChannelTampered> => {
  const keys = KeyAnnouncement.decode(body)
  return publicKey !== undefined &&
    keys?.some((key) => Buffer.compare(key.publicKey, publicKey) === 0) === true
    ? onServerKeys(keys, publicKey)
    : new ChannelTampered({ peer, detail: "no announcement of keys" })
}

/** Ends a probe: the key was seen. */
class Seen extends Data.TaggedError("Seen")<{ readonly publicKey: Uint8Array }> {}

/** The public key that the server shows to anybody who asks; this side shows nothing of its own. For suites that do not pin. */
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
      { ...keys, application: services },
      (publicKey) => new Seen({ publicKey })
    )
    return undefined
  }).pipe(
    Effect.scoped,
    Effect.catchTag("Seen", ({ publicKey }) => Effect.succeed(publicKey))
  )

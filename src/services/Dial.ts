// Connects a client: connection, handshake, key announcement; then a channel for one service.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import type { HandshakeFailed } from "../channel/ChannelErrors.ts"
import {
  initiatorKeysOf,
  type ClientKeys,
  type ServerCredentials,
  type UnpinnedServer
} from "../channel/ClientKeys.ts"
import type { PrologueFields } from "../channel/HandshakeKeys.ts"
import type { Padding } from "../channel/Padding.ts"
import type { Suite } from "../channel/Suite.ts"
import { canonical, type Address } from "../transports/Address.ts"
import { Timers } from "../transports/Timers.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import { announcedChannel, type OnServerKeys } from "./announcedChannel.ts"
import { application as defaultApplication } from "./Service.ts"
import { spanned } from "./Tracing.ts"

/** The keys of a client, and how it authenticates the server; the suite follows from them. */
export type DialKeys<E = never, R = never> = Partial<Pick<PrologueFields, "serverName">> &
  ServerCredentials<E, R>

/** The server's address and the client's keys. */
export interface DialOptions<E = never, R = never> {
  readonly address: Address
  /** The application of the prologue. Default: that of `Server`. */
  readonly application?: string
  /** The keys, or an effect that loads them: `Credentials.sharedKey`, `Credentials.pinned(…)`. */
  readonly keys: DialKeys<E, R> | Effect.Effect<DialKeys<E, R>, E, R>
  readonly padding?: Padding
  /**
   * Receives the key that `keys.checkServer` has accepted, once the server has proven every key of
   * the suite. Only then may it be pinned.
   */
  readonly onProven?: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /** Receives all public keys of the server, proven. The channel is read only afterwards. */
  readonly onServerKeys?: OnServerKeys
}

export type { OnServerKeys } from "./announcedChannel.ts"

/**
 * Opens a channel to a server for `opening`; it closes with the scope. Dies with a TypeError,
 * before it connects, when `keys` authenticate no server, which the types forbid.
 *
 * @example
 * const keys = { serverName: "", identity, serverKey }
 * const channel = yield* dial({ address, keys }, "chat lounge")
 */
export const dial = <E = never, R = never>(
  options: DialOptions<E, R>,
  opening: string
): Effect.Effect<
  Channel.Channel,
  ConnectFailed | HandshakeFailed | E,
  R | Transport | Scope.Scope
> =>
  Effect.isEffect(options.keys)
    ? Effect.flatMap(options.keys, (keys) => dialWith({ ...options, keys }, opening))
    : dialWith({ ...options, keys: options.keys }, opening)

const dialWith = <E, R>(
  {
    address,
    keys,
    application = defaultApplication,
    padding,
    onProven,
    onServerKeys = () => Effect.void
  }: Omit<DialOptions<E, R>, "keys"> & { readonly keys: DialKeys<E, R> },
  opening: string
): Effect.Effect<
  Channel.Channel,
  ConnectFailed | HandshakeFailed | E,
  R | Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    checkKeys(keys)
    const startedAt = (yield* Timers.current).monotonic
    const connection = yield* transport.connect(address)
    const channel = yield* Channel.connect<E, R>(connection, withDefaults(keys, application), {
      opening,
      startedAt,
      ...(padding === undefined ? {} : { padding })
    })
    if (onProven !== undefined && keys.serverKey === undefined && channel.publicKey !== undefined) {
      yield* channel.ready
      yield* onProven(channel.publicKey)
    }
    return yield* announcedChannel(channel, onServerKeys)
  }).pipe(
    spanned("sealwire.connect", () => ({
      kind: "client",
      attributes: {
        "server.address": canonical(address),
        "sealwire.suite": checkKeys(keys).name,
        "sealwire.opening": opening
      }
    }))
  )

/**
 * Returns the suite of the keys. Throws a TypeError when they authenticate no server, which a
 * caller without types can do.
 */
export const checkKeys = (keys: DialKeys<unknown, unknown>): Suite =>
  initiatorKeysOf(withDefaults(keys, defaultApplication)).suite

const withDefaults = <E, R>(keys: DialKeys<E, R>, application: string): ClientKeys<E, R> => ({
  serverName: "",
  ...keys,
  application
})

/** Ends a probe once the key was received. */
class KeySeen extends Data.TaggedError("KeySeen")<{ readonly publicKey: Uint8Array }> {}

/** The address to ask, and the keys that the suite requires of this side. */
interface ProbeOptions {
  readonly address: Address
  readonly keys: Omit<PrologueFields, "application"> & Omit<UnpinnedServer, "checkServer">
}

/**
 * Asks a server for its public key, which it sends to every client. This side sends no key of its
 * own. For suites without a pinned key.
 */
export const probe = ({
  address,
  keys
}: ProbeOptions): Effect.Effect<
  Uint8Array | undefined,
  ConnectFailed | HandshakeFailed,
  Transport
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(address)
    yield* Channel.connect(connection, {
      ...keys,
      application: defaultApplication,
      checkServer: (publicKey: Uint8Array) => new KeySeen({ publicKey })
    })
    return undefined
  }).pipe(
    Effect.scoped,
    Effect.catchTag("KeySeen", ({ publicKey }) => Effect.succeed(publicKey))
  )

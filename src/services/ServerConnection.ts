// A client's connection to a server it knows from known_peers: which keys it uses, in which order
// it tries them, and what it reports when none of them fits. PEERS.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { Secret } from "../bytes/Secret.ts"
import { HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { Credentials } from "../channel/Suite.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import * as KnownPeers from "../peers/KnownPeers.ts"
import type { ServerKeyChanged, ServerKeyWithdrawn, ServerUnknown } from "../peers/PeerErrors.ts"
import type { PeersBusy } from "../peers/PeerLock.ts"
import type { KnownPeer, PeersInvalid } from "../peers/Peers.ts"
import type { Address } from "../transports/Address.ts"
import type { Transport } from "../transports/Transport.ts"
import * as Dial from "./Dial.ts"

/** Events about the keys of a server. */
export type ConnectionEvent = Data.TaggedEnum<{
  /** The first contact is complete, and the server's key is pinned. */
  KeyPinned: KnownPeers.Pinned
  /** The server announced its keys, and known_peers was changed. */
  KeysLearned: KnownPeers.Learned
  /**
   * The server showed a retiring key and announced its keys without others that known_peers has as
   * valid. Either those are a thief's, or the retiring key is in the hands of one.
   */
  KeysDisputed: KnownPeers.Learned
  /**
   * The server announced its keys. Nothing was changed, because its key was given or pinned for
   * another address.
   */
  AnnouncementIgnored: { readonly address: string; readonly keys: number }
  /**
   * The server announced its keys, and known_peers could not be changed. The connection goes on.
   */
  AnnouncementNotSaved: { readonly address: string; readonly reason: string }
}>
/** The constructors and `$match`. */
export const ConnectionEvent: Data.TaggedEnum.Constructor<ConnectionEvent> =
  Data.taggedEnum<ConnectionEvent>()

export type { Credentials } from "../channel/Suite.ts"

/** A server, and what this client has to reach it. */
export interface Options<E, R> {
  readonly address: Address
  /** Path of the known_peers file. */
  readonly knownPeers: string
  /**
   * The server's public key (sealwire1…), or its name in known_peers. Default: the keys pinned for
   * its address.
   */
  readonly peer?: string | undefined
  /** Pins the key that the server shows at first contact. Default: false. */
  readonly acceptNew?: boolean
  /** Server name that both sides agree on. Default: "". */
  readonly serverName?: string
  /**
   * Which keys the client uses. Default: `identity` if `peer` or `acceptNew` is given or
   * known_peers lists the address, and `sharedKey` otherwise.
   */
  readonly credentials?: Credentials | undefined
  /**
   * Loads this client's identity; run at most once, and only if it is used. `pinned` is the line
   * of known_peers that alone made the client use an identity.
   */
  readonly identity: (pinned: KnownPeer | undefined) => Effect.Effect<KeyPair, E, R>
  /** Loads the shared key; run at most once, and only if it is used. */
  readonly sharedKey: Effect.Effect<Secret, E, R>
  /** Receives the events of the connection. Default: ignores them. */
  readonly on?: (event: ConnectionEvent) => Effect.Effect<void>
}

/** The keys of a client itself. */
type OwnKeys =
  | { readonly psk: Secret; readonly identity?: never }
  | { readonly psk?: Secret; readonly identity: KeyPair }

/** A server with the keys that this client has for it, loaded once for all attempts. */
export interface ServerConnection {
  readonly address: Address
  /** As known_peers lists it. */
  readonly knownAddress: string
  readonly knownPeers: string
  readonly credentials: Credentials
  /** The keys to expect from the server, read from known_peers for each connection. */
  readonly expectedKeys: Effect.Effect<
    ReadonlyArray<KnownPeer>,
    PeersInvalid | ServerUnknown | ServerKeyWithdrawn
  >
  readonly serverName: string
  /** The keys of this side: those that `credentials` names. */
  readonly own: OwnKeys
  /** Receives the events of the connection. */
  readonly on: (event: ConnectionEvent) => Effect.Effect<void>
}

/**
 * Loads the keys that a connection needs. A server that known_peers lists is reached with an
 * identity, never with a shared key by accident.
 *
 * @example
 * const server = yield* ServerConnection.make({
 *   address: Address.tcp("mail.example", 8080),
 *   knownPeers: "./known_peers",
 *   identity: () => Effect.flatMap(KeyStore, (store) => store.load(Identity)),
 *   sharedKey: Effect.flatMap(KeyStore, (store) => store.load(SharedKey))
 * })
 */
export const make = <E, R>({
  address,
  knownPeers,
  peer,
  acceptNew = false,
  serverName = "",
  credentials,
  identity,
  sharedKey,
  on = () => Effect.void
}: Options<E, R>): Effect.Effect<ServerConnection, E | PeersInvalid, R> =>
  Effect.gen(function* () {
    const knownAddress = KnownPeers.addressOf(address)
    const isChosen = credentials !== undefined || peer !== undefined || acceptNew
    const pinned = isChosen ? undefined : yield* KnownPeers.find(knownPeers, knownAddress)
    const chosen = credentials ?? (isChosen || pinned !== undefined ? "identity" : "sharedKey")
    const own: OwnKeys =
      chosen === "sharedKey"
        ? { psk: yield* sharedKey }
        : {
            ...(chosen === "both" ? { psk: yield* sharedKey } : {}),
            identity: yield* identity(pinned)
          }
    return {
      address,
      knownAddress,
      knownPeers,
      credentials: chosen,
      expectedKeys:
        chosen === "sharedKey"
          ? Effect.succeed([])
          : KnownPeers.lookUp(knownPeers, { address: knownAddress, peer, acceptNew }),
      serverName,
      own,
      on
    }
  })

type PinError = PeersInvalid | PeersBusy | ServerKeyChanged | ServerKeyWithdrawn

/** The options of one attempt. */
export interface AttemptOptions extends Omit<Dial.DialOptions<PinError>, "keys"> {
  readonly keys: Dial.DialKeys<PinError>
}

/** Every reason for which no connection is made, beside those of the connection itself. */
export type ConnectError = PinError | ServerUnknown | HandshakeFailed

/**
 * Opens a connection and uses it. Tries the keys that known_peers has for the server, one after
 * the other, until a handshake succeeds; `use` runs at most once. An error of `use` is final,
 * because the server may have acted already.
 *
 * If no key fits, fails with `HandshakeFailed` of the first attempt, or with `ServerKeyChanged` or
 * `ServerKeyWithdrawn` if the server shows another key to a client without one.
 *
 * @example
 * yield* ServerConnection.connect(server, MessageClient.connect, (client) => client.send([text]))
 */
export const connect = <C, A, E1, E2>(
  server: ServerConnection,
  open: (
    options: AttemptOptions
  ) => Effect.Effect<C, HandshakeFailed | E1, Transport | Scope.Scope>,
  use: (opened: C) => Effect.Effect<A, E2>
): Effect.Effect<A, ConnectError | E1 | E2, Transport> =>
  Effect.gen(function* () {
    const [current, ...others] = yield* server.expectedKeys

    /** A failed handshake is a result: nothing was sent, and the next key may fit. */
    const attempt = (expected: KnownPeer | undefined) =>
      Effect.matchEffect(open(attemptOptions(server, expected)), {
        onSuccess: (opened) => Effect.map(use(opened), Either.right),
        onFailure: (error): Effect.Effect<Either.Either<A, HandshakeFailed>, E1> =>
          error instanceof HandshakeFailed ? Effect.succeed(Either.left(error)) : Effect.fail(error)
      }).pipe(Effect.scoped)

    const tryEach = Effect.gen(function* () {
      const first = yield* attempt(current)
      if (Either.isRight(first)) return first.right
      if (isOfEveryKey(first.left)) return yield* first.left
      // A server that is rotating its key has several.
      for (const other of others) {
        const next = yield* attempt(other)
        if (Either.isRight(next)) return next.right
      }
      return yield* first.left
    })
    return yield* Effect.catchIf(
      tryEach,
      (error): error is HandshakeFailed => error instanceof HandshakeFailed,
      (failed) =>
        current === undefined ? Effect.fail(failed) : diagnose(server, [current, ...others], failed)
    )
  })

const attemptOptions = (
  server: ServerConnection,
  expected: KnownPeer | undefined
): AttemptOptions => {
  const { address, knownAddress, knownPeers, on } = server
  return {
    address,
    keys: keysFor(server, expected),
    // Not before the server has proven its key: an attacker at the first contact could have its
    // own key written to the file and then disconnect.
    onProven: (publicKey) =>
      Effect.flatMap(KnownPeers.pin(knownPeers, knownAddress, publicKey), (pinned) =>
        on(ConnectionEvent.KeyPinned(pinned))
      ),
    onServerKeys: learnKeys(server, expected)
  }
}

/** The keys for a server of which `expected` is pinned; undefined at first contact. */
const keysFor = (
  { serverName, own, knownPeers, knownAddress }: ServerConnection,
  expected: KnownPeer | undefined
): Dial.DialKeys<PinError> => {
  if (own.identity === undefined) return { serverName, ...own }
  return expected === undefined
    ? {
        serverName,
        ...own,
        checkServer: (publicKey: Uint8Array) =>
          Effect.as(KnownPeers.checkPinnable(knownPeers, knownAddress, publicKey), true)
      }
    : { serverName, ...own, serverKey: expected.publicKey }
}

/** True for a failure that another key of the server would meet, too. */
const isOfEveryKey = ({ failure, transient }: HandshakeFailed): boolean =>
  transient || failure === "foreign"

/** A server that refuses a pinned key may have a new one: a client that pins none is shown it. */
const diagnose = (
  server: ServerConnection,
  expected: readonly [KnownPeer, ...ReadonlyArray<KnownPeer>],
  failed: HandshakeFailed
): Effect.Effect<
  never,
  HandshakeFailed | ServerKeyChanged | ServerKeyWithdrawn | PeersInvalid,
  Transport
> =>
  Effect.gen(function* () {
    if (isOfEveryKey(failed)) return yield* failed
    const shown = yield* Effect.either(showKey(server))
    const offered = Either.getOrUndefined(shown)
    const difference = yield* KnownPeers.difference(
      server.knownPeers,
      server.knownAddress,
      expected,
      offered
    )
    if (difference !== undefined) return yield* difference
    // It has the key that is expected, under the same server name.
    if (offered !== undefined)
      return yield* new HandshakeFailed({ ...failed, failure: "key refused" })
    // It answers a client without a key in a way that does not fit the server name.
    return yield* Either.isLeft(shown) &&
    shown.left instanceof HandshakeFailed &&
    shown.left.failure === "undecipherable"
      ? new HandshakeFailed({ ...failed, failure: "undecipherable" })
      : failed
  })

/** Asks the server for its key; undefined for a client with a shared key alone. */
const showKey = ({ address, serverName, own }: ServerConnection) =>
  own.identity === undefined
    ? Effect.succeed(undefined)
    : Dial.probe({ address, keys: { serverName, ...own } })

/**
 * An announcement counts for the address that was reached, if known_peers lists the server there.
 */
const learnKeys =
  (
    { knownAddress: address, knownPeers, on }: ServerConnection,
    expected: KnownPeer | undefined
  ): Dial.OnServerKeys =>
  (keys, shown) =>
    expected !== undefined && (expected.line === 0 || expected.address !== address)
      ? // A server that is not rotating its key announces the one that it has shown.
        keys.length === 1
        ? Effect.void
        : on(ConnectionEvent.AnnouncementIgnored({ address, keys: keys.length }))
      : KnownPeers.learn(knownPeers, address, shown, keys).pipe(
          Effect.flatMap((learned) =>
            learned === undefined
              ? Effect.void
              : Effect.zipRight(
                  isChanged(learned) ? on(ConnectionEvent.KeysLearned(learned)) : Effect.void,
                  learned.disputed.length > 0
                    ? on(ConnectionEvent.KeysDisputed(learned))
                    : Effect.void
                )
          ),
          // The server announces its keys again on the next connection.
          Effect.catchAll(({ message: reason }) =>
            on(ConnectionEvent.AnnouncementNotSaved({ address, reason }))
          )
        )

const isChanged = ({ added, retiring, retired, left }: KnownPeers.Learned): boolean =>
  added.length + retiring.length + retired.length + left > 0

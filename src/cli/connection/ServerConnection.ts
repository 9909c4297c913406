// How a command of a client reaches its server: by which keys, in which order, and what it says when none is the right one.
import { existsSync } from "node:fs"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { HandshakeFailed, type ServerKeyChanged } from "../../channel/ChannelErrors.ts"
import { suiteFor, type Suite } from "../../channel/Suite.ts"
import type { KeyLoadError } from "../../keys/KeyErrors.ts"
import { Identity, SharedKey, type KeyKind } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import type { PeersBusy } from "../../peers/PeerLock.ts"
import type { KnownPeer, PeersInvalid } from "../../peers/Peers.ts"
import * as Dial from "../../services/Dial.ts"
import type { Address } from "../../transports/Address.ts"
import type { Transport } from "../../transports/Transport.ts"
import * as KnownServer from "./KnownServer.ts"
import * as shared from "../arguments/options.ts"
import { Event } from "../output/events/index.ts"

export const options = {
  to: shared.address("to", "Where the server listens."),
  key: shared.sharedKey,
  identity: shared.identity,
  peer: Options.text("peer").pipe(
    Options.withPseudoName("KEY|NAME"),
    Options.optional,
    Options.withDescription(
      "The server's public key (sealwire1…), or its name in known_peers. Default: the one known for its address."
    )
  ),
  acceptNew: Options.boolean("accept-new").pipe(
    Options.withDescription(
      "At first contact take the key the server shows, and pin it for ever after."
    )
  ),
  name: shared.serverName
}

export interface Flags {
  readonly to: Address
  readonly key: Option.Option<string>
  readonly identity: Option.Option<string>
  readonly peer: Option.Option<string>
  readonly acceptNew: boolean
  readonly name: string
}

type PinError = PeersInvalid | PeersBusy | ServerKeyChanged | KnownServer.ServerKeyWithdrawn
type ReachError =
  | PinError
  | KeyLoadError
  | KnownServer.IdentityNeeded
  | KnownServer.ServerUnknown
  | HandshakeFailed

/** How one attempt connects. */
export type How = Dial.DialOptions<PinError, never>

/**
 * Connects by the keys that are known for the server at that moment, one after the other, until one is the right one; then uses the
 * connection, once. When none is, the error is that of the first, or says what the server shows instead.
 */
export const reach = <C, E1, E2>(
  { to, address, held, suite, lookUp, hint }: Prepared,
  tell: (event: Event) => Effect.Effect<void>,
  connect: (how: How) => Effect.Effect<C, HandshakeFailed | E1, Transport | Scope.Scope>,
  use: (connected: C) => Effect.Effect<void, E2>
): Effect.Effect<void, ReachError | E1 | E2, Transport> =>
  Effect.gen(function* () {
    const known = yield* lookUp
    const howTo = (expected: KnownPeer | undefined): How => ({
      address: to,
      keys: {
        ...held,
        suite: suite(expected !== undefined),
        ...(expected === undefined ? {} : { serverKey: expected.publicKey })
      },
      checkServer: (publicKey) => KnownServer.pinnable(address, publicKey),
      // Not before: whoever stands between at the first contact could put a key of its own into the file, and go.
      onProven: (publicKey) =>
        Effect.flatMap(KnownServer.pin(address, publicKey), (pinned) =>
          tell(Event.ServerPinned(pinned))
        ),
      onServerKeys: learn(address, expected, tell)
    })

    /** What the handshake failed with, when this is not the key: then nothing was sent. Undefined when all was done. */
    const attempt = (
      expected: KnownPeer | undefined
    ): Effect.Effect<HandshakeFailed | undefined, HandshakeFailed | E1 | E2, Transport> =>
      Effect.gen(function* () {
        const connected = yield* Effect.either(connect(howTo(expected)))
        if (connected._tag === "Right") yield* use(connected.right)
        else if (connected.left instanceof HandshakeFailed) return connected.left
        else return yield* Effect.fail(connected.left)
        return undefined
      }).pipe(Effect.scoped)

    const [current, ...others] = known
    const inTurn = Effect.gen(function* () {
      const failed = yield* attempt(current)
      if (failed === undefined) return
      // A server that changes its key has several.
      for (const other of others) if ((yield* attempt(other)) === undefined) return
      return yield* failed
    })

    // A known server that stays silent may have another key now; what it shows to a stranger tells.
    const diagnosed = (failed: HandshakeFailed) =>
      current === undefined
        ? failed
        : Dial.probe({ address: to, keys: { ...held, suite: suite(false) } }).pipe(
            Effect.catchAll(() => Effect.succeed(undefined)),
            Effect.flatMap((offered) =>
              KnownServer.difference(address, [current, ...others], offered)
            ),
            Effect.flatMap((difference) => Effect.fail(difference ?? failed))
          )
    yield* Effect.catchIf(
      inTurn,
      (error): error is HandshakeFailed => error instanceof HandshakeFailed,
      ({ peer, reason, transient = false }) =>
        diagnosed(new HandshakeFailed({ peer, reason, transient, ...hint }))
    )
  })

/** What this side holds: loaded once for all attempts, as a descriptor is read and a passphrase asked for once. */
export const prepare = ({ to, key, identity, peer, acceptNew, name }: Flags) =>
  Effect.gen(function* () {
    const address = KnownServer.addressOf(to)
    const asked = Option.isSome(identity) || Option.isSome(peer) || acceptNew
    // A server whose key is known is met by it, and not with whatever shared key lies about.
    const pinned = asked || Option.isSome(key) ? undefined : yield* KnownServer.pinned(address)
    const identities = asked || pinned !== undefined
    const secret = Option.isSome(key) || !identities
    const psk = secret
      ? yield* loaded(
          Option.getOrElse(key, () => shared.sharedKeyFile),
          SharedKey
        )
      : undefined
    const pair = identities
      ? yield* identityFor(shared.identityReference(identity), address, pinned)
      : undefined
    return {
      to,
      address,
      held: {
        serverName: name,
        ...(psk === undefined ? {} : { psk }),
        ...(pair === undefined ? {} : { identity: pair })
      },
      suite: (pinned: boolean) =>
        suiteFor({
          hasIdentities: identities,
          hasSharedKey: secret,
          hasServerKey: pinned
        }) as Suite,
      /** The keys that are known for the server, the current ones first. */
      lookUp: identities
        ? KnownServer.lookUp(address, Option.getOrUndefined(peer), acceptNew)
        : Effect.succeed([]),
      hint: secret ? { hint: likely(identities) } : {}
    }
  })

export type Prepared = Effect.Effect.Success<ReturnType<typeof prepare>>

/** The identity; where a pin alone asks for it, the error names both ways. */
const identityFor = (reference: string, address: string, pinned: KnownPeer | undefined) =>
  Effect.gen(function* () {
    const load = loaded(reference, Identity)
    if (pinned === undefined) return yield* load
    const where = KnownServer.whereOf(pinned)
    const pair = yield* Effect.catchTag(
      load,
      "KeyFileMissing",
      () => new KnownServer.IdentityNeeded({ address, where })
    )
    if (existsSync(shared.sharedKeyFile))
      yield* Effect.logDebug(
        `${address} is known by its own key (${where}), and ${shared.sharedKeyFile} is not used; --key ${shared.sharedKeyFile} uses it`
      )
    return pair
  })

const loaded = <Key>(reference: string, kind: KeyKind<Key>) =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
    Effect.provide(KeyStore.layerReference(reference))
  )

/** What the other side most likely has otherwise, the likeliest first. */
const likely = (identities: boolean): string =>
  "likely, in this order: it has another shared key; " +
  (identities
    ? "it wants none beside an identity, or does not know this identity; "
    : "it wants an identity and not a shared key (--identity); ") +
  "it was given another --name"

/** What the server says of its keys is for the address it was reached at, where known_peers says who is there. */
const learn =
  (
    address: string,
    expected: KnownPeer | undefined,
    tell: (event: Event) => Effect.Effect<void>
  ): Dial.OnServerKeys =>
  (keys, shown) =>
    expected !== undefined && (expected.line === 0 || expected.address !== address)
      ? Effect.logDebug(
          `${address} says that it has ${keys.length} keys; it is known by --peer, and nothing is changed`
        )
      : KnownServer.learn(address, shown, keys).pipe(
          Effect.flatMap((learned) =>
            learned === undefined ? Effect.void : tell(Event.ServerKeysLearned(learned))
          ),
          // The command goes its way; the server says it again the next time.
          Effect.catchAll(({ message }) =>
            Effect.logWarning(`what ${address} says of its keys was not written down: ${message}`)
          )
        )

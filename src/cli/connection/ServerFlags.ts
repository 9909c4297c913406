// The flags that name a server and the keys to connect with, and the hints that mention them.
import { shown } from "../../bytes/excerpt.ts"
import { existsSync } from "node:fs"
import * as Flag from "../arguments/Flag.ts"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { HandshakeFailed } from "../../channel/ChannelErrors.ts"
import type { HandshakeFailure } from "../../channel/HandshakeFailure.ts"
import type { KeyLoadError } from "../../keys/KeyErrors.ts"
import { Identity, SharedKey, type KeyKind } from "../../keys/KeyKind.ts"
import type { KeyPair } from "../../keys/KeyPair.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import * as KnownPeers from "../../peers/KnownPeers.ts"
import type { KnownPeer, PeersInvalid } from "../../peers/Peers.ts"
import * as ServerConnection from "../../services/ServerConnection.ts"
import * as Address from "../../transports/Address.ts"
import type { Transport } from "../../transports/Transport.ts"
import * as shared from "../arguments/options.ts"
import { Event } from "../output/events/index.ts"

export const options = Flag.grouped("Server and keys", {
  to: shared.address("to", "Address of the server."),
  key: shared.sharedKey,
  identity: shared.identity,
  peer: Flag.text("peer").pipe(
    Flag.completing("server"),
    Flag.withValue("KEY|NAME"),
    Flag.optional,
    Flag.withDescription(
      "The server's public key (sealwire1…), or its name in known_peers.",
      "the key pinned for its address"
    )
  ),
  acceptNew: Flag.boolean("accept-new").pipe(
    Flag.excluding(["--peer"], "the key of --peer is the only one that is accepted"),
    Flag.withDescription(
      "Pin the key that the server presents at first contact (as ssh StrictHostKeyChecking=accept-new)."
    )
  ),
  serverName: shared.serverName
})

export interface Flags {
  readonly to: Address.Address
  readonly key: Option.Option<string>
  readonly identity: Option.Option<string>
  readonly peer: Option.Option<string>
  readonly acceptNew: boolean
  readonly serverName: string
}

/** known_peers has the server's key, and this user has no identity to authenticate with. */
export class IdentityNeeded extends Data.TaggedError("IdentityNeeded")<{
  readonly address: string
  /** File and line of the server's key. */
  readonly where: string
}> {
  override get message(): string {
    return (
      `${shown(this.address)} is pinned in ${shown(this.where)}, and there is no identity at ${shared.identityFile()}; ` +
      `create one with sealwire keygen identity and add sealwire pubkey to the server's authorized_peers, ` +
      `or use the shared key: --key ${shared.sharedKeyFile}`
    )
  }
}

/** The file of the servers that this user knows. */
export const knownPeersFile = (): string => shared.configPath("known_peers")

/**
 * Loads the keys that the flags name: once for all attempts, because a descriptor can be read once
 * and a passphrase is asked for once.
 */
export const prepare = (
  { to, key, identity, peer, acceptNew, serverName }: Flags,
  emit: (event: Event) => Effect.Effect<void>
): Effect.Effect<
  ServerConnection.ServerConnection,
  KeyLoadError | IdentityNeeded | PeersInvalid
> => {
  const isIdentityUsed = Option.isSome(identity) || Option.isSome(peer) || acceptNew
  const given = isIdentityUsed ? "identity" : undefined
  const credentials = Option.isNone(key) ? given : isIdentityUsed ? "both" : "sharedKey"
  return ServerConnection.make<KeyLoadError | IdentityNeeded, never>({
    address: to,
    // A shared key alone authenticates both sides: no server is looked up.
    knownPeers: credentials === "sharedKey" ? "" : knownPeersFile(),
    peer: Option.getOrUndefined(peer),
    acceptNew,
    serverName,
    credentials,
    identity: (pinned) =>
      identityFor(shared.identityReference(identity), KnownPeers.addressOf(to), pinned),
    sharedKey: load(
      Option.getOrElse(key, () => shared.sharedKeyFile),
      SharedKey
    ),
    on: ServerConnection.ConnectionEvent.$match({
      KeyPinned: (pinned) => emit(Event.ServerPinned(pinned)),
      KeysLearned: (learned) => emit(Event.ServerKeysLearned(learned)),
      KeysDisputed: ({ address, name, disputed, file }) =>
        Effect.logWarning(
          `${name} (${address}) showed a key that retires, and announced its keys without ` +
            `${disputed.map(({ publicKey }) => PublicKey.fingerprint(publicKey)).join(", ")}, valid in ${file}: ` +
            "a key of the server may be stolen. Compare with sealwire pubkey on the server, and revoke the wrong one"
        ),
      AnnouncementIgnored: ({ address, keys }) =>
        Effect.logDebug(
          `${address} announced ${keys} keys; its key was given with --peer, and known_peers is unchanged`
        ),
      AnnouncementNotSaved: ({ address, reason }) =>
        Effect.logWarning(`the keys that ${address} announced were not saved: ${reason}`)
    })
  })
}

/** Connects as the library does; a failed handshake gets a hint with the flags to look at. */
export const connect = <C, A, E1, E2>(
  server: ServerConnection.ServerConnection,
  open: (
    options: ServerConnection.AttemptOptions
  ) => Effect.Effect<C, HandshakeFailed | E1, Transport | Scope.Scope>,
  use: (opened: C) => Effect.Effect<A, E2>
): Effect.Effect<A, ServerConnection.ConnectError | E1 | E2, Transport> =>
  Effect.mapError(ServerConnection.connect(server, open, use), (error) =>
    error instanceof HandshakeFailed ? withHint(error, server) : error
  )

const withHint = (
  error: HandshakeFailed,
  server: ServerConnection.ServerConnection
): HandshakeFailed => {
  const causes = error.failure === undefined ? [] : (probableCauses[error.failure]?.(server) ?? [])
  return causes.length === 0
    ? error
    : new HandshakeFailed({
        ...error,
        hint: `its log has the reason; probable causes: ${causes.join("; ")}`
      })
}

/** The probable causes of a failure, the most probable first, with the flags to look at. */
const probableCauses: Partial<
  Record<HandshakeFailure, (server: ServerConnection.ServerConnection) => ReadonlyArray<string>>
> = {
  refused: (server) => [...ofKeys(server), "it has another --server-name"],
  "key refused": (server) => ofKeys(server),
  undecipherable: ({ credentials }) => [
    "it has another --server-name",
    ...(credentials === "identity" ? [] : ["it has another shared key"])
  ]
}

const ofKeys = ({
  credentials,
  own: { identity }
}: ServerConnection.ServerConnection): ReadonlyArray<string> => [
  ...(credentials === "identity" ? [] : ["it has another shared key"]),
  ...(identity === undefined
    ? ["it requires an identity (--identity) instead of a shared key"]
    : [
        `it does not authorize your key ${PublicKey.fingerprint(identity.publicKey)}, or not from here ` +
          `(there: sealwire peers add NAME ${PublicKey.encode(identity.publicKey)})`,
        credentials === "both"
          ? "it requires no shared key with an identity"
          : "it requires a shared key as well (--key)"
      ])
]

/** Loads the identity. If only a pinned key requires it, the error names both remedies. */
const identityFor = (
  reference: string,
  address: string,
  pinned: KnownPeer | undefined
): Effect.Effect<KeyPair, KeyLoadError | IdentityNeeded> =>
  Effect.gen(function* () {
    if (pinned === undefined) return yield* load(reference, Identity)
    const where = KnownPeers.sourceOf(knownPeersFile(), pinned)
    const pair = yield* Effect.catchTag(
      load(reference, Identity),
      "KeyFileMissing",
      () => new IdentityNeeded({ address, where })
    )
    if (existsSync(shared.sharedKeyFile))
      yield* Effect.logDebug(
        `${address} is pinned in ${where}, so ${shared.sharedKeyFile} is not used; --key ${shared.sharedKeyFile} uses it`
      )
    return pair
  })

const load = <Key>(reference: string, kind: KeyKind<Key>): Effect.Effect<Key, KeyLoadError> =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
    Effect.provide(KeyStore.layerReference(reference))
  )

// The keys of a client, from a KeyStore, and how the client authenticates the server with them.
import * as Effect from "effect/Effect"
import type {
  CheckServer,
  PinnedServer,
  SharedKeyOnly,
  UnpinnedServer
} from "../channel/ClientKeys.ts"
import type { KeyLoadError } from "../keys/KeyErrors.ts"
import * as KeyKind from "../keys/KeyKind.ts"
import { KeyStore } from "../keys/KeyStore.ts"

/** Credentials that a KeyStore has part of. */
export type Credentials<Keys, E = never, R = never> = Effect.Effect<
  Keys,
  KeyLoadError | E,
  KeyStore | R
>

const load = <Key>(kind: KeyKind.KeyKind<Key>) =>
  Effect.flatMap(KeyStore, (store) => store.load(kind))

/**
 * The shared key of the KeyStore, which authenticates both sides. Suite NNpsk0.
 *
 * @example
 * const ClientLive = MessageClient.layer({ address, keys: Credentials.sharedKey })
 * Layer.provide(ClientLive, KeyStore.layerEnv("SEALWIRE_KEY"))
 */
export const sharedKey: Credentials<SharedKeyOnly> = Effect.map(load(KeyKind.SharedKey), (psk) => ({
  psk
}))

/** The identity of the KeyStore, for a server whose public key is known, 32 bytes. Suite IK. */
export const pinned = (serverKey: Uint8Array): Credentials<PinnedServer> =>
  Effect.map(load(KeyKind.Identity), (identity) => ({ identity, serverKey }))

/**
 * The identity of the KeyStore, for a server that is not known yet: `checkServer` decides about the
 * public key that it shows. Suite XX. `ServerConnection` keeps such keys in a known_peers file.
 */
export const firstContact = <E = never, R = never>(
  checkServer: CheckServer<E, R>
): Credentials<UnpinnedServer<E, R>> =>
  Effect.map(load(KeyKind.Identity), (identity) => ({ identity, checkServer }))

/** Adds the shared key of the KeyStore, which both sides must then prove too. IKpsk2 and XXpsk3. */
export const withSharedKey = <Keys extends PinnedServer | UnpinnedServer<never, never>, E, R>(
  credentials: Credentials<Keys, E, R>
): Credentials<Keys, E, R> =>
  Effect.zipWith(credentials, load(KeyKind.SharedKey), (keys, psk) => ({ ...keys, psk }))

// The keys of a server: which suites follow from them, which cannot be used, and where they come
// from.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { ServerKeys, Verdict } from "../channel/HandshakeKeys.ts"
import { limits } from "../channel/limits.ts"
import { sharedKeyError } from "../channel/sharedKey.ts"
import { credentialsOf, suiteFor, type Suite } from "../channel/Suite.ts"
import type { KeyLoadError } from "../keys/KeyErrors.ts"
import * as KeyKind from "../keys/KeyKind.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import type { SessionFailure } from "./Service.ts"

/** A long-term key of this server. */
export interface Identity extends KeyPair {
  /** Time from which on the server does not use it, in milliseconds since 1970. */
  readonly retires?: number
}

/** The keys of this server, and the clients that it authorizes. */
export interface Keys<R = never> extends Partial<
  Omit<ServerKeys, "application" | "identities" | "authorize" | "suites">
> {
  /**
   * The current identity first, then the next and the retiring ones. Clients with an identity are
   * told all of them. At most `limits.identities` of the channel.
   */
  readonly identities?: ReadonlyArray<Identity>
  /**
   * The suites that the server accepts. Default: those that need every key here. NNpsk0 for shared
   * keys, IK and XX for identities, IKpsk2 and XXpsk3 for both.
   */
  readonly suites?: ReadonlyArray<Suite>
  /**
   * Looks up the client with this public key at this address: its name, or the reason, for the log,
   * why it is not authorized. An effect may ask a database; its error refuses the client. In suite
   * XXpsk3 an effect cannot select a shared key. Default: no public key is authorized.
   */
  readonly authorize?: (
    publicKey: Uint8Array,
    address: string
  ) => Verdict | Effect.Effect<Verdict, SessionFailure, R>
}

/** The keys of a server cannot be used. It does not listen. */
export class ServerKeysInvalid extends Data.TaggedError("ServerKeysInvalid")<{
  /** The cause and the next step, as one clause. */
  readonly detail: string
}> {
  override get message(): string {
    return `the server's keys cannot be used: ${this.detail}`
  }
}

/** The keys with every default. */
export type CompleteKeys = Omit<ServerKeys, "application" | "identities"> &
  Required<Pick<Keys, "identities">>

/** Returns the keys with their defaults; fails if a handshake with them could not succeed. */
export const complete = <R>(keys: Keys<R>): Effect.Effect<CompleteKeys, ServerKeysInvalid, R> =>
  Effect.gen(function* () {
    const { psks = [], identities = [], serverName = "", authorize = acceptsNoKey } = keys
    const suites = keys.suites ?? suitesOf(identities.length > 0, psks.length > 0)
    const detail = fault({ ...keys, suites })
    if (detail !== undefined) return yield* new ServerKeysInvalid({ detail })
    const runtime = yield* Effect.runtime<R>()
    return {
      ...keys,
      serverName,
      suites,
      identities,
      authorize: (publicKey, address) => {
        const verdict = authorize(publicKey, address)
        return Effect.isEffect(verdict) ? Effect.provide(orRefused(verdict), runtime) : verdict
      }
    }
  })

const acceptsNoKey = (): Verdict => "this server accepts no public keys"

const orRefused = <R>(
  lookUp: Effect.Effect<Verdict, SessionFailure, R>
): Effect.Effect<Verdict, never, R> =>
  Effect.catchAll(lookUp, ({ message }) =>
    Effect.succeed(`its authorization could not be decided: ${message}`)
  )

const suitesOf = (hasIdentity: boolean, hasSharedKey: boolean): ReadonlyArray<Suite> =>
  hasIdentity || hasSharedKey
    ? [
        ...new Set(
          [true, false].map((hasServerKey) =>
            suiteFor(credentialsOf(hasIdentity, hasSharedKey), hasServerKey)
          )
        )
      ]
    : []

const fault = ({
  psks = [],
  identities = [],
  suites
}: Pick<Keys, "psks" | "identities"> & Required<Pick<Keys, "suites">>): string | undefined => {
  if (psks.length === 0 && identities.length === 0)
    return "there are none; give psks, identities, or both"
  if (suites.length === 0) return "no suite is accepted; leave suites out, or name one"
  for (const { name, hasIdentities, hasSharedKey } of suites) {
    if (hasIdentities && identities.length === 0) return `suite ${name} needs an identity`
    if (hasSharedKey && psks.length === 0) return `suite ${name} needs a shared key`
  }
  if (psks.length > limits.sharedKeys)
    return `${psks.length} shared keys; the limit is ${limits.sharedKeys}`
  if (identities.length > limits.identities)
    return `${identities.length} identities; the limit is ${limits.identities}`
  return psks.map(({ secret }) => sharedKeyError(secret)).find((error) => error !== undefined)
}

/**
 * The shared key of the KeyStore, for suite NNpsk0: whoever has it is a client.
 *
 * @example
 * const ServerLive = Server.layer({ address, keys: Server.sharedKey, services })
 * Layer.provide(ServerLive, KeyStore.layerEnv("SEALWIRE_KEY"))
 */
export const sharedKey: Effect.Effect<Keys, KeyLoadError, KeyStore> = Effect.map(
  Effect.flatMap(KeyStore, (store) => store.load(KeyKind.SharedKey)),
  (secret) => ({ psks: [{ secret }] })
)

/**
 * The identity of the KeyStore, for suites IK and XX: `authorize` decides about the public key of
 * each client.
 *
 * @example
 * const peers = yield* PeerReload.follow("./authorized_peers", ruleOptions())
 * const ServerLive = Server.layer({ address, keys: Server.identity(peers), peers, services })
 */
export const identity = <R = never>({
  authorize
}: Required<Pick<Keys<R>, "authorize">>): Effect.Effect<Keys<R>, KeyLoadError, KeyStore> =>
  Effect.map(
    Effect.flatMap(KeyStore, (store) => store.load(KeyKind.Identity)),
    (pair) => ({ identities: [pair], authorize })
  )

/** Requires the shared key of the KeyStore as well, for suites IKpsk2 and XXpsk3. */
export const withSharedKey = <E, R, R2>(
  keys: Effect.Effect<Keys<R2>, E, R>
): Effect.Effect<Keys<R2>, E | KeyLoadError, R | KeyStore> =>
  Effect.zipWith(keys, sharedKey, (one, { psks = [] }) => ({ ...one, psks }))

// The keys of a client, in the combinations that authenticate the server. The suite follows from
// the combination, so that none can be chosen in which the server stays unchecked.
import type { Secret } from "../bytes/Secret.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import type { InitiatorKeys, PrologueFields } from "./HandshakeKeys.ts"
import type { CheckServer } from "./serverCheck.ts"
import { keyBytes, sharedKeyError } from "./sharedKey.ts"
import { credentialsOf, pairingSuite, suiteFor } from "./Suite.ts"

export type { CheckServer }

/** Both sides hold one shared key. Suite NNpsk0. */
export interface SharedKeyOnly {
  readonly psk: Secret
  readonly identity?: never
  readonly serverKey?: never
  readonly checkServer?: never
  readonly code?: never
}

/** The client has the server's public key. Suite IK; with a shared key as well, IKpsk2. */
export interface PinnedServer {
  readonly identity: KeyPair
  /** The server's public key, 32 bytes. A server without its private key is refused. */
  readonly serverKey: Uint8Array
  readonly psk?: Secret
  readonly checkServer?: never
  readonly code?: never
}

/**
 * The client learns the server's public key in the handshake. Suite XX; with a shared key as well,
 * XXpsk3. `ServerConnection` pins such keys in a known_peers file.
 */
export interface UnpinnedServer<E = never, R = never> {
  readonly identity: KeyPair
  /** Decides about the key that the server shows. Without it anybody would be accepted. */
  readonly checkServer: CheckServer<E, R>
  readonly psk?: Secret
  readonly serverKey?: never
  readonly code?: never
}

/** Both sides hold the key of a pairing code. Suite XXpsk0; `Pairing.join` uses it. */
export interface PairingCode {
  readonly identity: KeyPair
  readonly code: Secret
  readonly psk?: never
  readonly serverKey?: never
  readonly checkServer?: never
}

/** The keys with which a client and a server authenticate each other. */
export type ServerCredentials<E = never, R = never> =
  | SharedKeyOnly
  | PinnedServer
  | UnpinnedServer<E, R>

/** The keys of a client. */
export type ClientKeys<E = never, R = never> = PrologueFields &
  (ServerCredentials<E, R> | PairingCode)

/** The members of any combination, for a caller without types. */
interface AnyKeys {
  readonly psk?: Secret | undefined
  readonly identity?: KeyPair | undefined
  readonly serverKey?: Uint8Array | undefined
  readonly checkServer?: CheckServer<unknown, unknown> | undefined
  readonly code?: Secret | undefined
}

/** Members that cannot be combined: one of them would silently have no effect. */
const exclusive: ReadonlyArray<readonly [keyof AnyKeys, keyof AnyKeys, why: string]> = [
  ["serverKey", "checkServer", "the server's key is known, and there is nothing to check"],
  ["code", "serverKey", "the code authenticates the server"],
  ["code", "checkServer", "the code authenticates the server"],
  ["code", "psk", "the code is the shared key"]
]

/**
 * Returns the keys of the handshake, with the suite. Throws a TypeError for a combination that
 * authenticates no server, which a caller without types can pass.
 */
export const initiatorKeysOf = (keys: ClientKeys<unknown, unknown>): InitiatorKeys => {
  const { serverName, application } = keys
  const given: AnyKeys = keys
  const { psk, identity, serverKey, checkServer, code } = given
  if (identity === undefined && psk === undefined)
    throw new TypeError("the client has no key: give a psk, or an identity and the serverKey")
  if (identity === undefined && (serverKey ?? checkServer ?? code) !== undefined)
    throw new TypeError("serverKey, checkServer and code need an identity")
  for (const [one, other, why] of exclusive)
    if (given[one] !== undefined && given[other] !== undefined)
      throw new TypeError(`give ${one} or ${other}, not both: ${why}`)
  if (serverKey !== undefined && serverKey.length !== keyBytes)
    throw new TypeError(`the serverKey must have ${keyBytes} bytes`)
  if (serverKey?.every((byte) => byte === 0) === true)
    throw new TypeError("the serverKey is all zeros")
  if (
    identity !== undefined &&
    serverKey === undefined &&
    code === undefined &&
    typeof checkServer !== "function"
  )
    throw new TypeError(
      "nothing authenticates the server: give its public key (serverKey), or a function that checks the key it shows (checkServer)"
    )
  const shared = code ?? psk
  const invalid = shared === undefined ? undefined : sharedKeyError(shared)
  if (invalid !== undefined) throw new TypeError(invalid)
  return {
    serverName,
    application,
    suite:
      code === undefined
        ? suiteFor(
            credentialsOf(identity !== undefined, psk !== undefined),
            serverKey !== undefined
          )
        : pairingSuite,
    ...(shared === undefined ? {} : { psk: shared }),
    ...(identity === undefined ? {} : { identity }),
    ...(serverKey === undefined ? {} : { serverKey })
  }
}

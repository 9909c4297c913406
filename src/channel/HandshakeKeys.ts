// The keys that a client and a server bring to a handshake.
import type * as Effect from "effect/Effect"
import type { Secret } from "../bytes/Secret.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import type { Suite } from "./Suite.ts"

/** The fields of the Noise prologue that both sides must configure equally. They are never sent. */
export interface PrologueFields {
  /** The server's name; "" unless both sides are configured with one. */
  readonly serverName: string
  /** The application protocol: "sealwire/1". */
  readonly application: string
}

/** The keys of a client for a suite. */
export interface InitiatorKeys extends PrologueFields {
  readonly suite: Suite
  readonly psk?: Secret
  readonly identity?: KeyPair
  /** The server's public key, in suites where the client must have it. */
  readonly serverKey?: Uint8Array
}

/** A shared key and, on a server with several, its name. */
export interface NamedSharedKey {
  readonly name?: string
  readonly secret: Secret
}

/** A client that the server authorizes. */
export interface AuthorizedClient {
  /** The client's name on this server. */
  readonly name: string
  /** The name of the shared key that the client must also have. Default: the first shared key. */
  readonly sharedKey?: string
}

/** The keys of a server, and its list of clients. */
export interface ServerKeys extends PrologueFields {
  /** The suites that this server accepts. */
  readonly suites: ReadonlyArray<Suite>
  /** The shared keys, in the order in which they are tried; at most `limits.sharedKeys`. */
  readonly psks?: ReadonlyArray<NamedSharedKey>
  /** The server's long-term keys, the one that it presents first; at most `limits.identities`. */
  readonly identities?: ReadonlyArray<KeyPair>
  /**
   * Called when a valid hello and a whole message 1 have arrived. Returns the reason to reject the
   * attempt, for the log.
   */
  readonly admit?: () => string | undefined
  /**
   * Looks up the client with this public key at this address, or returns an effect that does.
   * Returns the reason when it is not authorized, for the log. In suite XXpsk3 an effect cannot
   * select a shared key: a client with another than the first is refused.
   */
  readonly authorize: (publicKey: Uint8Array, address: string) => Verdict | Effect.Effect<Verdict>
}

/** The client that has a public key, or the reason why none is authorized. */
export type Verdict = AuthorizedClient | string

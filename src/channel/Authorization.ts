import * as Effect from "effect/Effect"
import type { Psk } from "../noise/HandshakeState.ts"
import type { AuthorizedClient, NamedSharedKey, ServerKeys, Verdict } from "./HandshakeKeys.ts"
import { LookUp } from "./HandshakeDriver.ts"
import type { Suite } from "./Suite.ts"

/**
 * Decides whether a server authorizes the client of one handshake, and which shared key that client
 * must prove.
 */
export class Authorization {
  readonly #suite: Suite
  readonly #keys: ServerKeys
  readonly #address: string
  /** The shared key that the handshake has used, if it has used one of a client. */
  #used: NamedSharedKey | undefined
  /** The client, once it is authorized. */
  client: AuthorizedClient | undefined

  constructor(suite: Suite, keys: ServerKeys, address: string) {
    this.#suite = suite
    this.#keys = keys
    this.#address = address
  }

  /** Looks up the client with a public key. Returns the reason when it is not authorized. */
  *decide(publicKey: Uint8Array): Generator<LookUp<unknown>, string | undefined, Uint8Array> {
    const verdict = this.#keys.authorize(publicKey, this.#address)
    if (!Effect.isEffect(verdict)) return this.#accept(verdict)
    const lookUp = new LookUp(verdict)
    yield lookUp
    return this.#accept(lookUp.result ?? "its look-up gave no result")
  }

  #accept(verdict: Verdict): string | undefined {
    if (typeof verdict === "string") return verdict
    this.client = verdict
    const { sharedKey } = verdict
    if (sharedKey === undefined) return undefined
    if (!this.#keys.psks?.some(({ name }) => name === sharedKey))
      return `it needs the shared key ${sharedKey}, which this server does not have`
    if (!this.#suite.hasSharedKey) return `it needs the shared key ${sharedKey} as well`
    return this.#used === undefined || this.#used.name === sharedKey
      ? undefined
      : `it needs the shared key ${sharedKey}, and has proven another`
  }

  /**
   * Selects the shared key of the client with a public key. An unauthorized client gets the first
   * one, so that the handshake continues as for others; `decide` rejects it afterwards.
   */
  readonly selectSharedKey: Psk = (publicKey) => {
    const { psks = [], authorize } = this.#keys
    const verdict = this.client ?? authorize(publicKey, this.#address)
    const wanted =
      typeof verdict === "string" || Effect.isEffect(verdict) ? undefined : verdict.sharedKey
    this.#used =
      psks.find(({ name }) => wanted !== undefined && name === wanted) ??
      (psks[0] as NamedSharedKey)
    return this.#used.secret
  }
}

import type { KeyObject } from "node:crypto"
import type { Secret } from "../bytes/Secret.ts"
import { generate, importPublic, type KeyPair } from "../keys/KeyPair.ts"
import { maxMessageBytes, tagLen, type CipherState } from "./CipherState.ts"
import { dh, dhLen, staticDh } from "./Dh.ts"
import type { Token } from "./Pattern.ts"
import type { Protocol } from "./Protocol.ts"
import { isNoiseError, type NoiseError } from "./NoiseError.ts"
import { SymmetricState } from "./SymmetricState.ts"

/** A pre-shared key of 32 bytes, or a function that selects one by the peer's static public key. */
export type Psk = Secret | ((remoteStatic: Uint8Array) => Secret)

/** The arguments of Initialize(). Section 5.3. */
export interface HandshakeOptions {
  readonly protocol: Protocol
  readonly initiator: boolean
  readonly prologue: Uint8Array
  /** The local static key pair, if the pattern uses one. */
  readonly s?: KeyPair
  /** The remote static public key, if it is a pre-message of the pattern. */
  readonly rs?: Uint8Array
  /** Pre-shared keys, in the order of their tokens. Section 9. */
  readonly psks?: ReadonlyArray<Psk>
  /** The local ephemeral key pair, for test vectors. It must never be used twice. */
  readonly e?: KeyPair
}

/** The two cipher states of transport messages, the results of Split(). */
export interface TransportKeys {
  readonly send: CipherState
  readonly receive: CipherState
}

/**
 * HandshakeState, section 5.3. Each side calls `writeMessage` and `readMessage` alternately until
 * `finished` is true, then `split`. After an error every further call fails. The constructor throws
 * when a key that the pattern requires is missing, which is a bug of the caller.
 */
export class HandshakeState {
  readonly #symmetric: SymmetricState
  readonly #protocol: Protocol
  readonly #initiator: boolean
  readonly #s: KeyPair | undefined
  #e: KeyPair | undefined
  #rs: Uint8Array | undefined
  #re: Uint8Array | undefined
  /** rs and re, imported at their first use: each takes part in two DHs. */
  #importedRs: KeyObject | undefined
  #importedRe: KeyObject | undefined
  readonly #psks: Array<Psk>
  /** Index of the next message. */
  #messageIndex = 0
  #ended = false

  constructor({ protocol, initiator, prologue, s, rs, psks = [], e }: HandshakeOptions) {
    this.#protocol = protocol
    this.#initiator = initiator
    this.#s = s
    this.#rs = rs
    this.#e = e
    this.#psks = [...psks]
    this.#checkKeys()
    this.#symmetric = new SymmetricState(protocol.name)
    this.#symmetric.mixHash(prologue)
    // Pre-messages: on both sides the initiator's public key is hashed first. Section 5.3.
    const { initiatorPre, responderPre } = protocol.pattern
    const [initiatorS, responderS] = initiator ? [s?.publicKey, rs] : [rs, s?.publicKey]
    if (initiatorPre.length > 0) this.#symmetric.mixHash(initiatorS as Uint8Array)
    if (responderPre.length > 0) this.#symmetric.mixHash(responderS as Uint8Array)
  }

  /** True when every message of the pattern has been written or read. */
  get finished(): boolean {
    return !this.#ended && this.#messageIndex === this.#protocol.pattern.messages.length
  }

  /** True when this side writes the next message. */
  get myTurn(): boolean {
    return !this.finished && (this.#messageIndex % 2 === 0) === this.#initiator
  }

  /** rs: the peer's static public key, once known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#rs
  }

  /** s.public_key: the local static public key, if the pattern uses one. */
  get localStatic(): Uint8Array | undefined {
    return this.#s?.publicKey
  }

  /** e: the local ephemeral key pair, once generated. For proofs bound to this handshake. */
  get localEphemeral(): KeyPair | undefined {
    return this.#e
  }

  /** re: the remote ephemeral public key, once known. */
  get remoteEphemeral(): Uint8Array | undefined {
    return this.#re
  }

  /** h: equal on both sides, and unique to this handshake. For channel binding. Section 11.2. */
  get handshakeHash(): Uint8Array {
    return this.#symmetric.handshakeHash
  }

  /** WriteMessage(payload): returns the message, at most 65,535 bytes. */
  writeMessage(payload: Uint8Array): Uint8Array | NoiseError {
    const tokens = this.#tokens(true)
    if (typeof tokens === "string") return tokens
    const parts: Array<Uint8Array> = []
    for (const token of tokens) {
      const part = this.#writeToken(token)
      if (isNoiseError(part)) return this.#end(part)
      parts.push(part)
    }
    const ciphertext = this.#symmetric.encryptAndHash(payload)
    if (isNoiseError(ciphertext)) return this.#end(ciphertext)
    const message = Buffer.concat([...parts, ciphertext])
    return message.length > maxMessageBytes ? this.#end("too long") : message
  }

  /** ReadMessage(message): returns the payload. */
  readMessage(message: Uint8Array): Uint8Array | NoiseError {
    const tokens = this.#tokens(false)
    if (typeof tokens === "string") return tokens
    if (message.length > maxMessageBytes) return this.#end("too long")
    let rest = message
    for (const token of tokens) {
      const length =
        token === "e" ? dhLen : token === "s" ? dhLen + (this.#symmetric.hasKey ? tagLen : 0) : 0
      if (rest.length < length) return this.#end("too short")
      const error = this.#readToken(token, rest.subarray(0, length))
      if (error !== undefined) return this.#end(error)
      rest = rest.subarray(length)
    }
    const payload = this.#symmetric.decryptAndHash(rest)
    return isNoiseError(payload) ? this.#end(payload) : payload
  }

  /** Split(), once, after the last message. In a one-way pattern only the initiator uses `send`. */
  split(): TransportKeys | NoiseError {
    if (!this.finished) return "out of turn"
    this.#ended = true
    const [first, second] = this.#symmetric.split()
    return this.#initiator ? { send: first, receive: second } : { send: second, receive: first }
  }

  /**
   * Returns the tokens of the next message; "out of turn" unless this side is to write or read it.
   */
  #tokens(writing: boolean): ReadonlyArray<Token> | NoiseError {
    const tokens = this.#protocol.pattern.messages[this.#messageIndex]
    if (this.#ended || tokens === undefined || this.myTurn !== writing)
      return this.#end("out of turn")
    this.#messageIndex++
    return tokens
  }

  #writeToken(token: Token): Uint8Array | NoiseError {
    if (token === "e") {
      this.#e ??= generate()
      this.#mixEphemeral(this.#e.publicKey)
      return this.#e.publicKey
    }
    if (token === "s") return this.#symmetric.encryptAndHash((this.#s as KeyPair).publicKey)
    return this.#mixToken(token) ?? empty
  }

  #readToken(token: Token, bytes: Uint8Array): NoiseError | undefined {
    if (token === "e") {
      this.#re = Buffer.from(bytes)
      this.#mixEphemeral(this.#re)
      return undefined
    }
    if (token === "s") {
      const rs = this.#symmetric.decryptAndHash(bytes)
      if (isNoiseError(rs)) return rs
      this.#rs = Buffer.from(rs)
      return undefined
    }
    return this.#mixToken(token)
  }

  /** MixHash(e); in a pattern with a psk also MixKey(e). Section 9.2. */
  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey)
    if (this.#protocol.psks > 0) this.#symmetric.mixKey(publicKey)
  }

  #mixToken(token: Exclude<Token, "e" | "s">): NoiseError | undefined {
    if (token === "psk") {
      const psk = this.#psks.shift() as Psk
      this.#symmetric.mixKeyAndHash(
        (typeof psk === "function" ? psk(this.#rs as Uint8Array) : psk).expose()
      )
      return undefined
    }
    // The first letter names the initiator's key, the second the responder's. Section 7.1.
    const [localKey, remoteKey] = this.#initiator ? token : [token[1], token[0]]
    const local = localKey === "e" ? this.#e : this.#s
    const shared =
      token === "ss"
        ? staticDh(this.#s as KeyPair, this.#rs as Uint8Array, this.#remote("s"))
        : dh(local as KeyPair, this.#remote(remoteKey as "e" | "s"))
    if (isNoiseError(shared)) return shared
    this.#symmetric.mixKey(shared)
    return undefined
  }

  #remote(key: "e" | "s"): KeyObject {
    return key === "e"
      ? (this.#importedRe ??= importPublic(this.#re as Uint8Array))
      : (this.#importedRs ??= importPublic(this.#rs as Uint8Array))
  }

  #end(error: NoiseError): NoiseError {
    this.#ended = true
    return error
  }

  /** Throws a TypeError when a key that the pattern requires of this side is missing. */
  #checkKeys(): void {
    const { pattern, name, psks } = this.#protocol
    const written = pattern.messages.filter((_, index) => (index % 2 === 0) === this.#initiator)
    const [localPre, remotePre] = this.#initiator
      ? [pattern.initiatorPre, pattern.responderPre]
      : [pattern.responderPre, pattern.initiatorPre]
    if (
      this.#s === undefined &&
      (localPre.length > 0 || written.some((tokens) => tokens.includes("s")))
    )
      throw new TypeError(`${name} needs a local static key`)
    if (remotePre.length > 0 && this.#rs?.length !== dhLen)
      throw new TypeError(`${name} needs the remote static key, of 32 bytes`)
    if (
      this.#psks.length !== psks ||
      this.#psks.some((psk) => typeof psk !== "function" && psk.length !== 32)
    )
      throw new TypeError(`${name} needs ${psks} pre-shared keys of 32 bytes`)
  }
}

const empty = new Uint8Array(0)

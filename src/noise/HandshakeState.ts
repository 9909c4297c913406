import type { Secret } from "../bytes/Secret.ts"
import { generate, type KeyPair } from "../keys/KeyPair.ts"
import { maxMessageBytes, tagLen, type CipherState } from "./CipherState.ts"
import { dh, dhLen } from "./Dh.ts"
import type { Token } from "./Pattern.ts"
import type { Protocol } from "./Protocol.ts"
import { isNoiseError, type NoiseError } from "./NoiseError.ts"
import { SymmetricState } from "./SymmetricState.ts"

/** A pre-shared key of 32 bytes; or, where it depends on who the peer is, the one for that static public key. */
export type Psk = Secret | ((remoteStatic: Uint8Array) => Secret)

/** What one side brings. Section 5.3, Initialize(). */
export interface HandshakeOptions {
  readonly protocol: Protocol
  readonly initiator: boolean
  readonly prologue: Uint8Array
  /** The local static key pair, where the pattern has one. */
  readonly s?: KeyPair
  /** The remote static public key, where the pattern knows it beforehand. */
  readonly rs?: Uint8Array
  /** Pre-shared keys, in the order of their tokens. Section 9. */
  readonly psks?: ReadonlyArray<Psk>
  /** The local ephemeral: for vectors, and for one made ahead. Used once, ever. */
  readonly e?: KeyPair
}

/** The two states a finished handshake leaves. */
export interface TransportKeys {
  readonly send: CipherState
  readonly receive: CipherState
}

/**
 * HandshakeState, section 5.3. Each side calls `writeMessage` and `readMessage` in turn until `finished`, then `split`.
 * A refusal ends it. It throws only for what its own program did wrong: a key that the pattern needs and was not given.
 */
export class HandshakeState {
  readonly #symmetric: SymmetricState
  readonly #protocol: Protocol
  readonly #initiator: boolean
  readonly #s: KeyPair | undefined
  #e: KeyPair | undefined
  #rs: Uint8Array | undefined
  #re: Uint8Array | undefined
  readonly #psks: Array<Psk>
  /** The next message. */
  #index = 0
  #ended = false

  constructor({ protocol, initiator, prologue, s, rs, psks = [], e }: HandshakeOptions) {
    this.#protocol = protocol
    this.#initiator = initiator
    this.#s = s
    this.#rs = rs
    this.#e = e
    this.#psks = [...psks]
    this.#check()
    this.#symmetric = new SymmetricState(protocol.name)
    this.#symmetric.mixHash(prologue)
    // Pre-messages: the initiator's key first, whoever we are.
    const { initiatorPre, responderPre } = protocol.pattern
    const [initiatorS, responderS] = initiator ? [s?.publicKey, rs] : [rs, s?.publicKey]
    if (initiatorPre.length > 0) this.#symmetric.mixHash(initiatorS as Uint8Array)
    if (responderPre.length > 0) this.#symmetric.mixHash(responderS as Uint8Array)
  }

  /** True when every message of the pattern was written or read. */
  get finished(): boolean {
    return !this.#ended && this.#index === this.#protocol.pattern.messages.length
  }

  /** True when the next message is this side's to write. */
  get myTurn(): boolean {
    return !this.finished && (this.#index % 2 === 0) === this.#initiator
  }

  /** The peer's static public key, once known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#rs
  }

  /** h: the same on both sides of one handshake, and unlike that of any other. Section 11.2. */
  get handshakeHash(): Uint8Array {
    return this.#symmetric.handshakeHash
  }

  /** WriteMessage(payload): the next message, at most 65,535 bytes. */
  writeMessage(payload: Uint8Array): Uint8Array | NoiseError {
    const tokens = this.#tokens(true)
    if (isRefusalOf(tokens)) return tokens
    const parts: Array<Uint8Array> = []
    for (const token of tokens) {
      const part = this.#writeToken(token)
      if (isNoiseError(part)) return this.#end(part)
      parts.push(part)
    }
    const sealed = this.#symmetric.encryptAndHash(payload)
    if (isNoiseError(sealed)) return this.#end(sealed)
    const message = Buffer.concat([...parts, sealed])
    return message.length > maxMessageBytes ? this.#end("too long") : message
  }

  /** ReadMessage(message): its payload. */
  readMessage(message: Uint8Array): Uint8Array | NoiseError {
    const tokens = this.#tokens(false)
    if (isRefusalOf(tokens)) return tokens
    if (message.length > maxMessageBytes) return this.#end("too long")
    let rest = message
    for (const token of tokens) {
      const length =
        token === "e" ? dhLen : token === "s" ? dhLen + (this.#symmetric.hasKey ? tagLen : 0) : 0
      if (rest.length < length) return this.#end("too short")
      const refusal = this.#readToken(token, rest.subarray(0, length))
      if (refusal !== undefined) return this.#end(refusal)
      rest = rest.subarray(length)
    }
    const payload = this.#symmetric.decryptAndHash(rest)
    return isNoiseError(payload) ? this.#end(payload) : payload
  }

  /** Split(): once, after the last message. In a one-way pattern only the initiator's `send` is ever used. */
  split(): TransportKeys | NoiseError {
    if (!this.finished) return "out of turn"
    this.#ended = true
    const [first, second] = this.#symmetric.split()
    return this.#initiator ? { send: first, receive: second } : { send: second, receive: first }
  }

  /** The tokens of the next message when it is that side's turn. */
  #tokens(writing: boolean): ReadonlyArray<Token> | NoiseError {
    const tokens = this.#protocol.pattern.messages[this.#index]
    if (this.#ended || tokens === undefined || this.myTurn !== writing)
      return this.#end("out of turn")
    this.#index++
    return tokens
  }

  #writeToken(token: Token): Uint8Array | NoiseError {
    if (token === "e") {
      this.#e ??= generate()
      this.#mixEphemeral(this.#e.publicKey)
      return this.#e.publicKey
    }
    if (token === "s") return this.#symmetric.encryptAndHash((this.#s as KeyPair).publicKey)
    return this.#mixToken(token) ?? nothing
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

  /** Section 9.2: with any psk in the pattern an ephemeral is mixed into the key as well. */
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
    // The first letter is the initiator's key, the second the responder's.
    const [ours, theirs] = this.#initiator ? token : [token[1], token[0]]
    const local = ours === "e" ? this.#e : this.#s
    const remote = theirs === "e" ? this.#re : this.#rs
    const shared = dh(local as KeyPair, remote as Uint8Array)
    if (isNoiseError(shared)) return shared
    this.#symmetric.mixKey(shared)
    return undefined
  }

  #end(refusal: NoiseError): NoiseError {
    this.#ended = true
    return refusal
  }

  /** Every key the pattern needs of this side is there. */
  #check(): void {
    const { pattern, name, psks } = this.#protocol
    const mine = pattern.messages.filter((_, index) => (index % 2 === 0) === this.#initiator)
    const [myPre, theirPre] = this.#initiator
      ? [pattern.initiatorPre, pattern.responderPre]
      : [pattern.responderPre, pattern.initiatorPre]
    if (this.#s === undefined && (myPre.length > 0 || mine.some((tokens) => tokens.includes("s"))))
      throw new TypeError(`${name} needs a local static key`)
    if (theirPre.length > 0 && this.#rs?.length !== dhLen)
      throw new TypeError(`${name} needs the remote static key, of 32 bytes`)
    if (
      this.#psks.length !== psks ||
      this.#psks.some((psk) => typeof psk !== "function" && psk.length !== 32)
    )
      throw new TypeError(`${name} needs ${psks} pre-shared keys of 32 bytes`)
  }
}

const nothing = new Uint8Array(0)

const isRefusalOf = (result: ReadonlyArray<Token> | NoiseError): result is NoiseError =>
  typeof result === "string"

// From a Connection to two cipher states: hello, Noise handshake, READY. PROTOCOL.md sections 3 to 5; the numbers in
// the comments are its steps (C for the client's, S for the server's). Plain sequences over bytes: Exchange runs them.
import type { Secret } from "../bytes/Secret.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import type { CipherState } from "../noise/CipherState.ts"
import { HandshakeState, type Psk } from "../noise/HandshakeState.ts"
import { isNoiseError } from "../noise/NoiseError.ts"
import * as Hello from "./Hello.ts"
import { encodeFrame } from "./FrameReader.ts"
import { limits } from "./limits.ts"
import { ReplayFilter } from "./ReplayFilter.ts"
import type { Steps } from "./HandshakeDriver.ts"
import type { Suite } from "./Suite.ts"

/** What both sides must agree about without saying it: it is in the prologue. */
export interface PrologueFields {
  /** What the client means to reach; "" unless both sides are told. */
  readonly serverName: string
  /** What is spoken inside: "sealwire/1". */
  readonly application: string
}

export interface ClientKeys extends PrologueFields {
  readonly suite: Suite
  readonly psk?: Secret
  readonly identity?: KeyPair
  /** The server's public key, for the suites that know it beforehand. */
  readonly serverKey?: Uint8Array
}

/** A shared key, and the name this server has for it where it has several. */
export interface NamedSharedKey {
  readonly name?: string
  readonly secret: Secret
}

/** A client that is let in. */
export interface AuthorizedClient {
  /** What it is called here. */
  readonly name: string
  /** The shared key it must hold too, by name, in the suites with both; else the first. */
  readonly sharedKey?: string
}

export interface ServerKeys extends PrologueFields {
  /** The suites this server answers; all others are refused. */
  readonly suites: ReadonlyArray<Suite>
  /** Every key that opens, in the order in which they are tried; at most `limits.sharedKeys`. */
  readonly psks?: ReadonlyArray<NamedSharedKey>
  /** This server's long-term keys, the one it shows first; at most `limits.identities`. */
  readonly identities?: ReadonlyArray<KeyPair>
  /** Asked when a hello of the list has come with a whole message 1, before that is opened; the reason, when it is not to be tried. */
  readonly admit?: () => string | undefined
  /** Who has this public key and comes from there; the reason, for the log, when it is not let in. */
  readonly authorize: (publicKey: Uint8Array, from: string) => AuthorizedClient | string
}

/** A handshake that is done. */
export interface HandshakeResult {
  readonly suite: Suite
  readonly send: CipherState
  readonly receive: CipherState
  /** The same on both sides, and unlike any other session's. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** The peer's public key, in the suites that have one. */
  readonly remoteStatic: Uint8Array | undefined
  /** The name the server knows the client by: of its public key, else of its shared key; undefined on the client. */
  readonly peerName: string | undefined
  /** Goes before the first record, in one write with it: the client's message 3. */
  readonly preface: Uint8Array
}

const nothing = new Uint8Array(0)

type Say = (bytes: Uint8Array) => void

/** The client's side, until it has heard the server: the state then holds the key that the server offers. */
export function* initiate(keys: ClientKeys, say: Say): Steps<HandshakeState> {
  const { suite, psk, identity, serverKey } = keys
  // C1: the hello, and message 1 with it.
  const hello = Hello.encode(suite)
  const state = new HandshakeState({
    protocol: suite.protocol,
    initiator: true,
    prologue: Hello.prologue(hello, keys.serverName, keys.application),
    psks: suite.hasSharedKey && psk !== undefined ? [psk] : [],
    ...(identity === undefined || !suite.hasIdentities ? {} : { s: identity }),
    ...(serverKey === undefined || !suite.hasServerKey ? {} : { rs: serverKey })
  })
  const first = state.writeMessage(nothing)
  if (isNoiseError(first)) return first
  say(Buffer.concat([hello, encodeFrame(first)]))
  // C2: message 2.
  const length = suite.lengths[1]
  return opened(state, yield 2 + length, length) ?? state
}

/** C4: message 3, where the suite has one. READY follows it as the first record. C3, between the two, is the caller's. */
export const finish = (suite: Suite, state: HandshakeState): HandshakeResult | string => {
  if (suite.lengths.length === 2) return sessionOf(suite, state, undefined, nothing)
  const third = state.writeMessage(nothing)
  return isNoiseError(third) ? third : sessionOf(suite, state, undefined, encodeFrame(third))
}

export interface PendingClient {
  readonly address: string
  readonly send: Say
  /** Called when it has sent a whole message that opened, and that was not sent before: a replay shows nothing. */
  readonly markResponsive: () => void
}

/** The server's side. Gives the true reason of a failure, for the log; the peer is told nothing. */
export function* respond(
  { address, send, markResponsive }: PendingClient,
  keys: ServerKeys
): Steps<HandshakeResult> {
  // S1: the hello and the whole first message are read before anything is judged, so that every refusal looks the same.
  const hello = yield Hello.helloBytes
  const length = Hello.firstLength(hello)
  const frame = yield 2 + length
  const suite = Hello.decode(hello)
  if (suite === undefined) return "no hello of this protocol"
  if (!keys.suites.includes(suite)) return `suite ${suite.name} is not offered here`
  const unwanted = keys.admit?.()
  if (unwanted !== undefined) return unwanted
  const found = openFirst(
    keys,
    address,
    suite,
    Hello.prologue(hello, keys.serverName, keys.application),
    frame
  )
  if (typeof found === "string") return found
  const { state, chosen } = found
  // S2: who the client is, before it is answered, where message 1 says so.
  let guest = guestOf(suite, state, keys, address)
  if (typeof guest === "string") return guest
  // Of three messages the first opens for anybody.
  if (suite.lengths[2] === undefined && firstMessages.isNew(frame)) markResponsive()
  // S3: message 2.
  const second = state.writeMessage(nothing)
  if (isNoiseError(second)) return second
  send(encodeFrame(second))
  // S4: message 3, and with it who the client is.
  const thirdLength = suite.lengths[2]
  if (thirdLength !== undefined) {
    const refusal = opened(state, yield 2 + thirdLength, thirdLength)
    if (refusal !== undefined) return refusal
    guest = guestOf(suite, state, keys, address)
    if (typeof guest === "string") return guest
    markResponsive()
  }
  return sessionOf(suite, state, guest?.name ?? chosen, nothing)
}

/** Those that have opened lately. Who sends one again is known by nothing, and is the first to go when room is needed. */
const firstMessages = new ReplayFilter(limits.rememberedFirstMessages)

/**
 * Message 1 says neither for which of the server's keys it was made, nor with which of the shared keys: each is tried.
 * Where the client has said its public key before, its shared key is known by it, and tried alone.
 */
const openFirst = (
  keys: ServerKeys,
  from: string,
  suite: Suite,
  prologue: Uint8Array,
  frame: Uint8Array
): { readonly state: HandshakeState; readonly chosen: string | undefined } | string => {
  const { psks = [], identities = [] } = keys
  const statics: ReadonlyArray<KeyPair | undefined> = suite.hasServerKey
    ? identities
    : [suite.hasIdentities ? identities[0] : undefined]
  const secrets: ReadonlyArray<NamedSharedKey | undefined> = suite.sharedKeyFirst
    ? psks
    : [undefined]
  let refusal = "this server has no key for it"
  if (suite.hasSharedKey && psks.length === 0) return refusal
  for (const s of statics)
    for (const named of secrets) {
      const psk: Psk | undefined = suite.hasSharedKey
        ? (named?.secret ?? pskFor(keys, from))
        : undefined
      const state = new HandshakeState({
        protocol: suite.protocol,
        initiator: false,
        prologue,
        psks: psk === undefined ? [] : [psk],
        ...(s === undefined ? {} : { s })
      })
      const failed = opened(state, frame, suite.lengths[0])
      if (failed === undefined) return { state, chosen: named?.name }
      refusal = failed
    }
  return refusal
}

/** The shared key that goes with a public key. Who is not let in meets the first one; what refuses it comes afterwards. */
const pskFor =
  (keys: ServerKeys, from: string): Psk =>
  (publicKey) => {
    const { psks = [] } = keys
    const guest = keys.authorize(publicKey, from)
    const wanted = typeof guest === "string" ? undefined : guest.sharedKey
    return (
      psks.find(({ name }) => wanted !== undefined && name === wanted) ??
      (psks[0] as NamedSharedKey)
    ).secret
  }

/** A frame of exactly this message: its length field right, its payload empty. What is wrong with it, or undefined. */
const opened = (state: HandshakeState, frame: Uint8Array, length: number): string | undefined => {
  if (((frame[0] as number) << 8) + (frame[1] as number) !== length)
    return "a handshake frame of the wrong length"
  const payload = state.readMessage(frame.subarray(2))
  if (isNoiseError(payload)) return payload
  return payload.length === 0 ? undefined : "a handshake payload that is not empty"
}

/** Who the client is; undefined while its key is not known, or where there is none. Who needs a shared key as well is let in by that one alone. */
const guestOf = (
  suite: Suite,
  state: HandshakeState,
  keys: ServerKeys,
  from: string
): AuthorizedClient | string | undefined => {
  const guest =
    state.remoteStatic === undefined ? undefined : keys.authorize(state.remoteStatic, from)
  if (guest === undefined || typeof guest === "string" || guest.sharedKey === undefined)
    return guest
  const { sharedKey } = guest
  if (!keys.psks?.some(({ name }) => name === sharedKey))
    return `it needs the shared key ${sharedKey}, which this server does not have`
  return suite.hasSharedKey ? guest : `it needs the shared key ${sharedKey} as well`
}

const sessionOf = (
  suite: Suite,
  state: HandshakeState,
  peerName: string | undefined,
  preface: Uint8Array
): HandshakeResult | string => {
  const transport = state.split()
  if (typeof transport === "string") return transport
  const { handshakeHash, remoteStatic } = state
  return { suite, ...transport, handshakeHash, remoteStatic, peerName, preface }
}

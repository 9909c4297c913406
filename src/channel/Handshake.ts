// From a connection to two cipher states: hello and Noise handshake. PROTOCOL.md sections 3 and 4;
// the comments cite its steps (C for the client, S for the server). HandshakeDriver runs the
// generators.
import type { KeyPair } from "../keys/KeyPair.ts"
import type { CipherState } from "../noise/CipherState.ts"
import { HandshakeState, type Psk } from "../noise/HandshakeState.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import { isNoiseError } from "../noise/NoiseError.ts"
import { encodeFrame } from "./Frame.ts"
import type { Steps } from "./HandshakeDriver.ts"
import { Authorization } from "./Authorization.ts"
import { ForeignAnswer } from "./HandshakeFailure.ts"
import type { InitiatorKeys, NamedSharedKey, ServerKeys } from "./HandshakeKeys.ts"
import * as Hello from "./Hello.ts"
import { limits } from "./limits.ts"
import * as Possession from "./Possession.ts"
import { ReplayFilter } from "./ReplayFilter.ts"
import { sharedKeyError } from "./sharedKey.ts"
import type { Suite } from "./Suite.ts"

/** The result of a completed handshake. */
export interface HandshakeResult {
  readonly suite: Suite
  readonly send: CipherState
  readonly receive: CipherState
  /** Equal on both sides, and unique to this channel. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** The peer's public key, in suites that have one. */
  readonly remoteStatic: Uint8Array | undefined
  /** This side's public key, likewise. A server with several has used this one. */
  readonly localStatic: Uint8Array | undefined
  /** Proofs that the server holds further keys. */
  readonly possession: Possession.Possession
  /**
   * The server's name for the client: that of its public key, else of its shared key. Undefined on
   * the client.
   */
  readonly peerName: string | undefined
  /** Bytes to send in one write with the first record: the client's message 3. */
  readonly preface: Uint8Array
}

const empty = new Uint8Array(0)

type Send = (bytes: Uint8Array) => void

/**
 * Runs C1 and C2 of the client. In suites without a known server key the result holds the key that
 * the server offers.
 */
export function* initiate(keys: InitiatorKeys, send: Send): Steps<HandshakeState | ForeignAnswer> {
  const { suite, psk, identity, serverKey } = keys
  // C1: the hello and message 1.
  const hello = Hello.encode(suite)
  const state = new HandshakeState({
    protocol: suite.protocol,
    initiator: true,
    prologue: Hello.prologue(hello, keys.serverName, keys.application),
    psks: suite.hasSharedKey && psk !== undefined ? [psk] : [],
    ...(identity === undefined || !suite.hasIdentities ? {} : { s: identity }),
    ...(serverKey === undefined || !suite.hasServerKey ? {} : { rs: serverKey })
  })
  const first = state.writeMessage(empty)
  if (isNoiseError(first)) return first
  send(Buffer.concat([hello, encodeFrame(first)]))
  // C2: message 2.
  const length = suite.lengths[1]
  // Its length alone tells an answer of another protocol, which may be too short for a message.
  const begin = Buffer.from(yield 2)
  return begin.readUInt16BE() === length
    ? (readMessage(state, Buffer.concat([begin, yield length]), length) ?? state)
    : new ForeignAnswer(begin)
}

/**
 * Runs C4 of the client: message 3, in suites that have one. C3, the check of the server's key,
 * comes before.
 */
export const finish = (suite: Suite, state: HandshakeState): HandshakeResult | string => {
  if (suite.lengths.length === 2) return resultOf("client", suite, state, undefined, empty)
  const third = state.writeMessage(empty)
  return isNoiseError(third)
    ? third
    : resultOf("client", suite, state, undefined, encodeFrame(third))
}

/** A connection on which a client has not completed the handshake yet. */
export interface PendingClient {
  readonly address: string
  readonly send: Send
  /** Called when the client has sent a valid handshake message that is not a replay. */
  readonly markResponsive: () => void
  /** Called with the client's public key, once the client has shown it. Default: ignored. */
  readonly identify?: (publicKey: Uint8Array) => void
}

/**
 * Runs S1 to S4 of the server. Returns the actual reason of a failure, for the log; the peer is
 * told nothing.
 */
export function* respond(
  { address, send, markResponsive, identify }: PendingClient,
  keys: ServerKeys
): Steps<HandshakeResult> {
  // S1: reads the hello and all of message 1 before any check, so that every rejection looks the
  // same.
  const hello = yield Hello.helloBytes
  const frame = yield 2 + Hello.firstMessageLength(hello)
  const suite = Hello.decode(hello)
  if (suite === undefined) return "not the Sealwire protocol"
  if (!keys.suites.includes(suite)) return `suite ${suite.name} is not accepted here`
  const rejection = keys.admit?.()
  if (rejection !== undefined) return rejection
  const prologue = Hello.prologue(hello, keys.serverName, keys.application)
  const authorization = new Authorization(suite, keys, address)
  const opened = openMessage1(keys, authorization, suite, prologue, frame)
  if (typeof opened === "string") return opened
  const { state, sharedKeyName } = opened
  // S2: authorizes the client before answering it, in suites where message 1 has its key.
  if (state.remoteStatic !== undefined) {
    identify?.(state.remoteStatic)
    const error = yield* authorization.decide(state.remoteStatic)
    if (error !== undefined) return error
  }
  const length3 = suite.lengths[2]
  // In a handshake of three messages anybody can make a valid message 1.
  if (length3 === undefined && validFirstMessages.isNew(frame)) markResponsive()
  // S3: message 2.
  const second = state.writeMessage(empty)
  if (isNoiseError(second)) return second
  send(encodeFrame(second))
  // S4: message 3, which has the client's key.
  if (length3 !== undefined) {
    const error = readMessage(state, yield 2 + length3, length3)
    if (error !== undefined) return error
    if (state.remoteStatic !== undefined) {
      identify?.(state.remoteStatic)
      const refused = yield* authorization.decide(state.remoteStatic)
      if (refused !== undefined) return refused
    }
    markResponsive()
  }
  return resultOf("server", suite, state, authorization.client?.name ?? sharedKeyName, empty)
}

/**
 * Recent valid first messages. A client that replays one is not marked responsive, and so is
 * evicted first.
 */
const validFirstMessages = new ReplayFilter(limits.rememberedFirstMessages)

/**
 * Opens message 1 by trial: it names neither the server key for which it was made nor the shared
 * key. In suites where the client's public key comes before the psk, the public key selects the
 * shared key.
 */
const openMessage1 = (
  keys: ServerKeys,
  authorization: Authorization,
  suite: Suite,
  prologue: Uint8Array,
  frame: Uint8Array
): { readonly state: HandshakeState; readonly sharedKeyName: string | undefined } | string => {
  const { psks = [], identities = [] } = keys
  const candidates: ReadonlyArray<KeyPair | undefined> = suite.hasServerKey
    ? identities
    : [suite.hasIdentities ? identities[0] : undefined]
  const sharedKeys: ReadonlyArray<NamedSharedKey | undefined> = suite.sharedKeyFirst
    ? psks
    : [undefined]
  let error = "this server has no key for it"
  if (suite.hasSharedKey) {
    if (psks.length === 0) return error
    for (const { secret } of psks) {
      const invalid = sharedKeyError(secret)
      if (invalid !== undefined) return invalid
    }
  }
  for (const s of candidates)
    for (const sharedKey of sharedKeys) {
      const psk: Psk | undefined = suite.hasSharedKey
        ? (sharedKey?.secret ?? authorization.selectSharedKey)
        : undefined
      const state = new HandshakeState({
        protocol: suite.protocol,
        initiator: false,
        prologue,
        psks: psk === undefined ? [] : [psk],
        ...(s === undefined ? {} : { s })
      })
      const failed = readMessage(state, frame, suite.lengths[0])
      if (failed === undefined) return { state, sharedKeyName: sharedKey?.name }
      error = failed
    }
  return error
}

/**
 * Reads a frame with a message of exactly `length` bytes and an empty payload. Returns the error,
 * if any.
 */
const readMessage = (
  state: HandshakeState,
  frame: Uint8Array,
  length: number
): string | undefined => {
  if (((frame[0] as number) << 8) + (frame[1] as number) !== length)
    return "a handshake frame of the wrong length"
  const payload = state.readMessage(frame.subarray(2))
  if (isNoiseError(payload)) return payload
  // The same key in other bytes would pass a comparison with a list of revoked keys.
  if (state.remoteStatic !== undefined && !PublicKey.isCanonical(state.remoteStatic))
    return "a public key in a form that is not canonical"
  return payload.length === 0 ? undefined : "a handshake payload that is not empty"
}

const resultOf = (
  side: "client" | "server",
  suite: Suite,
  state: HandshakeState,
  peerName: string | undefined,
  preface: Uint8Array
): HandshakeResult | string => {
  const keys = state.split()
  if (typeof keys === "string") return keys
  const { handshakeHash, remoteStatic, localStatic, localEphemeral, remoteEphemeral } = state
  const [own, theirs] = suite.hasIdentities ? [localEphemeral, remoteEphemeral] : []
  const possession =
    side === "client"
      ? Possession.ofClient(handshakeHash, own)
      : Possession.ofServer(handshakeHash, theirs)
  return {
    suite,
    ...keys,
    handshakeHash,
    remoteStatic,
    localStatic: suite.hasIdentities ? localStatic : undefined,
    possession,
    peerName,
    preface
  }
}

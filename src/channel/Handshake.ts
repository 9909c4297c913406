// From a Connection to two cipher states: hello, Noise handshake, READY. PROTOCOL.md sections 3 to 5; the numbers in
// the comments are its steps (C for the client's, S for the server's).
import * as Effect from "effect/Effect"
import type { Secret } from "../bytes/Secret.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import type { CipherState } from "../noise/CipherState.ts"
import { HandshakeState } from "../noise/HandshakeState.ts"
import type { Refusal } from "../noise/Refusal.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Connection } from "../transports/Connection.ts"
import { HandshakeFailed } from "./ChannelErrors.ts"
import * as Hello from "./Hello.ts"
import { framed, Intake, type Failing } from "./Intake.ts"
import { limits } from "./limits.ts"
import type { Suite } from "./Suite.ts"

/** What both sides must agree about without saying it: it is in the prologue. */
export interface Agreement {
  /** What the client means to reach; "" unless both sides are told. */
  readonly serverName: string
  /** What is spoken inside: "sealwire/message/1". */
  readonly application: string
}

export interface ClientKeys extends Agreement {
  readonly suite: Suite
  readonly psk?: Secret
  readonly identity?: KeyPair
  /** The server's public key, for the suites that know it beforehand. */
  readonly serverKey?: Uint8Array
}

export interface ServerKeys extends Agreement {
  /** The suites this server answers; all others are refused. */
  readonly suites: ReadonlyArray<Suite>
  readonly psk?: Secret
  readonly identity?: KeyPair
  /** The name under which a client's public key is let in; undefined for a stranger. */
  readonly authorize: (publicKey: Uint8Array) => string | undefined
}

/** A handshake that is done. */
export interface Session {
  readonly suite: Suite
  readonly send: CipherState
  readonly receive: CipherState
  /** The same on both sides, and unlike any other session's. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** The peer's public key, in the suites that have one. */
  readonly remoteStatic: Uint8Array | undefined
  /** The name the server knows the client by; undefined on the client, and with a shared key alone. */
  readonly peerName: string | undefined
  /** Bytes read past the handshake: records already. */
  readonly leftover: Uint8Array
}

const nothing = new Uint8Array(0)

/** The client's side. `checkServer` sees the key an unpinned server offers, before the client shows its own. */
export const initiate = <E, R>(
  connection: Connection,
  keys: ClientKeys,
  checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
): Effect.Effect<Session, HandshakeFailed | E, R> =>
  Effect.gen(function* () {
    const failed = failing(connection)
    const { suite } = keys
    const intake = new Intake(connection)
    // C1: the hello, and message 1 with it.
    const hello = Hello.encode(suite)
    const state = new HandshakeState({
      protocol: suite.protocol,
      initiator: true,
      prologue: Hello.prologue(hello, keys.serverName, keys.application),
      psks: suite.shared && keys.psk !== undefined ? [keys.psk] : [],
      ...(keys.identity === undefined || !suite.identities ? {} : { s: keys.identity }),
      ...(keys.serverKey === undefined || !suite.pinned ? {} : { rs: keys.serverKey })
    })
    const first = yield* bytesOf(state.writeMessage(nothing), failed)
    yield* connection.write(Buffer.concat([hello, framed(first)])).pipe(Effect.mapError(failed.lost))
    // C2: message 2.
    yield* readMessage(state, intake, suite.lengths[1], failed)
    // C3: an unpinned server has shown its key now; it is checked before ours goes out.
    if (suite.identities && !suite.pinned) yield* checkServer(state.remoteStatic as Uint8Array)
    // C4: message 3, where the suite has one. READY follows as the first record (Channel).
    if (suite.lengths.length === 3) {
      const third = yield* bytesOf(state.writeMessage(nothing), failed)
      yield* connection.write(framed(third)).pipe(Effect.mapError(failed.lost))
    }
    return yield* sessionOf(suite, state, undefined, intake, failed)
  })

/** The server's side. Fails with the true reason, for the log; the peer is told nothing. */
export const respond = (connection: Accepted, keys: ServerKeys): Effect.Effect<Session, HandshakeFailed> =>
  Effect.gen(function* () {
    const failed = failing(connection)
    const intake = new Intake(connection)
    // S1: the hello and the whole first message are read before anything is judged, so that every refusal looks the same.
    yield* Effect.timeoutFail(intake.ended(failed), {
      duration: limits.firstByteDeadline,
      onTimeout: () => failed("it said nothing")
    })
    const hello = yield* intake.exactly(Hello.helloBytes, failed)
    const length = Hello.firstLength(hello)
    const frame = yield* intake.exactly(2 + length, failed)
    const suite = Hello.decode(hello)
    if (suite === undefined) return yield* failed("no hello of this protocol")
    if (!keys.suites.includes(suite)) return yield* failed(`suite ${suite.name} is not offered here`)
    const state = new HandshakeState({
      protocol: suite.protocol,
      initiator: false,
      prologue: Hello.prologue(hello, keys.serverName, keys.application),
      psks: suite.shared && keys.psk !== undefined ? [keys.psk] : [],
      ...(keys.identity === undefined || !suite.identities ? {} : { s: keys.identity })
    })
    yield* openMessage(state, frame, length, failed)
    // Anybody can send the first message of three.
    if (suite.lengths[2] === undefined) yield* connection.introduce
    // S2: who the client is, before it is answered, where message 1 says so.
    let peerName = yield* nameOf(state, keys, failed)
    // S3: message 2.
    const second = yield* bytesOf(state.writeMessage(nothing), failed)
    yield* connection.write(framed(second)).pipe(Effect.mapError(failed.lost))
    // S4: message 3, and with it who the client is.
    if (suite.lengths[2] !== undefined) {
      yield* readMessage(state, intake, suite.lengths[2], failed)
      peerName = yield* nameOf(state, keys, failed)
      yield* connection.introduce
    }
    return yield* sessionOf(suite, state, peerName, intake, failed)
  })

/** How this connection's handshake fails. */
export const failing = ({ peer }: Connection): Failing => {
  const failed = (reason: string) => new HandshakeFailed({ peer, reason })
  return Object.assign(failed, { lost: () => failed("it closed the connection") })
}

export const bytesOf = (result: Uint8Array | Refusal, failed: Failing): Effect.Effect<Uint8Array, HandshakeFailed> =>
  typeof result === "string" ? failed(result) : Effect.succeed(result)

const readMessage = (
  state: HandshakeState,
  intake: Intake,
  length: number,
  failed: Failing
): Effect.Effect<void, HandshakeFailed> =>
  Effect.flatMap(intake.exactly(2 + length, failed), (frame) => openMessage(state, frame, length, failed))

/** A frame of exactly this message: its length field right, its payload empty. */
const openMessage = (
  state: HandshakeState,
  frame: Uint8Array,
  length: number,
  failed: Failing
): Effect.Effect<void, HandshakeFailed> =>
  Effect.suspend(() => {
    if (((frame[0] as number) << 8) + (frame[1] as number) !== length) return failed("a handshake frame of the wrong length")
    const payload = state.readMessage(frame.subarray(2))
    if (typeof payload === "string") return failed(payload)
    return payload.length === 0 ? Effect.void : failed("a handshake payload that is not empty")
  })

/** The client's name; undefined while its key is not known, or where there is none. */
const nameOf = (state: HandshakeState, keys: ServerKeys, failed: Failing): Effect.Effect<string | undefined, HandshakeFailed> =>
  Effect.suspend(() => {
    const key = state.remoteStatic
    if (key === undefined) return Effect.succeed(undefined)
    const name = keys.authorize(key)
    return name === undefined ? failed("its key is not in authorized_peers") : Effect.succeed(name)
  })

const sessionOf = (
  suite: Suite,
  state: HandshakeState,
  peerName: string | undefined,
  intake: Intake,
  failed: Failing
): Effect.Effect<Session, HandshakeFailed> =>
  Effect.suspend(() => {
    const transport = state.split()
    if (typeof transport === "string") return failed(transport)
    const { handshakeHash, remoteStatic } = state
    return Effect.succeed({ suite, ...transport, handshakeHash, remoteStatic, peerName, leftover: intake.leftover })
  })

// Raw Noise over a connection, to test interoperability with other Noise implementations. It has no
// hello, record header, READY or FIN. A frame is a u16 big-endian length and a Noise message.
import * as Effect from "effect/Effect"
import type { Secret } from "../../bytes/Secret.ts"
import {
  ChannelClosed,
  ChannelTampered,
  HandshakeFailed,
  StreamTruncated
} from "../../channel/ChannelErrors.ts"
import { encodeFrame } from "../../channel/Frame.ts"
import { limits as channelLimits, protocolLimits } from "../../channel/limits.ts"
import type { KeyPair } from "../../keys/KeyPair.ts"
import { tagLen } from "../../noise/CipherState.ts"
import { HandshakeState, type TransportKeys } from "../../noise/HandshakeState.ts"
import { isNoiseError } from "../../noise/NoiseError.ts"
import type { Protocol } from "../../noise/Protocol.ts"
import type { Connection } from "../../transports/Connection.ts"
import { FrameReader, type ReadErrors } from "./FrameReader.ts"

/** Limits of a raw Noise session. */
export const limits = {
  /**
   * The plaintext of a transport message, in bytes: a Noise message less its tag. Noise section 3.
   */
  messageBytes: protocolLimits.messageBytes - tagLen,
  /** Deadline of the whole handshake. */
  handshakeDeadline: channelLimits.handshakeDeadline
} as const

/** A Noise protocol and the keys that it requires. */
export interface RawNoiseOptions {
  /**
   * States explicitly that there is no hello: message 1 may be a replay, and an end may be a
   * truncation.
   */
  readonly hello: "none"
  /** Any supported protocol, including one-way patterns. */
  readonly protocol: Protocol
  readonly initiator: boolean
  readonly prologue?: Uint8Array
  readonly staticKey?: KeyPair
  /**
   * The peer's expected static public key. Required if it is a pre-message; otherwise checked when
   * the peer sends it.
   */
  readonly remoteStatic?: Uint8Array
  readonly psks?: ReadonlyArray<Secret>
}

/** Returns the keys that the protocol requires on this side. `open` throws when one is missing. */
export const requiredKeys = ({ pattern, psks }: Protocol, initiator: boolean) => {
  const { initiatorPre, responderPre, messages } = pattern
  const [localPre, remotePre] = initiator
    ? [initiatorPre, responderPre]
    : [responderPre, initiatorPre]
  const written = messages.filter((_, index) => (index % 2 === 0) === initiator)
  return {
    staticKey: localPre.length > 0 || written.some((tokens) => tokens.includes("s")),
    remoteStatic: remotePre.length > 0,
    psks
  }
}

/**
 * Transport messages in both directions; in a one-way pattern, from the initiator only. A
 * connection cut between two messages is indistinguishable from the end of the stream.
 */
export interface RawNoise {
  /** Equal on both sides, and unique to this handshake. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** The peer's static public key, in patterns that have one. */
  readonly remoteStatic: Uint8Array | undefined
  /**
   * The payloads of the peer's handshake messages, in order. For their security properties see
   * Noise section 7.7.
   */
  readonly payloads: ReadonlyArray<Uint8Array>
  /**
   * Sends a message of at most `limits.messageBytes`. One sender at a time. Waits while the send
   * buffer is full.
   */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, StreamTruncated | ChannelClosed>
  /**
   * Receives the next message, which may be empty; undefined after the peer's stream has ended
   * between two messages. One receiver at a time.
   */
  readonly receive: Effect.Effect<Uint8Array | undefined, StreamTruncated | ChannelTampered>
  /**
   * Rekey() of one direction, now. The peer must do the same between the same two messages. Noise
   * section 11.3.
   */
  readonly rekey: (direction: "send" | "receive") => Effect.Effect<void>
  /** Ends this side's stream; receiving continues. */
  readonly end: Effect.Effect<void, StreamTruncated>
}

/** Runs the handshake, with empty payloads, over a connection that the caller closes. */
export const open = (
  connection: Connection,
  options: RawNoiseOptions
): Effect.Effect<RawNoise, HandshakeFailed> =>
  Effect.suspend(() => {
    const { protocol, initiator, prologue = empty, staticKey, remoteStatic, psks = [] } = options
    const rs = requiredKeys(protocol, initiator).remoteStatic ? remoteStatic : undefined
    const state = new HandshakeState({
      protocol,
      initiator,
      prologue,
      psks,
      ...(staticKey === undefined ? {} : { s: staticKey }),
      ...(rs === undefined ? {} : { rs })
    })
    const reader = new FrameReader(connection)
    return runHandshake(connection, reader, state, remoteStatic).pipe(
      Effect.timeoutFail({
        duration: limits.handshakeDeadline,
        onTimeout: () => new HandshakeFailed({ peer: connection.peer, reason: "timed out" })
      }),
      Effect.flatMap((payloads) =>
        Effect.suspend(() => {
          const keys = state.split()
          return typeof keys === "string"
            ? new HandshakeFailed({ peer: connection.peer, reason: keys })
            : Effect.succeed(session(connection, reader, state, keys, payloads, options))
        })
      )
    )
  })

/**
 * Writes and reads messages alternately until the pattern is complete. Returns the peer's payloads.
 */
const runHandshake = (
  connection: Connection,
  reader: FrameReader,
  state: HandshakeState,
  expected: Uint8Array | undefined
): Effect.Effect<ReadonlyArray<Uint8Array>, HandshakeFailed> =>
  Effect.gen(function* () {
    const failed = (reason: string) => new HandshakeFailed({ peer: connection.peer, reason })
    const closed = () => failed("it closed the connection")
    const payloads: Array<Uint8Array> = []
    while (!state.finished) {
      if (state.myTurn) {
        const message = state.writeMessage(empty)
        if (isNoiseError(message)) return yield* failed(message)
        yield* Effect.mapError(connection.write(encodeFrame(message)), closed)
      } else {
        const payload = state.readMessage(yield* reader.readFrame({ lost: closed, ended: closed }))
        if (isNoiseError(payload)) return yield* failed(payload)
        payloads.push(payload)
        // Checked before this side sends anything more.
        const offered = state.remoteStatic
        if (
          expected !== undefined &&
          offered !== undefined &&
          Buffer.compare(offered, expected) !== 0
        )
          return yield* failed("its static key differs from the expected one")
      }
    }
    if (expected !== undefined && state.remoteStatic === undefined)
      return yield* failed("a static key is expected, but the pattern has none")
    return payloads
  })

const session = (
  connection: Connection,
  reader: FrameReader,
  { handshakeHash, remoteStatic }: HandshakeState,
  keys: TransportKeys,
  payloads: ReadonlyArray<Uint8Array>,
  { protocol, initiator }: RawNoiseOptions
): RawNoise => {
  const { peer } = connection
  const { oneWay } = protocol.pattern
  const truncated = (code: string) => new StreamTruncated({ peer, code })
  const errors: ReadErrors<StreamTruncated> = {
    lost: ({ code }) => truncated(code),
    ended: () => truncated("ended inside a frame")
  }
  const tampered = (detail: string) => new ChannelTampered({ peer, detail })

  const send: RawNoise["send"] = (bytes) =>
    Effect.suspend((): ReturnType<RawNoise["send"]> => {
      // Both are bugs of the caller.
      if (oneWay && !initiator)
        throw new TypeError(`the responder of ${protocol.name} cannot send messages`)
      if (bytes.length > limits.messageBytes)
        throw new RangeError(
          `a transport message has at most ${limits.messageBytes} bytes, not ${bytes.length}`
        )
      const ciphertext = keys.send.encryptWithAd(empty, bytes)
      if (isNoiseError(ciphertext))
        return new ChannelClosed({ peer: "this side", reason: ciphertext })
      return Effect.mapError(connection.write(encodeFrame(ciphertext)), errors.lost)
    })

  const next: RawNoise["receive"] = Effect.gen(function* () {
    if (yield* reader.isAtEnd(errors)) return undefined
    const ciphertext = yield* reader.readFrame(errors)
    if (oneWay && initiator)
      return yield* tampered("a message against the direction of a one-way pattern")
    const bytes = keys.receive.decryptWithAd(empty, ciphertext)
    return isNoiseError(bytes) ? yield* tampered(`a message was rejected: ${bytes}`) : bytes
  })
  // An error is final: the end of the stream after a rejected message is not an orderly end.
  let failure: StreamTruncated | ChannelTampered | undefined
  const fail = (error: StreamTruncated | ChannelTampered) => {
    failure = error
    return error
  }
  return {
    handshakeHash,
    remoteStatic,
    payloads,
    send,
    receive: Effect.suspend(() => failure ?? Effect.mapError(next, fail)),
    rekey: (direction) => Effect.sync(() => keys[direction].rekey()),
    end: Effect.mapError(connection.end, errors.lost)
  }
}

const empty = new Uint8Array(0)

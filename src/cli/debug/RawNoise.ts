// Plain mode: bare Noise over a Connection, for talking with a program that knows Noise and not Sealwire. A diagnosis,
// not a channel: no hello, no record header, no READY, no FIN. Frames are u16 big-endian length, then the Noise message.
import * as Effect from "effect/Effect"
import type { Secret } from "../../bytes/Secret.ts"
import type { KeyPair } from "../../keys/KeyPair.ts"
import { tagLen } from "../../noise/CipherState.ts"
import { HandshakeState } from "../../noise/HandshakeState.ts"
import type { Protocol } from "../../noise/Protocol.ts"
import type { Connection } from "../../transports/Connection.ts"
import {
  ChannelClosed,
  ChannelTampered,
  HandshakeFailed,
  StreamTruncated
} from "../../channel/ChannelErrors.ts"
import {
  bytesOf,
  failing,
  encodeFrame,
  FrameReader,
  type Failing
} from "../../channel/FrameReader.ts"
import { limits as channelLimits, protocolLimits } from "../../channel/limits.ts"

/** Every bound of a plain session, by name. */
export const limits = {
  /** A transport message: a Noise message less its tag. Noise section 3. */
  messageBytes: protocolLimits.messageBytes - tagLen,
  /** The whole handshake. */
  handshakeDeadline: channelLimits.handshakeDeadline
} as const

/** A Noise protocol, and the keys that it asks for. */
export interface RawNoiseOptions {
  /** Says aloud what is given up: message 1 may be a replay, and an end may be a cut. */
  readonly hello: "none"
  /** Any that the engine knows, one-way ones too. */
  readonly protocol: Protocol
  readonly initiator: boolean
  readonly prologue?: Uint8Array
  readonly staticKey?: KeyPair
  /** The key the peer must have; needed where the pattern has it beforehand, else compared with the one it sends. */
  readonly remoteStatic?: Uint8Array
  readonly psks?: ReadonlyArray<Secret>
}

/** The keys of this side without which the protocol cannot run. `open` without them is a fault of its program. */
export const needs = ({ pattern, psks }: Protocol, initiator: boolean) => {
  const { initiatorPre, responderPre, messages } = pattern
  const [ours, theirs] = initiator ? [initiatorPre, responderPre] : [responderPre, initiatorPre]
  const written = messages.filter((_, index) => (index % 2 === 0) === initiator)
  return {
    staticKey: ours.length > 0 || written.some((tokens) => tokens.includes("s")),
    remoteStatic: theirs.length > 0,
    psks
  }
}

/** Transport messages both ways (of a one-way pattern: from the initiator). Nothing tells a cut between two from the end. */
export interface RawNoise {
  /** The same on both sides of one handshake. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** The peer's static key, in the patterns that have one. */
  readonly remoteStatic: Uint8Array | undefined
  /** What the peer's handshake messages carried, in order; who may read and forge each, Noise section 7.7 tells. */
  readonly payloads: ReadonlyArray<Uint8Array>
  /** At most `limits.messageBytes`. One sender at a time. Waits while the peer does not keep up. */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, StreamTruncated | ChannelClosed>
  /** The next message, perhaps empty; undefined when the peer has ended its stream between two. One receiver at a time. */
  readonly receive: Effect.Effect<Uint8Array | undefined, StreamTruncated | ChannelTampered>
  /** Rekey() of one direction, now; the peer must do the same between the same two messages. Noise section 11.3. */
  readonly rekey: (direction: "send" | "receive") => Effect.Effect<void>
  /** Ends this side's stream; receiving goes on. */
  readonly end: Effect.Effect<void, StreamTruncated>
}

/** Runs the handshake, with empty payloads, over a connection that the caller keeps. */
export const open = (
  connection: Connection,
  options: RawNoiseOptions
): Effect.Effect<RawNoise, HandshakeFailed> =>
  Effect.suspend(() => {
    const { protocol, initiator, prologue = nothing, staticKey, remoteStatic, psks = [] } = options
    const beforehand = needs(protocol, initiator).remoteStatic ? remoteStatic : undefined
    const state = new HandshakeState({
      protocol,
      initiator,
      prologue,
      psks,
      ...(staticKey === undefined ? {} : { s: staticKey }),
      ...(beforehand === undefined ? {} : { rs: beforehand })
    })
    const intake = new FrameReader(connection)
    return shake(connection, intake, state, remoteStatic).pipe(
      Effect.timeoutFail({
        duration: limits.handshakeDeadline,
        onTimeout: () => new HandshakeFailed({ peer: connection.peer, reason: "not done in time" })
      }),
      Effect.flatMap((payloads) => opened(connection, intake, state, payloads, options))
    )
  })

/** Messages in turn until the pattern is done; what the peer's carried. */
const shake = (
  connection: Connection,
  intake: FrameReader,
  state: HandshakeState,
  expected: Uint8Array | undefined
): Effect.Effect<ReadonlyArray<Uint8Array>, HandshakeFailed> =>
  Effect.gen(function* () {
    const failed = failing(connection)
    const payloads: Array<Uint8Array> = []
    while (!state.finished) {
      if (state.myTurn) {
        const message = yield* bytesOf(state.writeMessage(nothing), failed)
        yield* connection.write(encodeFrame(message)).pipe(Effect.mapError(failed.lost))
      } else {
        payloads.push(yield* bytesOf(state.readMessage(yield* intake.frame(failed)), failed))
        // Before anything more of ours goes out.
        const shown = state.remoteStatic
        if (expected !== undefined && shown !== undefined && Buffer.compare(shown, expected) !== 0)
          return yield* failed("it has another static key than expected")
      }
    }
    if (expected !== undefined && state.remoteStatic === undefined)
      return yield* failed("a static key is expected of it, and the pattern has none")
    return payloads
  })

const opened = (
  connection: Connection,
  intake: FrameReader,
  state: HandshakeState,
  payloads: ReadonlyArray<Uint8Array>,
  { protocol, initiator }: RawNoiseOptions
): Effect.Effect<RawNoise, HandshakeFailed> =>
  Effect.suspend(() => {
    const { peer } = connection
    const { handshakeHash, remoteStatic } = state
    const ciphers = state.split()
    if (typeof ciphers === "string") return failing(connection)(ciphers)
    const mute = protocol.pattern.oneWay && !initiator
    const deaf = protocol.pattern.oneWay && initiator

    const truncated = (code: string) => new StreamTruncated({ peer, code })
    const cut: Failing<StreamTruncated> = Object.assign(() => truncated("ended inside a frame"), {
      lost: ({ code }: { readonly code: string }) => truncated(code)
    })
    const tampered = (detail: string) => new ChannelTampered({ peer, detail })

    const send: RawNoise["send"] = (bytes) =>
      Effect.suspend((): ReturnType<RawNoise["send"]> => {
        // Both are faults of this program, and nobody else's.
        if (mute) throw new TypeError(`the responder of ${protocol.name} never writes`)
        if (bytes.length > limits.messageBytes)
          throw new RangeError(
            `a transport message has at most ${limits.messageBytes} bytes, not ${bytes.length}`
          )
        const sealed = ciphers.send.encryptWithAd(nothing, bytes)
        if (typeof sealed === "string")
          return new ChannelClosed({ peer: "this side", reason: sealed })
        return Effect.mapError(connection.write(encodeFrame(sealed)), cut.lost)
      })

    const next: RawNoise["receive"] = Effect.gen(function* () {
      if (yield* intake.ended(cut)) return undefined
      const sealed = yield* intake.frame(cut)
      if (deaf) return yield* tampered("a message against the direction of a one-way pattern")
      const bytes = ciphers.receive.decryptWithAd(nothing, sealed)
      return typeof bytes === "string"
        ? yield* tampered(`a message does not open: ${bytes}`)
        : bytes
    })
    // What has failed once stays failed: the peer's end after a message that did not open is no end in good order.
    let broken: StreamTruncated | ChannelTampered | undefined
    const fail = (error: StreamTruncated | ChannelTampered) => {
      broken = error
      return error
    }
    const receive: RawNoise["receive"] = Effect.suspend(() => broken ?? Effect.mapError(next, fail))

    return Effect.succeed({
      handshakeHash,
      remoteStatic,
      payloads,
      send,
      receive,
      rekey: (direction) => Effect.sync(() => ciphers[direction].rekey()),
      end: Effect.mapError(connection.end, cut.lost)
    })
  })

const nothing = new Uint8Array(0)

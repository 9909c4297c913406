// Two sides that share only a one-time code exchange their long-term public keys:
//
//   code -> XXpsk0 -> names -> both users confirm -> each side confirms that it knows
//
// The labels H1, P2 … are the steps of PAIRING.md.
import { hkdfSync } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Secret } from "../../bytes/Secret.ts"
import * as Channel from "../../channel/Channel.ts"
import { ChannelTampered } from "../../channel/ChannelErrors.ts"
import { limits as channelLimits } from "../../channel/limits.ts"
import { pairingSuite as suite } from "../../channel/Suite.ts"
import type { KeyPair } from "../../keys/KeyPair.ts"
import type { Accepted } from "../../transports/Acceptor.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import type { ConnectFailed, ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"
import { limits } from "./limits.ts"
import { receiveAgreed, receiveConfirmed, receiveName, sendName, sendVerdict } from "./Messages.ts"
import {
  fromChannelError,
  PairingDeclined,
  PairingExpired,
  PairingFailed,
  type PairError
} from "./PairingErrors.ts"

export {
  PairingBroken,
  PairingDeclined,
  PairingExpired,
  PairingFailed,
  PairingRefused,
  type PairError
} from "./PairingErrors.ts"
export { limits }

/** The application protocol, part of the handshake's prologue. */
export const application = "sealwire/pair/1"

/** Derives the handshake's shared key with HKDF-SHA256, so that the code itself is never a key. */
export const derivePsk = (code: Secret): Secret =>
  new Secret(new Uint8Array(hkdfSync("sha256", code.expose(), "", "sealwire pair v1", 32)))

/** The other side. It has proven that it knows the code and holds the private key. */
export interface Partner {
  /** The name it uses for itself: a valid peer name. */
  readonly suggestion: string
  readonly publicKey: Uint8Array
  /** Its address, as the transport knows it. */
  readonly from: string
}

/** A partner that both sides have confirmed. */
export interface Paired extends Partner {
  /** The name that `confirm` gave it. */
  readonly name: string
}

/** Options of both sides. */
export interface PairOptions<E> {
  /** The address to listen at, or to connect to. */
  readonly address: Address.Address
  /** 16 random bytes that are used once and known to nobody else. */
  readonly code: Secret
  readonly identity: KeyPair
  /** The name this side uses for itself: a `PeerName`. */
  readonly suggestion: string
  /**
   * Asks the user at this side. Returns the partner's name here, or undefined to decline. It is
   * interrupted when the other side declines or disconnects.
   */
  readonly confirm: (partner: Partner) => Effect.Effect<string | undefined, E>
}

/** Events while a host listens. */
export type HostEvent = Data.TaggedEnum<{
  Listening: { readonly address: Address.Address }
  /** A connection was refused; the code is still valid. */
  ConnectionRefused: { readonly from: string; readonly reason: string }
}>
/** The constructors and `$match`. */
export const HostEvent: Data.TaggedEnum.Constructor<HostEvent> = Data.taggedEnum<HostEvent>()

/** Options of the side that listens. */
export interface HostOptions<E> extends PairOptions<E> {
  /** Called with each event. */
  readonly on: (event: HostEvent) => Effect.Effect<void>
}

/**
 * Listens, and pairs with the first client that knows the code. The code allows one attempt: a
 * wrong one fails with PairingFailed. Succeeds when each side knows that both have confirmed.
 */
export const host = <E>(
  options: HostOptions<E>
): Effect.Effect<Paired, PairingFailed | PairError | PortInUse | ListenFailed | E, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const outcome = yield* Deferred.make<Paired, PairingFailed | PairError | E>()
    const attempt: Attempt = { used: false, address: options.address }
    const listener = yield* transport.listen(
      options.address,
      (connection) =>
        // After the outcome, connections that are still in their handshake are dropped.
        Effect.flatten(
          Effect.raceFirst(
            accept(connection, options, attempt, outcome),
            Effect.zipRight(connection.draining, Effect.interrupt)
          )
        ),
      { halfOpen: channelLimits.halfOpen, halfOpenPerSource: channelLimits.halfOpenPerSource }
    )
    attempt.address = listener.address
    yield* options.on(HostEvent.Listening({ address: listener.address }))
    const expiry = Effect.suspend(() => {
      // An attempt that has begun has deadlines of its own.
      if (attempt.used) return Effect.never
      attempt.used = true
      return new PairingExpired({ deadline: "code" })
    })
    return yield* Effect.raceFirst(
      Deferred.await(outcome),
      Effect.delay(expiry, limits.codeDeadline)
    )
  }).pipe(Effect.scoped)

/** The one attempt that a code allows. */
interface Attempt {
  /** True when the code was tried or has expired. */
  used: boolean
  /** The address the host listens at. */
  address: Address.Address
}

/** Serves one connection. The returned effect reports the result, once the channel is closed. */
const accept = <E>(
  connection: Accepted,
  options: HostOptions<E>,
  attempt: Attempt,
  outcome: Deferred.Deferred<Paired, PairingFailed | PairError | E>
): Effect.Effect<Effect.Effect<unknown>, never, Scope.Scope> =>
  Effect.suspend(() => {
    let isAttempt = false
    const keys = {
      serverName: "",
      application,
      suites: [suite],
      psks: [{ secret: derivePsk(options.code) }],
      identities: [options.identity],
      // H2: the first complete message 1 is the one attempt, whether or not it succeeds.
      admit: () => {
        if (attempt.used) return "the code has been used"
        attempt.used = true
        isAttempt = true
        return undefined
      },
      authorize: () => ({ name: connection.peer })
    }
    const failed = (reason: string) =>
      new PairingFailed({ address: Address.format(attempt.address), from: connection.peer, reason })
    return Channel.accept(connection, keys).pipe(
      Effect.onError((cause) =>
        isAttempt && !Cause.isFailure(cause)
          ? Deferred.fail(outcome, failed("the connection was dropped"))
          : Effect.void
      ),
      Effect.matchEffect({
        onFailure: ({ reason }) =>
          Effect.succeed(
            isAttempt
              ? Deferred.fail(outcome, failed(reason))
              : options.on(HostEvent.ConnectionRefused({ from: connection.peer, reason }))
          ),
        onSuccess: (channel) =>
          Effect.map(confirmWithin(channel, options), (exit) => Deferred.done(outcome, exit))
      })
    )
  })

/** Connects to the host. The code is void afterwards, even when pairing failed. */
export const join = <E>(
  options: PairOptions<E>
): Effect.Effect<Paired, PairError | ConnectFailed | E, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(options.address)
    const keys = {
      serverName: "",
      application,
      code: derivePsk(options.code),
      identity: options.identity
    }
    // The host's key needs no pin: message 2 decrypts only if its sender knows the code.
    const channel = yield* Effect.mapError(
      Channel.connect(connection, keys),
      fromChannelError(connection.peer)
    )
    return yield* confirmWithin(channel, options)
  }).pipe(Effect.scoped, Effect.flatten)

/**
 * Runs P1 to P3 within `limits.confirmDeadline`. The result is returned as an Exit, so that the
 * channel closes before it is reported: with close code 3 unless both sides have confirmed.
 */
const confirmWithin = <E>(
  channel: Channel.Channel,
  options: PairOptions<E>
): Effect.Effect<Exit.Exit<Paired, PairError | E>> =>
  confirmBoth(channel, options).pipe(
    Effect.timeoutFail({
      duration: limits.confirmDeadline,
      onTimeout: () => new PairingExpired({ deadline: "confirmation" })
    }),
    Effect.exit,
    Effect.tap((exit) => closeFor(channel, exit))
  )

/** A peer that breaks the protocol is reset; any other failure closes the channel with code 3. */
const closeFor = (
  channel: Channel.Channel,
  exit: Exit.Exit<Paired, unknown>
): Effect.Effect<void> =>
  Exit.match(exit, {
    onSuccess: () => Effect.void,
    onFailure: (cause) =>
      Option.exists(Cause.failureOption(cause), (error) => error instanceof ChannelTampered)
        ? channel.reset
        : channel.setCloseReason("Failed")
  })

/** P1 to P3, the same on both sides. */
const confirmBoth = <E>(
  channel: Channel.Channel,
  { suggestion, confirm }: PairOptions<E>
): Effect.Effect<Paired, PairError | E> =>
  Effect.gen(function* () {
    // P1
    yield* sendName(channel, suggestion)
    const partner: Partner = {
      suggestion: yield* receiveName(channel),
      publicKey: channel.publicKey as Uint8Array,
      from: channel.peerAddress
    }
    const bothConfirmed = yield* Deferred.make<void>()
    const [name] = yield* Effect.all(
      [
        // P2 and P3 of this side. `agreed` is sent after both have confirmed.
        Effect.zipLeft(
          confirmHere(channel, confirm(partner)),
          Effect.zipRight(Deferred.await(bothConfirmed), sendVerdict(channel, "agreed"))
        ),
        // P2 and P3 of the other side. Its failure interrupts the question here.
        Effect.zipRight(
          Effect.zipRight(
            receiveConfirmed(channel, partner.suggestion),
            Deferred.succeed(bothConfirmed, undefined)
          ),
          receiveAgreed(channel)
        )
      ],
      { concurrency: 2 }
    )
    return { ...partner, name }
  })

/** Asks the user here and sends the answer. Returns the partner's name. */
const confirmHere = <E>(channel: Channel.Channel, confirm: Effect.Effect<string | undefined, E>) =>
  confirm.pipe(
    Effect.tapError(() => Effect.ignore(sendVerdict(channel, "declined"))),
    Effect.flatMap((name) =>
      name === undefined
        ? Effect.zipRight(
            sendVerdict(channel, "declined"),
            new PairingDeclined({ by: "this side" })
          )
        : Effect.as(sendVerdict(channel, "confirmed"), name)
    )
  )

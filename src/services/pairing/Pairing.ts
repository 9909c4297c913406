// Two sides that share nothing but a code of one use come to know each other's long-term key: code -> XXpsk0 -> names ->
// both people confirm -> each side says that it knows. PAIRING.md; the numbers in the comments are its steps.
import { hkdfSync } from "node:crypto"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Printable from "../../bytes/Printable.ts"
import { Secret } from "../../bytes/Secret.ts"
import * as Channel from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { limits as channelLimits } from "../../channel/limits.ts"
import { pairingSuite as suite } from "../../channel/Suite.ts"
import type { KeyPair } from "../../keys/KeyPair.ts"
import * as PeerName from "../../peers/PeerName.ts"
import type { Accepted } from "../../transports/Acceptor.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import type { ConnectFailed, ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"

/** In the prologue. */
export const application = "sealwire/pair/1"

/** Every bound of a pairing, by name. */
export const limits = {
  /** How long a code can be used, from when the host listens. */
  codeDeadline: "10 minutes",
  /** How long the two people have to confirm, from the handshake on. */
  confirmDeadline: "10 minutes"
} as const

/** The shared key of the handshake: HKDF-SHA256 of the code, so that the code itself seals nothing. */
export const pskOf = (code: Secret): Secret =>
  new Secret(new Uint8Array(hkdfSync("sha256", code.expose(), "", "sealwire pair v1", 32)))

/** At the host: a whole message 1 came that the code does not open, or the handshake it began was not finished. */
export class PairingFailed extends Data.TaggedError("PairingFailed")<{
  readonly address: string
  readonly from: string
  /** "decrypt failed", "it closed the connection" … */
  readonly reason: string
}> {
  override get message(): string {
    return (
      `somebody at ${this.from} tried a wrong code at ${this.address}, or did not finish (${this.reason}); ` +
      `this code is void, run sealwire pair again for a new one`
    )
  }
}

/** At the one who joins: the host went without a word. */
export class PairingRefused extends Data.TaggedError("PairingRefused")<{
  readonly address: string
  readonly reason: string
}> {
  override get message(): string {
    return (
      `${this.address} did not take the code (${this.reason}): it was wrong, used or too old, or no sealwire pair waits there; ` +
      `no code can be tried twice, run sealwire pair there again for a new one`
    )
  }
}

/** Nobody used the code in time, or the two people did not both confirm. */
export class PairingExpired extends Data.TaggedError("PairingExpired")<{
  readonly what: "code" | "confirmation"
}> {
  override get message(): string {
    return this.what === "code"
      ? `nobody came with the code within ${limits.codeDeadline}; it is void, run sealwire pair again for a new one`
      : `not both sides confirmed within ${limits.confirmDeadline}; nothing was changed, run sealwire pair again on both`
  }
}

/** The other side went before both had confirmed, as far as this side knows. */
export class PairingBroken extends Data.TaggedError("PairingBroken")<{
  readonly peer: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.peer} went before both sides had confirmed (${this.detail}); nothing was changed here, run sealwire pair again on both`
  }
}

/** One of the two people does not want this partner. */
export class PairingDeclined extends Data.TaggedError("PairingDeclined")<{ readonly by: string }> {
  override get message(): string {
    return `${this.by} declined the pairing; nothing was changed on either side`
  }
}

/** Who is at the other end. It knows the code, and holds the private half of the key. */
export interface Partner {
  /** What it calls itself; fit to be a name here. */
  readonly suggestion: string
  readonly publicKey: Uint8Array
  readonly from: string
}

/** A partner that both sides have confirmed, and the name it is to have here. */
export interface Paired extends Partner {
  readonly name: string
}

/** What both sides of a pairing need. */
export interface PairOptions<E> {
  readonly address: Address.Address
  /** 16 bytes that nobody else knows, and that are never used again. */
  readonly code: Secret
  readonly identity: KeyPair
  /** What this side calls itself: a `PeerName`. */
  readonly suggestion: string
  /** Asks this side's person: the name the partner is to have here, or undefined to decline. Interrupted when there is no more to decide. */
  readonly confirm: (partner: Partner) => Effect.Effect<string | undefined, E>
}

/** What happens while a host waits. */
export type HostEvent = Data.TaggedEnum<{
  Listening: { readonly address: Address.Address }
  /** Refused, and the code is as good as before. */
  ConnectionRefused: { readonly from: string; readonly reason: string }
}>
/** The constructors and `$match`. */
export const HostEvent: Data.TaggedEnum.Constructor<HostEvent> = Data.taggedEnum<HostEvent>()

/** The same for the side that listens. */
export interface HostOptions<E> extends PairOptions<E> {
  /** Told of everything that happens. */
  readonly on: (event: HostEvent) => Effect.Effect<void>
}

/** What can end a pairing whose handshake was done, on either side. */
export type PairError =
  | PairingExpired
  | PairingDeclined
  | PairingBroken
  | PairingRefused
  | ChannelTampered

/** The side that shows the code: waits for the one try that it allows. Succeeds when both sides have confirmed, and each knows that. */
export const host = <E>(
  options: HostOptions<E>
): Effect.Effect<Paired, PairingFailed | PairError | PortInUse | ListenFailed | E, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const outcome = yield* Deferred.make<Paired, PairingFailed | PairError | E>()
    const use: Use = { taken: false, address: options.address }
    const listener = yield* transport.listen(
      options.address,
      (connection) =>
        // When all is decided nobody else is waited for.
        Effect.flatten(
          Effect.raceFirst(
            attend(connection, options, use, outcome),
            Effect.zipRight(connection.draining, Effect.interrupt)
          )
        ),
      { halfOpen: channelLimits.halfOpen, halfOpenPerSource: channelLimits.halfOpenPerSource }
    )
    use.address = listener.address
    yield* options.on(HostEvent.Listening({ address: listener.address }))
    const expiry = Effect.suspend(() => {
      // A try that has begun has its own deadlines.
      if (use.taken) return Effect.never
      use.taken = true
      return new PairingExpired({ what: "code" })
    })
    return yield* Effect.raceFirst(
      Deferred.await(outcome),
      Effect.delay(expiry, limits.codeDeadline)
    )
  }).pipe(Effect.scoped)

/** What becomes of the code. */
interface Use {
  /** It has been tried, or is too old. */
  taken: boolean
  /** Where the host listens. */
  address: Address.Address
}

/** Gives what there is to tell of this connection. */
const attend = <E>(
  connection: Accepted,
  options: HostOptions<E>,
  use: Use,
  outcome: Deferred.Deferred<Paired, PairingFailed | PairError | E>
): Effect.Effect<Effect.Effect<unknown>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let mine = false
    const keys = {
      serverName: "",
      application,
      suites: [suite],
      psks: [{ secret: pskOf(options.code) }],
      identities: [options.identity],
      // H2: whoever says a whole message 1 first has the one try, whatever becomes of it.
      admit: () => {
        if (use.taken) return "the code has been used"
        use.taken = true
        mine = true
        return undefined
      },
      authorize: () => ({ name: connection.peer })
    }
    const failed = (reason: string) =>
      new PairingFailed({ address: Address.format(use.address), from: connection.peer, reason })
    const shaken = yield* Effect.either(Channel.accept(connection, keys)).pipe(
      Effect.onError(() => (mine ? Deferred.fail(outcome, failed("it was let go")) : Effect.void))
    )
    if (shaken._tag === "Right")
      return Deferred.done(outcome, yield* settled(shaken.right, options))
    const { reason } = shaken.left
    return mine
      ? Deferred.fail(outcome, failed(reason))
      : options.on(HostEvent.ConnectionRefused({ from: connection.peer, reason }))
  })

/** The side that was told the code. A code that was tried here is void, whatever came of it. */
export const join = <E>(
  options: PairOptions<E>
): Effect.Effect<Paired, PairError | ConnectFailed | E, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(options.address)
    const keys = {
      suite,
      serverName: "",
      application,
      psk: pskOf(options.code),
      identity: options.identity
    }
    // The server's key needs no pin: message 2 opens only when it was sealed by somebody who knows the code.
    const channel = yield* Effect.mapError(
      Channel.connect(connection, keys, () => Effect.void),
      lost(connection.peer)
    )
    return yield* settled(channel, options)
  }).pipe(Effect.scoped, Effect.flatten)

/** How the conversation ended, while its channel still stands: it closes in good order, and "all is said" only when it is. */
const settled = <E>(
  channel: Channel.Channel,
  options: PairOptions<E>
): Effect.Effect<Exit.Exit<Paired, PairError | E>> =>
  converse(channel, options).pipe(
    Effect.timeoutFail({
      duration: limits.confirmDeadline,
      onTimeout: () => new PairingExpired({ what: "confirmation" })
    }),
    Effect.exit,
    Effect.tap((exit) => (Exit.isFailure(exit) ? channel.setCloseReason("Failed") : Effect.void))
  )

/** The first byte of a CONTROL message. */
const Word = { Name: 1, Confirmed: 2, Declined: 3, Agreed: 4 } as const

const confirmed = Buffer.from([Word.Confirmed])
const declined = Buffer.from([Word.Declined])
const agreed = Buffer.from([Word.Agreed])

/** P1 to P3, the same on both sides. */
const converse = <E>(
  channel: Channel.Channel,
  { suggestion, confirm }: PairOptions<E>
): Effect.Effect<Paired, PairError | E> =>
  Effect.gen(function* () {
    // P1: what each side calls itself.
    yield* say(channel, Buffer.concat([Buffer.from([Word.Name]), Buffer.from(suggestion)]))
    const partner: Partner = {
      suggestion: yield* hearName(channel),
      publicKey: channel.publicKey as Uint8Array,
      from: channel.peerAddress
    }
    const both = yield* Deferred.make<void>()
    const [name] = yield* Effect.all(
      [
        // P2: this person's word. P3: it has heard the other's too, and says so.
        Effect.zipLeft(
          decided(channel, confirm(partner)),
          Effect.zipRight(Deferred.await(both), say(channel, agreed))
        ),
        // P2, P3 of the other: one that declines, or goes, ends the question here.
        Effect.zipRight(
          Effect.zipRight(hearVerdict(channel, partner), Deferred.succeed(both, undefined)),
          hearAgreed(channel)
        )
      ],
      { concurrency: 2 }
    )
    return { ...partner, name }
  })

/** The name that this side's person gives, once the other is told. */
const decided = <E>(channel: Channel.Channel, confirm: Effect.Effect<string | undefined, E>) =>
  confirm.pipe(
    Effect.tapError(() => Effect.ignore(say(channel, declined))),
    Effect.flatMap((name) =>
      name === undefined
        ? Effect.zipRight(say(channel, declined), new PairingDeclined({ by: "this side" }))
        : Effect.as(say(channel, confirmed), name)
    )
  )

const hearName = (channel: Channel.Channel): Effect.Effect<string, PairError> =>
  Effect.flatMap(hear(channel), ([word, ...rest]) => {
    const name = word === Word.Name ? Printable.text(Buffer.from(rest)) : undefined
    return name !== undefined && PeerName.isName(name)
      ? Effect.succeed(name)
      : broken(channel, "no name where one belongs")
  })

const hearVerdict = (
  channel: Channel.Channel,
  { suggestion }: Partner
): Effect.Effect<void, PairError> =>
  Effect.flatMap(
    hear(channel),
    ([word, ...rest]): Effect.Effect<void, ChannelTampered | PairingDeclined> => {
      if (rest.length > 0 || (word !== Word.Confirmed && word !== Word.Declined))
        return broken(channel, "no word of confirmation")
      return word === Word.Confirmed ? Effect.void : new PairingDeclined({ by: suggestion })
    }
  )

const hearAgreed = (channel: Channel.Channel): Effect.Effect<void, PairError> =>
  Effect.flatMap(hear(channel), (words) =>
    agreed.equals(words) ? Effect.void : broken(channel, "another word after its confirmation")
  )

const say = (channel: Channel.Channel, words: Uint8Array): Effect.Effect<void, PairError> =>
  Effect.mapError(channel.sendControl(words), lost(channel.peerAddress))

const hear = (channel: Channel.Channel): Effect.Effect<Uint8Array, PairError> =>
  Effect.flatMap(
    Effect.mapError(channel.read, lost(channel.peerAddress)),
    (item): Effect.Effect<Uint8Array, PairError> =>
      item instanceof Channel.Control
        ? Effect.succeed(item.body)
        : // An end alone confirms nothing.
          item === undefined
          ? new PairingBroken({ peer: channel.peerAddress, detail: "it ended the conversation" })
          : broken(channel, "data where a word belongs")
  )

const broken = ({ peerAddress }: Channel.Channel, detail: string) =>
  new ChannelTampered({ peer: peerAddress, detail })

/** What a channel that ends too early means here. */
const lost =
  (peer: string) =>
  (error: ChannelError): PairingRefused | PairingBroken | ChannelTampered => {
    switch (error._tag) {
      case "ChannelTampered":
        return error
      case "HandshakeFailed":
        return new PairingRefused({ address: peer, reason: error.reason })
      case "StreamTruncated":
        return new PairingBroken({ peer, detail: error.code })
      case "ChannelClosed":
        return new PairingBroken({ peer, detail: error.reason })
      case "ChannelRefused":
        return new PairingBroken({ peer, detail: "its rules do not allow it" })
      case "NotOffered":
        return new PairingBroken({ peer, detail: "it does not pair" })
      case "PeerDead":
        return new PairingBroken({ peer, detail: "it no longer answers" })
    }
  }

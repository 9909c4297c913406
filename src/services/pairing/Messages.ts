// The CONTROL messages of a pairing. PAIRING.md, P1 to P3.
import * as Effect from "effect/Effect"
import * as Utf8 from "../../bytes/Utf8.ts"
import { Control, type Channel } from "../../channel/Channel.ts"
import { ChannelTampered } from "../../channel/ChannelErrors.ts"
import * as PeerName from "../../peers/PeerName.ts"
import {
  fromChannelError,
  PairingBroken,
  PairingDeclined,
  type PairError
} from "./PairingErrors.ts"

/** The first byte of each message. */
const pairingMessages = { name: 1, confirmed: 2, declined: 3, agreed: 4 } as const

/** Messages without a body. */
type Verdict = Exclude<keyof typeof pairingMessages, "name">

export const sendName = (channel: Channel, name: string): Effect.Effect<void, PairError> =>
  send(channel, Buffer.concat([Buffer.from([pairingMessages.name]), Buffer.from(name)]))

export const sendVerdict = (channel: Channel, verdict: Verdict): Effect.Effect<void, PairError> =>
  send(channel, Buffer.from([pairingMessages[verdict]]))

/** P1: fails with ChannelTampered unless the message is a valid peer name. */
export const receiveName = (channel: Channel): Effect.Effect<string, PairError> =>
  Effect.flatMap(receive(channel), ([type, ...body]) => {
    const name = type === pairingMessages.name ? Utf8.decode(Buffer.from(body)) : undefined
    return name !== undefined && PeerName.isName(name)
      ? Effect.succeed(name)
      : unexpected(channel, "a malformed name")
  })

/** P2: fails with PairingDeclined if the other side's user declined; `by` names that side. */
export const receiveConfirmed = (channel: Channel, by: string): Effect.Effect<void, PairError> =>
  Effect.flatMap(
    receive(channel),
    ([type, ...body]): Effect.Effect<void, ChannelTampered | PairingDeclined> => {
      if (body.length === 0 && type === pairingMessages.confirmed) return Effect.void
      return body.length === 0 && type === pairingMessages.declined
        ? new PairingDeclined({ by })
        : unexpected(channel, "a malformed confirmation")
    }
  )

/** P3: fails with ChannelTampered for any message but `agreed`. */
export const receiveAgreed = (channel: Channel): Effect.Effect<void, PairError> =>
  Effect.flatMap(receive(channel), ([type, ...body]) =>
    body.length === 0 && type === pairingMessages.agreed
      ? Effect.void
      : unexpected(channel, "an unexpected message after the confirmation")
  )

const send = (channel: Channel, message: Uint8Array): Effect.Effect<void, PairError> =>
  Effect.mapError(channel.sendControl(message), fromChannelError(channel.peerAddress))

const receive = (channel: Channel): Effect.Effect<Uint8Array, PairError> =>
  Effect.flatMap(
    Effect.mapError(channel.read, fromChannelError(channel.peerAddress)),
    (item): Effect.Effect<Uint8Array, PairError> => {
      if (item instanceof Control) return Effect.succeed(item.body)
      // FIN alone confirms nothing.
      return item === undefined
        ? new PairingBroken({ peer: channel.peerAddress, detail: "it closed the channel" })
        : unexpected(channel, "data instead of a message")
    }
  )

const unexpected = ({ peerAddress }: Channel, detail: string) =>
  new ChannelTampered({ peer: peerAddress, detail })

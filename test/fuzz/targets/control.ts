// The CONTROL messages of tunnels, of pairings, and the announcement of a server's keys.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Control } from "../../../src/channel/ChannelItem.ts"
import * as KeyAnnouncement from "../../../src/services/KeyAnnouncement.ts"
import * as Pairing from "../../../src/services/pairing/Messages.ts"
import * as Tunnel from "../../../src/services/tunnel/Messages.ts"
import { channelOf } from "../channelOf.ts"
import { nextServer, server } from "../fixed.ts"
import { check, checkSame, outcomeOf, type Target } from "../Target.ts"

const announcement = KeyAnnouncement.encode([
  { publicKey: server.publicKey },
  { publicKey: nextServer.publicKey, retires: Date.UTC(2030, 0, 1) }
])

const tunnelOutcome = (body: Buffer): string => {
  const message = Tunnel.decode(body)
  if (message !== undefined) checkSame(Tunnel.encode(message), body, "a tunnel message")
  return message ?? "none"
}

const announcementOutcome = (body: Buffer): string => {
  const keys = KeyAnnouncement.decode(body)
  if (keys === undefined) return "none"
  check(KeyAnnouncement.isAnnouncement(body), "keys of a body that is no announcement")
  checkSame(KeyAnnouncement.encode(keys), body, "an announcement encodes to other bytes")
  return `${keys.length} keys`
}

const pairingOutcomes = (body: Buffer): ReadonlyArray<string> => {
  const results = [Pairing.receiveName, Pairing.receiveAgreed].map((receive) =>
    Effect.runSync(Effect.either(receive(channelOf([new Control(body)]))))
  )
  const [name] = results
  if (name !== undefined && Either.isRight(name))
    checkSame(Buffer.from(String(name.right)), body.subarray(1), "a name")
  const verdict = Effect.runSync(
    Effect.either(Pairing.receiveConfirmed(channelOf([new Control(body)]), "peer"))
  )
  return [...results, verdict].map((result) =>
    Either.isRight(result) ? "ok" : outcomeOf(`${result.left._tag}: ${result.left.message}`)
  )
}

export const control: Target = {
  maxBytes: 512,
  seeds: () => [
    announcement,
    ...(Object.keys(Tunnel.tunnelMessages) as ReadonlyArray<Tunnel.TunnelMessage>).map(
      Tunnel.encode
    ),
    Buffer.from("\x01alice"),
    Buffer.from("\x01Zoë"),
    ...[2, 3, 4].map((type) => Buffer.of(type))
  ],
  words: [server.publicKey, new Uint8Array(8)],
  run: (input) =>
    [tunnelOutcome(input), announcementOutcome(input), ...pairingOutcomes(input)].join("; ")
}

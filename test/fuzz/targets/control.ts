// The CONTROL messages of tunnels, of pairings, and the announcement of a server's keys.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Control } from "../../../src/channel/ChannelItem.ts"
import * as Possession from "../../../src/channel/Possession.ts"
import * as KeyAnnouncement from "../../../src/services/KeyAnnouncement.ts"
import * as Pairing from "../../../src/services/pairing/Messages.ts"
import * as Tunnel from "../../../src/services/tunnel/Messages.ts"
import { channelOf } from "../channelOf.ts"
import { alice, nextServer, server } from "../fixed.ts"
import { check, checkSame, outcomeOf, type Target } from "../Target.ts"

const hash = Buffer.alloc(32, 9)
const { publicKey: shown } = server
const near = { shown, possession: Possession.ofClient(hash, alice) }
const far = { shown, possession: Possession.ofServer(hash, alice.publicKey) }
const own = [server, { ...nextServer, retires: Date.UTC(2030, 0, 1) }]
const announcement = KeyAnnouncement.encode(own, far) ?? new Uint8Array(0)

const tunnelOutcome = (body: Buffer): string => {
  const message = Tunnel.decode(body)
  if (message !== undefined) checkSame(Tunnel.encode(message), body, "a tunnel message")
  return message ?? "none"
}

const announcementOutcome = (body: Buffer): string => {
  const keys = KeyAnnouncement.decode(body, near)
  if (keys === undefined) return "none"
  check(KeyAnnouncement.isAnnouncement(body), "keys of a body that is no announcement")
  const pairs = keys.map(({ publicKey, ...dates }) => {
    const pair = own.find((one) => Buffer.compare(one.publicKey, publicKey) === 0)
    check(pair !== undefined, "a key that nobody has proven")
    return { ...(pair ?? server), ...dates }
  })
  const again = KeyAnnouncement.encode(
    pairs.map(({ publicKey, privateKey }, index) => ({
      publicKey,
      privateKey,
      ...(keys[index]?.retires === undefined ? {} : { retires: keys[index].retires })
    })),
    far
  )
  checkSame(again ?? new Uint8Array(0), body, "an announcement encodes to other bytes")
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

import { existsSync } from "node:fs"
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { suiteFor, type Suite } from "../../channel/Suite.ts"
import { HandshakeFailed } from "../../channel/ChannelErrors.ts"
import { Identity, SharedKey, type KeyKind } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import type { KnownPeer } from "../../keys/Peers.ts"
import * as Client from "../../programs/Client.ts"
import { limits } from "../../programs/MessageFrame.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { entry } from "../Entry.ts"
import { textsOf } from "../input.ts"
import * as KnownServer from "../KnownServer.ts"
import * as options from "../options.ts"
import { Report } from "../Report.ts"
import { Event } from "../words.ts"

export const send = entry(
  ["send"],
  "send messages; done when the server has handled them",
  [
    ["sealwire send", `sends "Hello Server!" to ${options.originAddress}: by its pinned key, else with ${options.sharedKeyFile}`],
    ['sealwire send "one" "two" --to server.example:8080', "two messages over one channel"],
    ["sealwire send hi --to server.example:8080 --accept-new", "first contact by identity: pins the server's key"],
    ["date | sealwire send", "standard input is the message, byte for byte"]
  ],
  {
    messages: Args.text({ name: "MESSAGE" }).pipe(
      Args.repeated,
      Args.withDescription('The texts; - reads standard input. Without one: what is piped in, else "Hello Server!".')
    ),
    to: options.address("to", "Where the server listens."),
    key: options.sharedKey,
    identity: options.identity,
    peer: Options.text("peer").pipe(
      Options.withPseudoName("KEY|NAME"),
      Options.optional,
      Options.withDescription(
        "The server's public key (sealwire1…), or its name in known_peers. Default: the one known for its address."
      )
    ),
    acceptNew: Options.boolean("accept-new").pipe(
      Options.withDescription("At first contact take the key the server shows, and pin it for ever after.")
    ),
    name: options.serverName,
    padding: options.padding,
    json: options.json
  },
  ({ messages, to, key, identity, peer, acceptNew, name, padding, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.tell(event, { json, wire: false, exact: false })
      const texts = yield* textsOf(messages, limits.messageBytes)
      const address = KnownServer.addressOf(to)
      const asked = Option.isSome(identity) || Option.isSome(peer) || acceptNew
      const pinned = asked || Option.isSome(key) ? undefined : yield* KnownServer.pinned(address)
      const identities = asked || pinned !== undefined
      const shared = Option.isSome(key) || !identities
      const psk = shared
        ? yield* loaded(
            Option.getOrElse(key, () => options.sharedKeyFile),
            SharedKey
          )
        : undefined
      const pair = identities ? yield* identityFor(options.identityReference(identity), address, pinned) : undefined
      const known = identities ? yield* KnownServer.lookUp(address, Option.getOrUndefined(peer), acceptNew) : []
      const held = {
        serverName: name,
        ...(psk === undefined ? {} : { psk }),
        ...(pair === undefined ? {} : { identity: pair })
      }
      const suite = (pinned: boolean) => suiteFor({ identities, shared, pinned }) as Suite

      /** What the server says of its keys is for the address it was reached at, where a file says who it is. */
      const learn =
        (expected: KnownPeer | undefined): Client.OnServerKeys =>
        (keys, shown) =>
          expected !== undefined && (expected.line === 0 || expected.address !== address)
            ? Effect.logDebug(`${address} says that it has ${keys.length} keys; it is known by --peer, and nothing is changed`)
            : KnownServer.learn(address, shown, keys).pipe(
                Effect.flatMap((learned) => (learned === undefined ? Effect.void : tell(Event.KeysAnnounced(learned)))),
                // The message goes its way; the server says it again the next time.
                Effect.catchAll(({ message }) =>
                  Effect.logWarning(`what ${address} says of its keys was not written down: ${message}`)
                )
              )

      /** Undefined when all was handled; what the handshake failed with, when this is not the key: then nothing was sent. */
      const deliver = (expected: KnownPeer | undefined) =>
        Effect.gen(function* () {
          const client = yield* Client.connect({
            address: to,
            padding,
            keys: {
              ...held,
              suite: suite(expected !== undefined),
              ...(expected === undefined ? {} : { serverKey: expected.publicKey })
            },
            checkServer: (publicKey) =>
              Effect.flatMap(KnownServer.pin(address, publicKey), (pinned) => tell(Event.Pinned(pinned))),
            onServerKeys: learn(expected)
          }).pipe(Effect.catchTag("HandshakeFailed", Effect.succeed<HandshakeFailed>))
          if (client instanceof HandshakeFailed) return client
          yield* client.send(texts)
          const bytes = texts.reduce((sum, { length }) => sum + length, 0)
          yield* tell(
            Event.Delivered({ address: Address.format(to), messages: texts.length, bytes, suite: client.channel.suite })
          )
          return undefined
        }).pipe(Effect.scoped)

      const [current, ...others] = known
      const delivered = Effect.gen(function* () {
        const failed = yield* deliver(current)
        if (failed === undefined) return
        // A server that changes its key has several: the next one, in a connection of its own.
        for (const other of others) if ((yield* deliver(other)) === undefined) return
        return yield* failed
      })

      // A pinned server that stays silent may have another key now; what it shows to a stranger tells.
      const diagnosed =
        current === undefined
          ? delivered
          : Effect.catchTag(delivered, "HandshakeFailed", (failed) =>
              Client.probe({ address: to, keys: { ...held, suite: suite(false) } }).pipe(
                Effect.catchAll(() => Effect.succeed(undefined)),
                Effect.flatMap((offered) => KnownServer.difference(address, [current, ...others], offered)),
                Effect.flatMap((difference) => Effect.fail(difference ?? failed))
              )
            )
      const hinted = Effect.catchTag(diagnosed, "HandshakeFailed", ({ peer, reason, ...rest }) =>
        Effect.fail(new HandshakeFailed({ peer, reason, ...(shared ? { hint: hintFor(identities) } : rest) }))
      )
      yield* Effect.provide(hinted, Transport.layerNet)
    })
)

/** What the other side most likely has otherwise, the likeliest first. */
const hintFor = (identities: boolean): string =>
  "likely, in this order: it has another shared key; " +
  (identities
    ? "it wants none beside an identity, or does not know this identity; "
    : "it wants an identity and not a shared key (--identity); ") +
  "it was given another --name"

/** The identity; where a pin alone asks for it, the error names both ways. */
const identityFor = (reference: string, address: string, pinned: KnownPeer | undefined) =>
  Effect.gen(function* () {
    const load = loaded(reference, Identity)
    if (pinned === undefined) return yield* load
    const pair = yield* Effect.catchTag(
      load,
      "KeyFileMissing",
      () => new KnownServer.IdentityNeeded({ address, where: KnownServer.whereOf(pinned) })
    )
    if (existsSync(options.sharedKeyFile))
      yield* Effect.logDebug(
        `${address} is known by its own key (${KnownServer.whereOf(pinned)}), and ${options.sharedKeyFile} is not used; --key ${options.sharedKeyFile} uses it`
      )
    return pair
  })

const loaded = <Key>(reference: string, kind: KeyKind<Key>) =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(Effect.provide(KeyStore.layerReference(reference)))

import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { suiteFor, type Suite } from "../../channel/Suite.ts"
import type { HandshakeFailed, ServerKeyChanged } from "../../channel/ChannelErrors.ts"
import { Identity, SharedKey, type KeyKind } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
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
    ["sealwire send", `sends "Hello Server!" to ${options.originAddress} with ${options.sharedKeyFile}`],
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
      const identities = Option.isSome(identity) || Option.isSome(peer) || acceptNew
      const shared = Option.isSome(key) || !identities
      const psk = shared
        ? yield* loaded(
            Option.getOrElse(key, () => options.sharedKeyFile),
            SharedKey
          )
        : undefined
      const pair = identities ? yield* loaded(options.identityReference(identity), Identity) : undefined
      const [known] = identities
        ? yield* KnownServer.lookUp(KnownServer.addressOf(to), Option.getOrUndefined(peer), acceptNew)
        : []
      const held = {
        serverName: name,
        ...(psk === undefined ? {} : { psk }),
        ...(pair === undefined ? {} : { identity: pair })
      }
      const suite = (pinned: boolean) => suiteFor({ identities, shared, pinned }) as Suite

      const deliver = Effect.gen(function* () {
        const client = yield* Client.connect({
          address: to,
          padding,
          keys: { ...held, suite: suite(known !== undefined), ...(known === undefined ? {} : { serverKey: known.publicKey }) },
          checkServer: (publicKey) =>
            Effect.flatMap(KnownServer.pin(KnownServer.addressOf(to), publicKey), (pinned) => tell(Event.Pinned(pinned)))
        })
        yield* client.send(texts)
        const bytes = texts.reduce((sum, { length }) => sum + length, 0)
        yield* tell(Event.Delivered({ address: Address.format(to), messages: texts.length, bytes, suite: client.channel.suite }))
      }).pipe(Effect.scoped)

      // A pinned server that stays silent may have another key now; what it shows to a stranger tells.
      const diagnosed =
        known === undefined
          ? deliver
          : Effect.catchTag(deliver, "HandshakeFailed", (failed: HandshakeFailed) =>
              Client.probe({ address: to, keys: { ...held, suite: suite(false) } }).pipe(
                Effect.catchAll(() => Effect.succeed(undefined)),
                Effect.flatMap(
                  (offered): Effect.Effect<never, HandshakeFailed | ServerKeyChanged> =>
                    KnownServer.changed(known, offered) ?? failed
                )
              )
            )
      yield* Effect.provide(diagnosed, Transport.layerNet)
    })
)

const loaded = <Key>(reference: string, kind: KeyKind<Key>) =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(Effect.provide(KeyStore.layerReference(reference)))

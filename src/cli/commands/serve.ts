import * as Options from "@effect/cli/Options"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { suites as menu } from "../../channel/Suite.ts"
import { handleWith, Inbox } from "../../programs/Inbox.ts"
import * as Server from "../../programs/Server.ts"
import { HandledIds } from "../../programs/HandledIds.ts"
import { peerOf } from "../../programs/Store.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import * as AuthorizedPeers from "../AuthorizedPeers.ts"
import * as Control from "../Control.ts"
import { entry } from "../Entry.ts"
import * as InboxAt from "../InboxAt.ts"
import * as options from "../options.ts"
import { Report } from "../Report.ts"
import * as ServerIdentities from "../ServerIdentities.ts"
import * as SharedKeys from "../SharedKeys.ts"
import { Status } from "../Status.ts"
import { Event, type Manner } from "../words.ts"

/** They tell how much passes, in clear. */
const onLoopback = (address: Option.Option<Address.Address>) =>
  Option.match(address, {
    onNone: () => Effect.succeed(Option.none<Extract<Address.Address, { readonly _tag: "Tcp" }>>()),
    onSome: (at) =>
      at._tag === "Tcp" && Address.isLoopback(at)
        ? Effect.succeed(Option.some(at))
        : options.refuse("metrics", "figures go out in clear; name an address of this machine alone, such as :9100")
  })

export const serve = entry(
  ["serve"],
  "receive messages and print them, from those who hold the key",
  [
    ["sealwire serve", `on ${options.originAddress} with ${options.sharedKeyFile}, which it makes when it is missing`],
    ["sealwire serve --identity ./server.key", "with a key pair: each client has its own, named in authorized_peers"],
    ["sealwire serve --key alice=./alice.key --key bob=./bob.key", "several shared keys, each with the name of who holds it"],
    ["sealwire serve --listen 0.0.0.0:8080 --json", "from other machines, one JSON object a message"],
    ["sealwire serve --inbox ./inbox.db", "into a file, safe on the disk before the receipt; sealwire inbox take reads it"]
  ],
  {
    listen: options.listen,
    keys: SharedKeys.option,
    ...ServerIdentities.options,
    authorized: Options.text("authorized-peers").pipe(
      Options.withPseudoName("FILE"),
      Options.optional,
      Options.withDescription(
        `Whom to let in, one line a client: public-key name. A running server follows it; SIGHUP reads it again at once, and does not end the server. Default: ${options.shownConfig}/authorized_peers.`
      )
    ),
    name: options.serverName,
    padding: options.padding,
    ...InboxAt.serving,
    control: Options.text("control").pipe(
      Options.withPseudoName("SOCKET"),
      Options.optional,
      Options.withDescription(
        "Where sealwire status asks how this server is: the path of a socket that is made for this user alone."
      )
    ),
    metrics: options
      .optionalAddress("metrics", "Figures for Prometheus at /metrics, and /health, over plain HTTP: on this machine alone.")
      .pipe(Options.mapEffect(onLoopback)),
    config: options.config,
    json: options.json
  },
  ({ listen, keys, authorized, name, padding, inbox, control, metrics, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const manner = { json, wire: false, exact: false }
      const tell = (event: Event) => report.tell(event, manner)
      // Before anything that takes time: a hang-up is to be heard, and never to end a server, with peers or without.
      const hangUps = yield* AuthorizedPeers.hangUps
      const identities = yield* ServerIdentities.load(given)
      const [current] = identities
      const psks = yield* SharedKeys.load(
        keys.length > 0 || current !== undefined ? keys : [{ reference: options.sharedKeyFile }],
        tell
      )
      const shared = psks.length > 0
      const peersFile = Option.getOrElse(authorized, () => options.inConfig("authorized_peers"))
      const roster =
        current === undefined
          ? undefined
          : yield* AuthorizedPeers.follow(
              peersFile,
              psks.flatMap(({ name = [] }) => name),
              hangUps,
              tell
            )
      if (roster?.size === 0)
        yield* Effect.logWarning(
          `${peersFile} lets nobody in yet; sealwire peers add NAME KEY adds a client, and a running server sees it`
        )
      const suites = menu.filter((suite) => suite.identities === (current !== undefined) && suite.shared === shared)
      const store = Context.get(
        yield* Layer.build(Option.isNone(inbox) ? printing(report, manner) : yield* InboxAt.forServing(inbox.value, given)),
        Inbox
      )

      const status = new Status()
      if (Option.isSome(control)) yield* Control.answer(control.value, () => status.snapshot)
      if (Option.isSome(metrics)) yield* Control.metrics(metrics.value, () => status.snapshot)

      const handle = handleWith(store)
      const told = Server.ServerEvent.$match({
        Listening: ({ address }) =>
          Effect.zipRight(
            identities.length > 1 ? tell(Event.ServerKeys({ keys: identities })) : Effect.void,
            tell(
              Event.Serving({
                address: Address.format(address),
                suites: suites.map((suite) => suite.name),
                publicKey: current?.publicKey
              })
            )
          ),
        SessionStarted: (started) => tell(Event.SessionStarted(started)),
        SessionEnded: ({ sender, messages, error }) =>
          tell((error === undefined ? Event.SessionEnded : Event.SessionFailed)({ sender, messages, error: error?.message })),
        Stranger: (stranger) => tell(Event.Stranger(stranger))
      })
      yield* Server.serve({
        address: listen,
        padding,
        ...(roster === undefined ? {} : { roster }),
        keys: {
          serverName: name,
          suites,
          authorize: roster?.authorize ?? (() => "no public keys are taken here"),
          psks,
          identities
        },
        handle: (messages, sender) => Effect.tap(handle(messages, sender), () => status.count(sender, messages)),
        on: (event) => {
          status.hear(event, Address.format)
          return told(event)
        }
      }).pipe(Effect.provide(Transport.layerNet))
    }).pipe(Effect.scoped)
)

/** Standard output is the inbox of a server that is told none. */
const printing = (report: Context.Tag.Service<typeof Report>, manner: Manner) =>
  Layer.sync(Inbox, () => {
    const handled = new HandledIds()
    return {
      store: (messages, sender) =>
        handled.once(peerOf(sender), messages, (fresh) =>
          report.tellAll(
            fresh.map(({ id, text }) => Event.Received({ sender, id, text })),
            Event.ReceivedMany({ sender, messages: fresh.length, bytes: fresh.reduce((sum, { text }) => sum + text.length, 0) }),
            manner
          )
        )
    }
  })

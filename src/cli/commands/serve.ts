import * as Options from "@effect/cli/Options"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { suites as menu } from "../../channel/Suite.ts"
import * as FileService from "../../services/transfer/FileService.ts"
import { replyWith, handleWith, Inbox } from "../../services/inbox/Inbox.ts"
import { Deduplicator } from "../../services/messages/Deduplicator.ts"
import * as MessageService from "../../services/messages/MessageService.ts"
import * as Server from "../../services/Server.ts"
import type { RemotePeer } from "../../services/Service.ts"
import { peerOf } from "../../services/messages/MessageHandler.ts"
import { SafeDirectories } from "../../services/transfer/SafeDirectory.ts"
import { folderFailed } from "../../services/transfer/TransferErrors.ts"
import * as Address from "../../transports/Address.ts"
import { connectionsBelowDescriptorLimit } from "../../transports/limits.ts"
import { Transport } from "../../transports/index.ts"
import * as AuthorizedPeers from "../connection/AuthorizedPeers.ts"
import * as Control from "../connection/Control.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as Forwards from "../connection/Forwards.ts"
import * as InboxAt from "./inbox/InboxAt.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import * as ServerIdentities from "../connection/ServerIdentities.ts"
import * as SharedKeys from "../connection/SharedKeys.ts"
import { Status } from "../output/Status.ts"
import { Event } from "../output/events/index.ts"
import { batchSummary } from "../output/events/messageEvents.ts"
import { plural } from "../output/events/phrases.ts"
import type { OutputMode } from "../output/events/EventText.ts"

export const serve = commandSpec(
  ["serve"],
  "receive messages and print them, from those who hold the key",
  [
    [
      "sealwire serve",
      `on ${options.originAddress} with ${options.sharedKeyFile}, which it makes when it is missing`
    ],
    [
      "sealwire serve --identity ./server.key",
      "with a key pair: each client has its own, named in authorized_peers"
    ],
    [
      "sealwire serve --key alice=./alice.key --key bob=./bob.key",
      "several shared keys, each with the name of who holds it"
    ],
    [
      "sealwire serve --listen 0.0.0.0:8080 --json",
      "from other machines, one JSON object a message"
    ],
    [
      "sealwire serve --forward postgres=127.0.0.1:5432",
      "and a way to a service of this machine, for sealwire tunnel"
    ],
    [
      "sealwire serve --inbox ./inbox.db",
      "into a file, safe on the disk before the receipt; sealwire inbox take reads it"
    ]
  ],
  {
    listen: options.listen,
    keys: SharedKeys.option,
    ...ServerIdentities.options,
    authorized: Options.text("authorized-peers").pipe(
      Options.withPseudoName("FILE"),
      Options.optional,
      Options.withDescription(
        `Whom to let in, one line a client: public-key name. A running server follows it; SIGHUP reads it again at once, and does not end the server. Default: ${options.shownConfigFolder}/authorized_peers.`
      )
    ),
    name: options.serverName,
    padding: options.padding,
    ...InboxAt.serving,
    ...Forwards.serving,
    files: Options.text("files").pipe(
      Options.withPseudoName("DIR"),
      Options.optional,
      Options.withDescription(
        "The folder that sealwire push and pull write and read; authorized_peers says who may do what in which part of it."
      )
    ),
    ...Control.options,
    config: options.config,
    json: options.json
  },
  ({ listen, keys, authorized, name, padding, inbox, files, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const mode = { json, wire: false, exact: false, stamped: true }
      const tell = (event: Event) => report.emit(event, mode)
      // Before anything that takes time: a hang-up is to be heard, and never to end a server, with peers or without.
      const hangUps = yield* AuthorizedPeers.hangUps
      const tunnels = yield* Forwards.services(given)
      const identities = yield* ServerIdentities.load(given)
      const [current] = identities
      const psks = yield* SharedKeys.load(
        keys.length > 0 || current !== undefined ? keys : [{ reference: options.sharedKeyFile }],
        tell
      )
      const shared = psks.length > 0
      const peersFile = Option.getOrElse(authorized, () => options.configPath("authorized_peers"))
      const peers =
        current === undefined
          ? undefined
          : yield* AuthorizedPeers.follow(
              peersFile,
              psks.flatMap(({ name = [] }) => name),
              hangUps,
              tell
            )
      if (peers?.size === 0)
        yield* Effect.logWarning(
          `${peersFile} lets nobody in yet; sealwire peers add NAME KEY adds a client, and a running server sees it`
        )
      const suites = menu.filter(
        (suite) => suite.hasIdentities === (current !== undefined) && suite.hasSharedKey === shared
      )
      const served = Option.isNone(files)
        ? []
        : [
            FileService.service({
              folder: yield* servable(files.value),
              onStored: (stored) => tell(Event.FilesStored(stored)),
              onDiskFailed: (sender, { message }) =>
                tell(Event.FileFailed({ sender, text: message }))
            })
          ]
      const others = [...served, ...tunnels]
      // Where messages would be lost, a server that does something else takes none.
      const built =
        others.length > 0 && InboxAt.isClosedOutput(inbox)
          ? undefined
          : yield* Layer.build(
              Option.isNone(inbox)
                ? printing(report, mode)
                : yield* InboxAt.openForServing(inbox.value, given)
            )
      const services = [
        ...(built === undefined ? [] : [messagesInto(Context.get(built, Inbox))]),
        ...others
      ]
      const status = new Status()
      yield* Control.open(
        given,
        Effect.map(
          built === undefined ? Effect.succeed(undefined) : InboxAt.inboxDepth(built),
          (depth) => status.snapshot(depth)
        )
      )

      const told = Server.ServerEvent.$match({
        Listening: ({ address }) =>
          Effect.zipRight(
            identities.length > 1
              ? tell(Event.ServerKeysAnnounced({ keys: identities }))
              : Effect.void,
            tell(
              Event.ServerListening({
                address: Address.format(address),
                suites: suites.map((suite) => suite.name),
                publicKey: current?.publicKey
              })
            )
          ),
        SessionStarted: (started) => tell(Event.SessionStarted(started)),
        SessionEnded: ({ error, ...ended }) =>
          tell(
            (error === undefined ? Event.SessionEnded : Event.SessionFailed)({
              ...ended,
              error: error?.message
            })
          ),
        ConnectionRefused: (stranger) => tell(Event.ConnectionRefused(stranger))
      })
      yield* Server.serve({
        address: listen,
        padding,
        // Each tunnel takes a second descriptor, for its target.
        ...(tunnels.length === 0
          ? {}
          : { connections: Math.floor(connectionsBelowDescriptorLimit() / 2) }),
        ...(peers === undefined ? {} : { peers }),
        keys: {
          serverName: name,
          suites,
          authorize: peers?.authorize ?? (() => "no public keys are taken here"),
          psks,
          identities
        },
        services,
        on: (event) => {
          status.record(event, Address.format)
          return told(event)
        }
      })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)

/** For `--log-level debug`: what each batch took. */
const logged = <A>(
  handling: Effect.Effect<A, MessageService.MessageRefused>,
  sender: RemotePeer,
  messages: number
) =>
  Effect.gen(function* () {
    const begun = performance.now()
    const result = yield* Effect.either(handling)
    const millis = Math.round((performance.now() - begun) * 10) / 10
    const outcome = result._tag === "Right" ? "handled" : `not handled (${result.left.reason})`
    yield* Effect.logDebug(
      `${sender.peer}: ${plural(messages, "message")} ${outcome} in ${millis} ms`
    ).pipe(
      Effect.annotateLogs({
        event: "batch-handled",
        peer: sender.peer,
        from: sender.from,
        messages,
        millis,
        handled: result._tag === "Right"
      })
    )
    return yield* result
  })

const messagesInto = (inbox: Context.Tag.Service<typeof Inbox>) => {
  const [handle, answer] = [handleWith(inbox), replyWith(inbox)]
  return MessageService.service(
    (messages, sender) => logged(handle(messages, sender), sender, messages.length),
    {
      reply: answer && ((message, sender) => logged(answer(message, sender), sender, 1))
    }
  )
}

/** A folder that is there, before anybody comes. */
const servable = (folder: string) =>
  Effect.as(
    Effect.try({ try: () => new SafeDirectories(folder).close(), catch: folderFailed(folder) }),
    folder
  )

/** Standard output is the inbox of a server that is told none. */
const printing = (report: Context.Tag.Service<typeof Report>, mode: OutputMode) =>
  Layer.sync(Inbox, () => {
    const handled = new Deduplicator()
    return {
      handle: (messages, sender) =>
        handled.handleOnce(peerOf(sender), messages, (fresh) =>
          report.emitAll(
            fresh.map(({ id, text }) => Event.MessageReceived({ sender, id, text })),
            batchSummary(
              sender,
              fresh.map(({ text }) => text)
            ),
            mode
          )
        )
    }
  })

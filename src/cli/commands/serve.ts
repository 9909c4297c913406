import { shown } from "../../bytes/excerpt.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { suites as allSuites, type Suite } from "../../channel/Suite.ts"
import * as FileService from "../../services/transfer/FileService.ts"
import { replyWith, handleWith, Inbox } from "../../services/inbox/Inbox.ts"
import { Deduplicator } from "../../services/messages/Deduplicator.ts"
import * as MessageService from "../../services/messages/MessageService.ts"
import { limits as peerLimits } from "../../services/limits.ts"
import * as Server from "../../services/Server.ts"
import type { RemotePeer } from "../../services/Service.ts"
import { senderId } from "../../services/messages/MessageHandler.ts"
import { SafeDirectories } from "../../services/transfer/SafeDirectory.ts"
import { folderFailed } from "../../services/transfer/TransferErrors.ts"
import * as Address from "../../transports/Address.ts"
import { connectionsBelowDescriptorLimit } from "../../transports/limits.ts"
import { Transport } from "../../transports/index.ts"
import * as AuthorizedPeers from "../connection/AuthorizedPeers.ts"
import * as Control from "../connection/Control.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as Forwards from "../connection/Forwards.ts"
import * as InboxAt from "../connection/InboxAt.ts"
import * as options from "../arguments/options.ts"
import * as ReadyParts from "../connection/ReadyParts.ts"
import { Report } from "../output/Report.ts"
import { connectionRefusals, type RefusedConnection } from "../output/refusals.ts"
import * as ServerIdentities from "../connection/ServerIdentities.ts"
import * as SharedKeys from "../connection/SharedKeys.ts"
import { Status } from "../output/Status.ts"
import { Event } from "../output/events/index.ts"
import { batchSummary } from "../output/events/messageEvents.ts"
import { plural } from "../output/events/phrases.ts"
import type { OutputMode } from "../output/events/EventText.ts"

export const serve = commandSpec(
  {
    path: ["serve"],
    group: "Communicate",
    summary: "receive messages from authenticated clients and print them",
    examples: [
      [
        "sealwire serve",
        `listen on ${options.originAddress} with your identity if you have one, else with ${options.sharedKeyFile}, created if it is missing`
      ],
      [
        "sealwire serve --identity ./server.key",
        "use a key pair; authorized_peers lists the public keys of clients"
      ],
      [
        "sealwire serve --key alice=./alice.key --key bob=./bob.key",
        "use several shared keys, each with the name of its client"
      ],
      [
        "sealwire serve --listen 0.0.0.0:8080 --json",
        "accept other machines, write one JSON object per message"
      ],
      [
        "sealwire serve --forward postgres=127.0.0.1:5432",
        "also give clients of sealwire tunnel access to a local service"
      ],
      [
        "sealwire serve --inbox ./inbox.db",
        "store each message on disk before acknowledging it; sealwire inbox take reads them"
      ]
    ]
  },
  {
    listen: options.listen,
    keys: SharedKeys.option.pipe(Flag.withGroup("Keys and clients")),
    ...ServerIdentities.options,
    authorized: options.authorizedPeers.pipe(
      Flag.withGroup("Keys and clients"),
      Flag.withDescription(
        `File of authorized clients, one "public-key name" per line. Reloaded when it changes and on SIGHUP.`,
        `${options.shownConfigFolder}/authorized_peers`
      )
    ),
    serverName: options.serverName.pipe(Flag.withGroup("Keys and clients")),
    padding: options.padding,
    ...InboxAt.serveOptions,
    ...Forwards.serveOptions,
    files: Flag.text("files").pipe(
      Flag.withValue("DIR"),
      Flag.optional,
      Flag.withDescription(
        "Folder for sealwire push and pull. The rules in authorized_peers restrict each client to parts of it."
      )
    ),
    peerConnections: options
      .integer(
        "peer-connections",
        `Maximum number of connections of one client; connections= in authorized_peers overrides it.`
      )
      .pipe(
        Flag.optional,
        Flag.withShownDefault(`${peerLimits.peerConnections}, and at most half of all`)
      ),
    peerMemory: options
      .size(
        "peer-memory",
        `Maximum memory for the unfinished requests of one client, such as 64M; memory= in authorized_peers overrides it.`
      )
      .pipe(Flag.optional, Flag.withShownDefault(`${peerLimits.peerMemory / 1024 ** 2}M`)),
    ...Control.options,
    config: options.config,
    json: options.json
  },
  ({ listen, keys, authorized, serverName, padding, inbox, files, json, ...flags }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const mode = { json, wire: false, exact: false, stamped: true }
      const emit = (event: Event) => report.emit(event, mode)
      // First: a SIGHUP during startup must not end the server, with or without authorized peers.
      const hangUps = yield* AuthorizedPeers.hangUps
      const tunnels = yield* Forwards.services(flags)
      const identities = yield* ServerIdentities.load(flags, {
        isNeeded: Option.isSome(authorized),
        hasSharedKey: keys.length > 0
      })
      const [current] = identities
      const psks = yield* SharedKeys.load(
        keys.length > 0 || current !== undefined ? keys : [{ reference: options.sharedKeyFile }],
        emit
      )
      const peers =
        current === undefined
          ? undefined
          : yield* loadPeers(
              Option.getOrElse(authorized, () => options.configPath("authorized_peers")),
              psks.flatMap(({ name = [] }) => name),
              hangUps,
              emit
            )
      const suites = allSuites.filter(
        ({ hasIdentities, hasSharedKey }) =>
          hasIdentities === (current !== undefined) && hasSharedKey === psks.length > 0
      )
      const others = [...(yield* fileServices(files, emit)), ...tunnels]
      // Without an inbox or standard output, a server with other services does not offer messages.
      const inboxContext =
        others.length > 0 && InboxAt.isClosedOutput(inbox)
          ? undefined
          : yield* openInbox(inbox, flags, report, mode)
      const messages =
        inboxContext === undefined ? [] : [messageService(Context.get(inboxContext, Inbox))]
      const status = new Status()
      const readiness = ReadyParts.readiness(1)
      for (const part of inboxContext === undefined ? [] : ReadyParts.inbox(inboxContext))
        readiness.add(part)
      if (Option.isSome(files)) readiness.add(ReadyParts.files(files.value))
      yield* Control.open(flags, {
        status,
        readiness,
        ...(inboxContext === undefined ? {} : { inbox: InboxAt.inboxDepth(inboxContext) })
      })
      const onEvent = reportEvents(emit, identities, suites, yield* connectionRefusals(emit))
      yield* Server.serve({
        address: listen,
        padding,
        // Each tunnel needs a second descriptor, for its target.
        ...(tunnels.length === 0
          ? {}
          : { connections: Math.floor(connectionsBelowDescriptorLimit() / 2) }),
        ...(peers === undefined ? {} : { peers }),
        ...Option.match(flags.peerConnections, {
          onNone: () => ({}),
          onSome: (peerConnections) => ({ peerConnections })
        }),
        ...Option.match(flags.peerMemory, {
          onNone: () => ({}),
          onSome: (peerMemory) => ({ peerMemory })
        }),
        keys: {
          serverName,
          suites,
          authorize: peers?.authorize ?? (() => "this server accepts no public keys"),
          psks,
          identities
        },
        services: [...messages, ...others],
        on: (event) => {
          status.record(event, Address.format)
          readiness.record(event)
          return onEvent(event)
        }
      })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet)),
  {
    validate: ([flags]) =>
      flags === undefined
        ? Effect.void
        : Effect.all(
            [
              Control.metricsAddress(flags),
              Forwards.validate(flags),
              ServerIdentities.validate(flags),
              InboxAt.validate(flags.inbox, flags)
            ],
            { discard: true }
          )
  }
)

type Emit = (event: Event) => Effect.Effect<void>

/** Loads authorized_peers and follows its changes. Warns if it lists no client. */
const loadPeers = (
  file: string,
  sharedKeyNames: ReadonlyArray<string>,
  hangUps: Parameters<typeof AuthorizedPeers.follow>[2],
  emit: Emit
) =>
  Effect.tap(AuthorizedPeers.follow(file, sharedKeyNames, hangUps, emit), ({ size }) =>
    size === 0
      ? Effect.logWarning(
          `${shown(file)} authorizes no client yet; add one: sealwire peers add NAME KEY (no restart needed)`
        )
      : Effect.void
  )

/** The file service of `--files`, if it is given. Fails if the folder cannot be opened. */
const fileServices = (files: Option.Option<string>, emit: Emit) =>
  Option.match(files, {
    onNone: () => Effect.succeed([]),
    onSome: (folder) =>
      Effect.map(
        Effect.try({ try: () => new SafeDirectories(folder).close(), catch: folderFailed(folder) }),
        () => [
          FileService.service({
            folder,
            onStored: (stored) => emit(Event.FilesStored(stored)),
            onDiskFailed: (sender, { message }) => emit(Event.FileFailed({ sender, text: message }))
          })
        ]
      )
  })

/** Emits the events of the server. */
const reportEvents = (
  emit: Emit,
  identities: Effect.Effect.Success<ReturnType<typeof ServerIdentities.load>>,
  suites: ReadonlyArray<Suite>,
  onRefused: (refused: RefusedConnection) => Effect.Effect<void>
) =>
  Server.ServerEvent.$match({
    Listening: ({ address }) =>
      Effect.zipRight(
        identities.length > 1 ? emit(Event.ServerKeysAnnounced({ keys: identities })) : Effect.void,
        emit(
          Event.ServerListening({
            address: Address.format(address),
            suites: suites.map((suite) => suite.name),
            publicKey: identities[0]?.publicKey
          })
        )
      ),
    Stopping: () => Effect.void,
    SessionStarted: (started) => emit(Event.SessionStarted(started)),
    SessionEnded: ({ error, ...ended }) =>
      emit(
        (error === undefined ? Event.SessionEnded : Event.SessionFailed)({
          ...ended,
          error: error?.message
        })
      ),
    ConnectionRefused: onRefused
  })

const openInbox = (
  inbox: Option.Option<string>,
  flags: Parameters<typeof InboxAt.openForServing>[1],
  report: Context.Tag.Service<typeof Report>,
  mode: OutputMode
) =>
  Effect.flatMap(
    Option.match(inbox, {
      onNone: () => Effect.succeed(printingInbox(report, mode)),
      onSome: (reference) => InboxAt.openForServing(reference, flags)
    }),
    (layer) => Layer.build(layer)
  )

/** Logs the outcome and the duration of a batch at level debug. */
const logBatch = <A>(
  handling: Effect.Effect<A, MessageService.MessageRefused>,
  sender: RemotePeer,
  messages: number
) =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    const result = yield* Effect.either(handling)
    const millis = Math.round((performance.now() - startedAt) * 10) / 10
    const handled = Either.isRight(result)
    const outcome = handled ? "handled" : `not handled (${result.left.reason})`
    yield* Effect.logDebug(
      `${sender.peer}: ${plural(messages, "message")} ${outcome} in ${millis} ms`
    ).pipe(
      Effect.annotateLogs({
        event: "batch-handled",
        peer: sender.peer,
        from: sender.from,
        messages,
        millis,
        handled
      })
    )
    return yield* result
  })

const messageService = (inbox: Context.Tag.Service<typeof Inbox>) => {
  const [handle, reply] = [handleWith(inbox), replyWith(inbox)]
  return MessageService.service(
    (messages, sender) => logBatch(handle(messages, sender), sender, messages.length),
    {
      reply: reply && ((message, sender) => logBatch(reply(message, sender), sender, 1))
    }
  )
}

/** The default inbox: standard output. */
const printingInbox = (report: Context.Tag.Service<typeof Report>, mode: OutputMode) =>
  Layer.sync(Inbox, () => {
    const deduplicator = new Deduplicator()
    return {
      handle: (messages, sender) =>
        deduplicator.handleOnce(senderId(sender), messages, (fresh) =>
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

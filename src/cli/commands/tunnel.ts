import * as Options from "@effect/cli/Options"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Status } from "../output/Status.ts"
import * as TunnelService from "../../services/tunnel/TunnelService.ts"
import * as TunnelClient from "../../services/tunnel/TunnelClient.ts"
import * as ChannelPool from "../../services/tunnel/ChannelPool.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/index.ts"
import * as Control from "../connection/Control.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import * as ServerConnection from "../connection/ServerConnection.ts"
import { Report } from "../output/Report.ts"
import {
  carryAll,
  forOthers,
  overStdio,
  reachableByOthers,
  unsafeListen,
  type ListenGiven
} from "../connection/TunnelEnd.ts"
import type { Event } from "../output/events/index.ts"
import { target } from "./pipe.ts"

/** Standard input and output, as an address of inetd's. */
const stdio = "-"

const listen = Options.text("listen").pipe(
  Options.withPseudoName("ADDRESS"),
  Options.mapEffect(
    (text): Effect.Effect<typeof stdio | Address.Address, ValidationError.ValidationError> =>
      text === stdio
        ? Effect.succeed(stdio)
        : Either.match(Address.parse(text), {
            onLeft: ({ message }) => options.optionError("listen", message),
            onRight: (address) => Effect.succeed(address)
          })
  ),
  Options.withDescription(
    `Where programs of this machine connect: ${options.addressForms(true)}; ${stdio} is the one connection that standard input and output are (inetd).`
  )
)

type Given = Omit<ListenGiven, "listen"> & {
  readonly listen: typeof stdio | Address.Address
  readonly json: boolean
} & Parameters<typeof Control.open>[0]

export const tunnel = commandSpec(
  ["tunnel"],
  "an address of this machine that comes out at a target of a server",
  [
    [
      "sealwire tunnel --listen :5432 --to db.example:8080 --target postgres",
      "then psql -h 127.0.0.1 reaches what serve --forward postgres=… names there"
    ],
    [
      "sealwire tunnel --listen /run/app/db.sock --to db.example:8080",
      "at a Unix socket, to the only target"
    ],
    [
      "sealwire tunnel --listen - --to db.example:8080",
      "standard input and output, as inetd gives them"
    ]
  ],
  {
    listen,
    ...ServerConnection.options,
    target,
    pool: options
      .integer(
        "pool",
        "How many channels are kept ready, so that a connection waits for no handshake; they cost the target nothing. 0: none.",
        [0, ChannelPool.limits.maxReady]
      )
      .pipe(Options.withDefault(ChannelPool.limits.ready)),
    connections: options
      .integer(
        "connections",
        "Connections at once; newcomers beyond are reset. Default: half of the file descriptors."
      )
      .pipe(Options.optional),
    rate: options
      .integer("rate", "New connections in a second; beyond they are reset.")
      .pipe(Options.withDefault(TunnelClient.limits.newPerSecond)),
    idle: options
      .duration(
        "idle",
        `How long nothing may go through a connection before it is ended. Default: ${TunnelService.limits.idle}.`
      )
      .pipe(Options.withDefault(Duration.decode(TunnelService.limits.idle))),
    unsafeListenToAnyone: Options.boolean(unsafeListen).pipe(
      Options.withDescription(
        "Allow other machines to connect: anybody who can reach the address uses the tunnel, in clear."
      )
    ),
    padding: options.padding,
    ...Control.options,
    config: options.config.pipe(
      Options.withDescription(
        "Options from a TOML file, by their names here. Several tunnels are several [[tunnel]] tables; what stands above them holds for all."
      )
    ),
    json: options.json
  },
  (given) => run([given]),
  {
    table: "tunnel",
    sharedOptions: ["control", "metrics", "json"],
    validate: (given) => fits(given),
    run: (given: ReadonlyArray<Given>) => run(given)
  }
)

/** What can be known before anything is done. */
const fits = (all: ReadonlyArray<Given>): Effect.Effect<void, ValidationError.ValidationError> =>
  Effect.gen(function* () {
    const places = new Set<string>()
    for (const { listen, ...given } of all) {
      if (listen !== stdio && forOthers(listen, given)) return yield* reachableByOthers(listen)
      const place = listen === stdio ? stdio : Address.format(listen)
      // A port that the system chooses is another one each time.
      if (places.has(place) && !place.endsWith(":0"))
        return yield* options.optionError("listen", `two tunnels listen at ${place}`)
      places.add(place)
    }
    return undefined
  })

/** Several share what is not a tunnel's own: those options are the first one's. */
const run = (all: ReadonlyArray<Given>) =>
  Effect.gen(function* () {
    const report = yield* Report
    const [first] = all
    if (first === undefined) return
    yield* fits(all)
    const tell = (event: Event) =>
      report.emit(event, { json: first.json, wire: false, exact: false })
    const status = new Status()
    yield* Control.open(
      first,
      Effect.sync(() => status.snapshot(undefined))
    )
    yield* Effect.all(
      all.map(({ listen, ...given }) =>
        listen === stdio
          ? overStdio(given, tell, given.idle)
          : carryAll({ ...given, listen }, status, tell)
      ),
      { concurrency: "unbounded", discard: true }
    )
  }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))

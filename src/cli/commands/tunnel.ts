import * as Flag from "../arguments/Flag.ts"
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
import * as ReadyParts from "../connection/ReadyParts.ts"
import * as ServerFlags from "../connection/ServerFlags.ts"
import { Report } from "../output/Report.ts"
import {
  exposedError,
  forwardListener,
  forwardStdio,
  isExposed,
  unsafeListen,
  type ListenFlags
} from "../connection/TunnelEnd.ts"
import type { Event } from "../output/events/index.ts"
import { target } from "./pipe.ts"

/** The value of --listen for one connection on standard input and output, as inetd provides it. */
const stdio = "-"

const listen = Flag.text("listen").pipe(
  Flag.withValue("ADDRESS"),
  Flag.mapEffect(
    (text): Effect.Effect<typeof stdio | Address.Address, ValidationError.ValidationError> =>
      text === stdio
        ? Effect.succeed(stdio)
        : Either.match(Address.parse(text), {
            onLeft: ({ message }) => options.optionError("listen", message),
            onRight: (address) => Effect.succeed(address)
          })
  ),
  Flag.withDescription(
    `Local address for programs; ${stdio} for one connection on standard input and output (inetd).`
  )
)

type Flags = Omit<ListenFlags, "listen"> & {
  readonly listen: typeof stdio | Address.Address
  readonly json: boolean
} & Parameters<typeof Control.open>[0]

export const tunnel = commandSpec(
  {
    path: ["tunnel"],
    group: "Tunnels",
    summary: "forward a local address to a service of a server, like ssh -L",
    examples: [
      [
        "sealwire tunnel --listen :5432 --to db.example:8080 --target postgres",
        "psql -h 127.0.0.1 then reaches the target of serve --forward postgres=…"
      ],
      [
        "sealwire tunnel --listen /run/app/db.sock --to db.example:8080",
        "listen on a Unix socket, for the only target"
      ],
      [
        "sealwire tunnel --listen - --to db.example:8080",
        "use standard input and output, as started by inetd"
      ]
    ]
  },
  {
    listen,
    ...ServerFlags.options,
    target,
    pool: options
      .integer(
        "pool",
        "Channels kept ready, to save each connection a handshake. They do not connect to the target. 0: none.",
        [0, ChannelPool.limits.maxReady]
      )
      .pipe(Flag.withDefault(ChannelPool.limits.ready)),
    connections: options
      .integer("connections", "Maximum number of connections; further ones are reset.")
      .pipe(Flag.optional, Flag.withShownDefault("half of the file descriptors")),
    rate: options
      .integer("rate", "Maximum number of new connections per second; further ones are reset.")
      .pipe(Flag.withDefault(TunnelClient.limits.newPerSecond)),
    idle: options
      .duration("idle", "Close a connection after this time without traffic.")
      .pipe(Flag.withDefault(Duration.decode(TunnelService.limits.idle))),
    unsafeListenToAnyone: Flag.boolean(unsafeListen).pipe(
      Flag.withDescription(
        "Allow other machines to connect: anyone who can reach the address uses the tunnel, unencrypted."
      )
    ),
    padding: options.padding,
    ...Control.options,
    config: options.config.pipe(
      Flag.withDescription(
        "Read options from a TOML file, by their names. Use one [[tunnel]] table per tunnel; options above the tables apply to all."
      )
    ),
    json: options.json
  },
  (flags) => run([flags]),
  {
    validate: (all) => validate(all),
    multiInstance: {
      table: "tunnel",
      sharedOptions: ["control", "metrics", "unsafe-metrics-to-anyone", "json"],
      run: (all: ReadonlyArray<Flags>) => run(all)
    }
  }
)

/** Checks the addresses without listening. */
const validate = (
  all: ReadonlyArray<Flags>
): Effect.Effect<void, ValidationError.ValidationError> =>
  Effect.gen(function* () {
    const addresses = new Set<string>()
    for (const { listen, ...flags } of all) {
      yield* Control.metricsAddress(flags)
      if (listen !== stdio && isExposed(listen, flags)) return yield* exposedError(listen)
      const address = listen === stdio ? stdio : Address.format(listen)
      // Port 0 stands for a different port each time.
      if (addresses.has(address) && !address.endsWith(":0"))
        return yield* options.optionError("listen", `two tunnels listen on ${address}`)
      addresses.add(address)
    }
    return undefined
  })

/** The options that several tunnels share are taken from the first one. */
const run = (all: ReadonlyArray<Flags>) =>
  Effect.gen(function* () {
    const report = yield* Report
    const [first] = all
    if (first === undefined) return
    const emit = (event: Event) =>
      report.emit(event, { json: first.json, wire: false, exact: false })
    const status = new Status()
    const readiness = ReadyParts.readiness(all.filter(({ listen }) => listen !== stdio).length)
    yield* Control.open(first, { status, readiness })
    yield* Effect.all(
      all.map(({ listen, ...flags }) =>
        listen === stdio
          ? forwardStdio(flags, emit, flags.idle)
          : forwardListener({ ...flags, listen }, { status, readiness }, emit)
      ),
      { concurrency: "unbounded", discard: true }
    )
  }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))

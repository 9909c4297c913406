// The status of a running server: a Unix socket for `sealwire status`, and HTTP for balancers and
// Prometheus.
import * as Flag from "../arguments/Flag.ts"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Printable from "../../bytes/Printable.ts"
import type { Address } from "../../transports/Address.ts"
import * as Addresses from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import type { ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"
import * as shared from "../arguments/options.ts"
import type { Snapshot, Status } from "../output/Status.ts"
import * as HttpPages from "./HttpPages.ts"
import type { Readiness } from "./ReadyParts.ts"

type Tcp = Extract<Address, { readonly _tag: "Tcp" }>

const unsafe = "unsafe-metrics-to-anyone"

/** Metrics reveal the amount of traffic, without encryption: only this machine may read them. */
export const metricsAddress = ({
  metrics,
  unsafeMetricsToAnyone
}: Pick<Flags, "metrics" | "unsafeMetricsToAnyone">): Effect.Effect<
  Option.Option<Tcp>,
  ValidationError.ValidationError
> =>
  Option.match(metrics, {
    onNone: () => Effect.succeed(Option.none<Tcp>()),
    onSome: (at) =>
      at._tag === "Tcp" && (unsafeMetricsToAnyone || Addresses.isLoopback(at))
        ? Effect.succeed(Option.some(at))
        : shared.optionError(
            "metrics",
            `metrics are not encrypted; use a loopback address, such as :9100, or add --${unsafe}`
          )
  })

export const options = Flag.grouped("Monitoring", {
  control: Flag.text("control").pipe(
    Flag.completing("file"),
    Flag.withValue("SOCKET"),
    Flag.mapEffect((text) =>
      Either.match(Addresses.parseUnix(text), {
        onLeft: ({ message }) => shared.optionError("control", message),
        onRight: Effect.succeed
      })
    ),
    Flag.optional,
    Flag.withDescription("Path of the control socket for sealwire status; created with mode 0600.")
  ),
  metrics: shared.optionalAddress(
    "metrics",
    "Serve Prometheus metrics at /metrics, and /ready and /health, over plain HTTP on a loopback address."
  ),
  unsafeMetricsToAnyone: Flag.boolean(unsafe).pipe(
    Flag.withDescription(
      "Allow an address for --metrics that other machines can reach: anyone there reads the amount of traffic, unencrypted."
    )
  )
})

export interface Flags {
  readonly control: Option.Option<Address>
  readonly metrics: Option.Option<Address>
  readonly unsafeMetricsToAnyone: boolean
}

/** The state that the control socket and the pages show. */
export interface Sources {
  readonly status: Status
  readonly readiness: Readiness
  /** The depth of the inbox, if there is one. */
  readonly inbox?: Effect.Effect<Snapshot["inbox"]>
}

/** Opens the control socket and the metrics address that the options name. */
export const open = (
  { control, ...flags }: Flags,
  { status, readiness, inbox = Effect.succeed(undefined) }: Sources
): Effect.Effect<void, PortInUse | ListenFailed | ValidationError.ValidationError, Scope.Scope> =>
  Effect.gen(function* () {
    const at = yield* metricsAddress(flags)
    const notReady = yield* readiness.make
    const snapshot = Effect.map(
      Effect.all([inbox, notReady], { concurrency: "unbounded" }),
      (found) => status.snapshot(...found)
    )
    if (Option.isSome(control)) yield* serveControl(control.value, snapshot)
    if (Option.isSome(at)) yield* HttpPages.serve(at.value, { snapshot, notReady })
  })

/** Connections at a time to the control socket. */
const maxConnections = 16

/** Sends each connection one snapshot as a line of JSON. Mode 0600: only this user connects. */
const serveControl = (
  address: Address,
  snapshot: Effect.Effect<Snapshot>
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Net.listen(
      address,
      (connection) =>
        Effect.flatMap(snapshot, (current) =>
          connection.write(Buffer.from(`${Printable.json(current)}\n`))
        ).pipe(Effect.zipRight(connection.end), Effect.ignore),
      { connections: maxConnections }
    )
  )

// The status of a running server: a Unix socket for `sealwire status`, and HTTP for Prometheus.
import { createServer } from "node:http"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Printable from "../../bytes/Printable.ts"
import type { Address } from "../../transports/Address.ts"
import * as Addresses from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import { ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"
import * as shared from "../arguments/options.ts"
import { formatMetrics, type Snapshot } from "../output/Status.ts"

type Tcp = Extract<Address, { readonly _tag: "Tcp" }>

/** Metrics reveal the amount of traffic, without encryption: only this machine may read them. */
const onLoopback = (address: Option.Option<Address>) =>
  Option.match(address, {
    onNone: () => Effect.succeed(Option.none<Tcp>()),
    onSome: (at) =>
      at._tag === "Tcp" && Addresses.isLoopback(at)
        ? Effect.succeed(Option.some(at))
        : shared.optionError(
            "metrics",
            "metrics are not encrypted; use a loopback address, such as :9100"
          )
  })

export const options = {
  control: Options.text("control").pipe(
    Options.withPseudoName("SOCKET"),
    Options.mapEffect((text) =>
      Either.match(Addresses.parseUnix(text), {
        onLeft: ({ message }) => shared.optionError("control", message),
        onRight: Effect.succeed
      })
    ),
    Options.optional,
    Options.withDescription(
      "Path of the control socket for sealwire status; created with mode 0600."
    )
  ),
  metrics: shared
    .optionalAddress(
      "metrics",
      "Serve Prometheus metrics at /metrics, and /health, over plain HTTP on a loopback address."
    )
    .pipe(Options.mapEffect(onLoopback))
}

/** Opens the control socket and the metrics address that the options name. */
export const open = (
  {
    control,
    metrics: at
  }: { readonly control: Option.Option<Address>; readonly metrics: Option.Option<Tcp> },
  snapshot: Effect.Effect<Snapshot>
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.gen(function* () {
    if (Option.isSome(control)) yield* serveControl(control.value, snapshot)
    if (Option.isSome(at)) yield* serveMetrics(at.value, snapshot)
  })

/** Connections at a time, to either address. */
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

const pages: Readonly<Record<string, (snapshot: Snapshot) => string>> = {
  "/metrics": formatMetrics,
  "/health": () => "ok\n"
}

/** Serves `/metrics` for Prometheus and `/health` over plain HTTP. */
const serveMetrics = (
  address: Tcp,
  snapshot: Effect.Effect<Snapshot>
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>, PortInUse | ListenFailed>((resume) => {
        const server = createServer(
          { requestTimeout: 5000 },
          ({ method, url, headers }, response) => {
            // DNS rebinding: a web page whose host name resolves to loopback must not read metrics.
            const host = (headers.host ?? "").replace(/:\d+$/, "")
            if (host !== "localhost" && !Addresses.isLoopbackHost(host.replace(/^\[|\]$/g, "")))
              return void response.writeHead(403).end()
            const page = pages[url ?? ""]
            if (page === undefined || (method !== "GET" && method !== "HEAD"))
              return void response.writeHead(404).end()
            Effect.runCallback(Effect.map(snapshot, page), {
              onExit: (exit) =>
                exit._tag === "Failure"
                  ? response.writeHead(500).end()
                  : response
                      .writeHead(200, {
                        "content-type": "text/plain; version=0.0.4; charset=utf-8"
                      })
                      .end(exit.value)
            })
          }
        )
        server.maxConnections = maxConnections
        server.once("error", ({ code = "" }: NodeJS.ErrnoException) => {
          const at = Addresses.format(address)
          resume(
            code === "EADDRINUSE"
              ? new PortInUse({ address: at })
              : new ListenFailed({ address: at, detail: code })
          )
        })
        server.listen({ host: address.host, port: address.port }, () =>
          resume(Effect.succeed(server))
        )
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
  )

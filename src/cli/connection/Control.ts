// Where a server that runs can be asked how it is: a Unix socket for `status`, and HTTP on loopback for Prometheus.
import { createServer } from "node:http"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Address } from "../../transports/Address.ts"
import * as Addresses from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import { ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"
import * as shared from "../arguments/options.ts"
import { formatMetrics, type Snapshot } from "../output/Status.ts"

type Tcp = Extract<Address, { readonly _tag: "Tcp" }>

/** They tell how much passes, in clear. */
const onLoopback = (address: Option.Option<Address>) =>
  Option.match(address, {
    onNone: () => Effect.succeed(Option.none<Tcp>()),
    onSome: (at) =>
      at._tag === "Tcp" && Addresses.isLoopback(at)
        ? Effect.succeed(Option.some(at))
        : shared.optionError(
            "metrics",
            "figures go out in clear; name an address of this machine alone, such as :9100"
          )
  })

export const options = {
  control: Options.text("control").pipe(
    Options.withPseudoName("SOCKET"),
    Options.optional,
    Options.withDescription(
      "Where sealwire status asks how this process is: the path of a socket that is made for this user alone."
    )
  ),
  metrics: shared
    .optionalAddress(
      "metrics",
      "Figures for Prometheus at /metrics, and /health, over plain HTTP: on this machine alone."
    )
    .pipe(Options.mapEffect(onLoopback))
}

/** Opens what was asked for. */
export const open = (
  {
    control,
    metrics: at
  }: { readonly control: Option.Option<string>; readonly metrics: Option.Option<Tcp> },
  look: Effect.Effect<Snapshot>
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.gen(function* () {
    if (Option.isSome(control)) yield* answer(control.value, look)
    if (Option.isSome(at)) yield* metrics(at.value, look)
  })

/** Askers at once. */
const askers = 16

/** Answers whoever connects with a snapshot in one line of JSON. The socket's file is 0600: only this user can ask. */
const answer = (
  path: string,
  look: Effect.Effect<Snapshot>
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Net.listen(
      Addresses.unix(path),
      (connection) =>
        Effect.flatMap(look, (snapshot) =>
          connection.write(Buffer.from(`${JSON.stringify(snapshot)}\n`))
        ).pipe(Effect.zipRight(connection.end), Effect.ignore),
      { connections: askers }
    )
  )

const pages: Readonly<Record<string, (snapshot: Snapshot) => string>> = {
  "/metrics": formatMetrics,
  "/health": () => "ok\n"
}

/** `/metrics` for Prometheus and `/health`, in clear: on loopback alone. */
const metrics = (
  address: Tcp,
  look: Effect.Effect<Snapshot>
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>, PortInUse | ListenFailed>((resume) => {
        const server = createServer(
          { requestTimeout: 5000 },
          ({ method, url, headers }, response) => {
            // A page of the web that has its name point here must not read along.
            const asked = (headers.host ?? "").replace(/:\d+$/, "")
            if (
              asked !== "localhost" &&
              !Addresses.isLoopback(Addresses.tcp(asked.replace(/^\[|\]$/g, ""), 1))
            )
              return void response.writeHead(403).end()
            const page = pages[url ?? ""]
            if (page === undefined || (method !== "GET" && method !== "HEAD"))
              return void response.writeHead(404).end()
            Effect.runCallback(Effect.map(look, page), {
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
        server.maxConnections = askers
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

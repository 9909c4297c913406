// Where a server that runs can be asked how it is: a Unix socket for `status`, and HTTP on loopback for Prometheus.
import { createServer } from "node:http"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address } from "../transports/Address.ts"
import * as Addresses from "../transports/Address.ts"
import * as Net from "../transports/Net.ts"
import { ListenFailed, PortInUse } from "../transports/TransportErrors.ts"
import { metricsOf, type Snapshot } from "./Status.ts"

/** Askers at once. */
const askers = 16

/** Answers whoever connects with a snapshot in one line of JSON. The socket's file is 0600: only this user can ask. */
export const answer = (path: string, look: () => Snapshot): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Net.listen(
      Addresses.unix(path),
      (connection) =>
        connection.write(Buffer.from(`${JSON.stringify(look())}\n`)).pipe(Effect.zipRight(connection.end), Effect.ignore),
      { connections: askers }
    )
  )

/** `/metrics` for Prometheus and `/health`, in clear: on loopback alone. */
export const metrics = (
  address: Extract<Address, { readonly _tag: "Tcp" }>,
  look: () => Snapshot
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>, PortInUse | ListenFailed>((resume) => {
        const server = createServer({ requestTimeout: 5000 }, ({ method, url, headers }, response) => {
          // A page of the web that has its name point here must not read along.
          const asked = (headers.host ?? "").replace(/:\d+$/, "")
          if (asked !== "localhost" && !Addresses.isLoopback(Addresses.tcp(asked.replace(/^\[|\]$/g, ""), 1)))
            return void response.writeHead(403).end()
          const text = url === "/metrics" ? metricsOf(look()) : url === "/health" ? "ok\n" : undefined
          if (text === undefined || (method !== "GET" && method !== "HEAD")) return void response.writeHead(404).end()
          response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text)
        })
        server.maxConnections = askers
        server.once("error", ({ code = "" }: NodeJS.ErrnoException) => {
          const at = Addresses.format(address)
          resume(code === "EADDRINUSE" ? new PortInUse({ address: at }) : new ListenFailed({ address: at, detail: code }))
        })
        server.listen({ host: address.host, port: address.port }, () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
  )

// The HTTP pages of a running server: /health and /ready for balancers, /metrics for Prometheus.
import { createServer, type IncomingMessage } from "node:http"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address } from "../../transports/Address.ts"
import * as Addresses from "../../transports/Address.ts"
import { listenHints } from "../../transports/Bind.ts"
import { ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"
import type { NotReady } from "../../services/Readiness.ts"
import { formatMetrics, type Snapshot } from "../output/Status.ts"

type Tcp = Extract<Address, { readonly _tag: "Tcp" }>

const limits = {
  /** Connections at a time. */
  connections: 64,
  /** Longest time of a request, in milliseconds. */
  requestMillis: 5000
} as const

interface Sources {
  readonly snapshot: Effect.Effect<Snapshot>
  readonly notReady: Effect.Effect<ReadonlyArray<NotReady<string>>>
}

interface Page {
  readonly status: number
  readonly text: string
}

/** Each page. */
const pages: Readonly<Record<string, (sources: Sources) => Effect.Effect<Page>>> = {
  // Nothing else: a balancer or supervisor that restarts the process could not mend a database.
  "/health": () => Effect.succeed({ status: 200, text: "ok\n" }),
  "/ready": ({ notReady }) =>
    Effect.map(notReady, (reasons) =>
      reasons.length === 0
        ? { status: 200, text: "ready\n" }
        : { status: 503, text: reasons.map(({ text }) => `${text}\n`).join("") }
    ),
  "/metrics": ({ snapshot }) =>
    Effect.map(snapshot, (now) => ({ status: 200, text: formatMetrics(now) }))
}

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * DNS rebinding: a web page whose host name resolves to loopback must not read metrics. A browser
 * always sends the name; a request without one is a balancer's with HTTP/1.0.
 */
const isForeign = ({ headers: { host = "" } }: IncomingMessage): boolean => {
  const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")
  return name !== "" && name !== "localhost" && !Addresses.isLoopbackHost(name)
}

/** Serves the pages over plain HTTP. */
export const serve = (
  address: Tcp,
  sources: Sources
): Effect.Effect<void, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>, PortInUse | ListenFailed>((resume) => {
        const server = createServer(
          { requestTimeout: limits.requestMillis },
          (request, response) => {
            const answer = (status: number, text = "", headers = {}) =>
              response
                .writeHead(status, {
                  ...headers,
                  "content-type": contentType,
                  "content-length": Buffer.byteLength(text),
                  "cache-control": "no-store"
                })
                .end(text)
            if (Addresses.isLoopback(address) && isForeign(request)) return void answer(403)
            const { method, url = "" } = request
            const page = pages[url.replace(/[?#].*$/s, "")]
            if (page === undefined) return void answer(404)
            if (method !== "GET" && method !== "HEAD")
              return void answer(405, "", { allow: "GET, HEAD" })
            Effect.runCallback(page(sources), {
              onExit: (exit) =>
                exit._tag === "Failure" ? answer(500) : answer(exit.value.status, exit.value.text)
            })
          }
        )
        server.maxConnections = limits.connections
        server.once("error", ({ code = "" }: NodeJS.ErrnoException) => {
          const at = Addresses.format(address)
          resume(
            code === "EADDRINUSE"
              ? new PortInUse({ address: at })
              : new ListenFailed({ address: at, detail: listenHints[code] ?? code })
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

// Spans, figures and logs to a collector of OpenTelemetry, as JSON over HTTP (OTLP). README.md says what is in them.
import * as Otlp from "@effect/opentelemetry/Otlp"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type { HttpClient } from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { set } from "../services/Metrics.ts"
import { InboxMessages } from "../services/inbox/Inbox.ts"
import { ServerEvent } from "../services/Server.ts"
import { namelessOf } from "../services/Tracing.ts"
import * as Address from "../transports/Address.ts"
import { bounded } from "./bounded.ts"

/** Every wait of the exporter, by name. */
export const limits = {
  /** How long what is left waits for the collector when the program ends. */
  shutdown: "3 seconds",
  /** How often the inbox is asked how much is in it. */
  inboxEvery: "15 seconds"
} as const

/** The collector, as it is named, cannot be told anything. */
export class CollectorRefused extends Data.TaggedError("CollectorRefused")<{
  readonly reason: string
}> {
  override get message(): string {
    return `no telemetry: ${this.reason}`
  }
}

/** Where the collector is, and who tells it. */
export interface Options {
  /** Where the collector listens. Default: OTEL_EXPORTER_OTLP_ENDPOINT, else http://127.0.0.1:4318. */
  readonly endpoint?: string
  /**
   * For a collector that wants to know who tells it. Default: OTEL_EXPORTER_OTLP_HEADERS (`name=value,name=value`, percent-encoded). They go only
   * over https, or to this machine.
   */
  readonly headers?: Readonly<Record<string, Redacted.Redacted>>
  /** Default: OTEL_SERVICE_NAME, else sealwire. More attributes come from OTEL_RESOURCE_ATTRIBUTES. */
  readonly serviceName?: string
  readonly serviceVersion?: string
  /** How often it is told. Default: spans 5 s, logs 1 s, figures 10 s. */
  readonly every?: Duration.DurationInput
}

/**
 * Everything that is built or run with this layer tells the collector: what Sealwire's layers do, the program's own spans and metrics, and what it logs.
 * One collector that is away stops nothing: what it misses is gone, and after a minute it is tried again.
 *
 * @example
 * Effect.runPromise(program.pipe(Effect.provide(Transport.layerNet), Effect.provide(Telemetry.layer({ serviceName: "orders" }))))
 */
export const layer = (options: Options = {}): Layer.Layer<never, CollectorRefused> =>
  Layer.provide(
    layerWithClient(options),
    FetchHttpClient.layer.pipe(Layer.provide(withoutRedirects))
  )

/** The same over the program's own HttpClient (a proxy, a client certificate). */
export const layerWithClient = (
  options: Options = {}
): Layer.Layer<never, CollectorRefused, HttpClient> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const endpoint = yield* endpointOf(options)
      const headers = yield* headersOf(options)
      if (headers !== undefined && !isPrivate(endpoint))
        return yield* new CollectorRefused({
          reason: `its headers would cross the network in clear to ${endpoint.host}; name the collector by https`
        })
      set("began", performance.timeOrigin / 1000)
      const { every } = options
      return Otlp.layerJson({
        baseUrl: endpoint.href,
        resource: {
          ...(options.serviceName === undefined ? {} : { serviceName: options.serviceName }),
          ...(options.serviceVersion === undefined
            ? {}
            : { serviceVersion: options.serviceVersion })
        },
        ...(headers === undefined ? {} : { headers }),
        ...(every === undefined
          ? {}
          : {
              loggerExportInterval: every,
              metricsExportInterval: every,
              tracerExportInterval: every
            }),
        shutdownTimeout: limits.shutdown
      }).pipe(Layer.provide(bounded))
    })
  ).pipe(Layer.provide(namedAnyhow))

/** How much is in the inbox, as a figure; for an inbox that keeps messages. */
export const layerInbox: Layer.Layer<never, never, InboxMessages> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { depth } = yield* InboxMessages
    const look = Effect.match(depth, {
      onFailure: () => set("inboxReadable", 0),
      onSuccess: ({ messages, oldest }) => {
        set("inboxReadable", 1)
        set("inboxMessages", messages)
        set("inboxOldest", oldest === undefined ? 0 : Math.max(0, Date.now() - oldest) / 1000)
      }
    })
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(limits.inboxEvery)))
  })
)

/** For `on` of `Server.serve`: each event becomes a line of the program's log, with its fields. */
export const logged: (event: ServerEvent) => Effect.Effect<void> = ServerEvent.$match({
  Listening: ({ address }) => Effect.logInfo(`listening at ${Address.format(address)}`),
  SessionStarted: ({ sender: { peer, from, suite }, service }) =>
    Effect.annotateLogs(Effect.logInfo("session started"), { peer, from, suite, service }),
  SessionEnded: ({ sender: { peer, from }, service, counted, error }) =>
    (error === undefined
      ? Effect.logInfo("session ended")
      : Effect.logWarning(`session ended: ${namelessOf(error) ?? error.message}`)
    ).pipe(Effect.annotateLogs({ peer, from, service, ...counted })),
  ConnectionRefused: ({ from, reason }) =>
    Effect.annotateLogs(Effect.logInfo(`refused a stranger: ${reason}`), { from })
})

const endpointOf = ({ endpoint }: Options): Effect.Effect<URL, CollectorRefused> =>
  Effect.gen(function* () {
    const text =
      endpoint ?? (yield* fromEnvironment("OTEL_EXPORTER_OTLP_ENDPOINT")) ?? "http://127.0.0.1:4318"
    const url = URL.canParse(text) ? new URL(text) : undefined
    // The text is not repeated: it may hold a password.
    if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
      return yield* new CollectorRefused({ reason: "its endpoint is no http:// or https:// URL" })
    if (url.username !== "" || url.password !== "")
      return yield* new CollectorRefused({
        reason: "a user or password in its endpoint; use headers"
      })
    return url
  })

const headersOf = ({
  headers
}: Options): Effect.Effect<Record<string, string> | undefined, CollectorRefused> =>
  Effect.gen(function* () {
    if (headers !== undefined)
      return Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, Redacted.value(value)])
      )
    const text = yield* fromEnvironment("OTEL_EXPORTER_OTLP_HEADERS")
    if (text === undefined) return undefined
    const parsed = parseHeaders(text)
    return (
      parsed ??
      (yield* new CollectorRefused({
        reason: "OTEL_EXPORTER_OTLP_HEADERS is not name=value,name=value"
      }))
    )
  })

const parseHeaders = (text: string): Record<string, string> | undefined => {
  const headers: Record<string, string> = {}
  for (const pair of text.split(",")) {
    const [, name = "", value = ""] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    if (name === "") return undefined
    try {
      headers[name] = decodeURIComponent(value)
    } catch {
      return undefined
    }
  }
  return headers
}

/** Undefined when it is not set, or empty. */
const fromEnvironment = (name: string): Effect.Effect<string | undefined> =>
  Effect.match(Config.string(name), {
    onFailure: () => undefined,
    onSuccess: (text) => (text === "" ? undefined : text)
  })

/** Nobody on the way reads what goes there. */
const isPrivate = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" ||
  hostname === "localhost" ||
  Address.isLoopback(
    Address.tcp(hostname.replace(/^\[|\]$/g, ""), 1) as Extract<Address.Address, { _tag: "Tcp" }>
  )

/** A service without a name is a defect of the exporter. */
const namedAnyhow = Layer.unwrapEffect(
  Effect.map(Effect.configProviderWith(Effect.succeed), (provider) =>
    Layer.setConfigProvider(
      ConfigProvider.orElse(provider, () =>
        ConfigProvider.fromMap(new Map([["OTEL_SERVICE_NAME", "sealwire"]]))
      )
    )
  )
)

/** What is meant for one collector goes to no other. */
const withoutRedirects = Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" })

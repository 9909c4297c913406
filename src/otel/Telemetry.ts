// Exports spans, metrics and logs to an OpenTelemetry collector: OTLP as JSON over HTTP. README.md
// lists their content.
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
import { isVanished } from "../channel/ChannelErrors.ts"
import { metrics as inboxMetrics } from "../services/inbox/metrics.ts"
import { metrics as serverMetrics } from "../services/Metrics.ts"
import { InboxMessages } from "../services/inbox/Inbox.ts"
import { ServerEvent } from "../services/Server.ts"
import { namelessOf } from "../services/Tracing.ts"
import * as Address from "../transports/Address.ts"
import { bounded } from "./bounded.ts"

/** Every limit of the exporter, by name. */
export const limits = {
  /** Longest wait for the last export when the program ends. */
  shutdownTimeout: "3 seconds",
  /** Interval at which the depth of the inbox is measured. */
  inboxInterval: "15 seconds"
} as const

/** The configuration of the collector is invalid or insecure. */
export class CollectorRefused extends Data.TaggedError("CollectorRefused")<{
  readonly reason: string
}> {
  override get message(): string {
    return `invalid OpenTelemetry collector: ${this.reason}`
  }
}

/** Options of the exporter. */
export interface Options {
  /** URL of the collector. Default: OTEL_EXPORTER_OTLP_ENDPOINT, else http://127.0.0.1:4318. */
  readonly endpoint?: string
  /**
   * Headers that authenticate to the collector. Default: OTEL_EXPORTER_OTLP_HEADERS
   * (`name=value,name=value`, percent-encoded). Refused unless the URL is https or loopback.
   */
  readonly headers?: Readonly<Record<string, Redacted.Redacted>>
  /** Default: OTEL_SERVICE_NAME, else sealwire. OTEL_RESOURCE_ATTRIBUTES adds attributes. */
  readonly serviceName?: string
  readonly serviceVersion?: string
  /** Export interval. Default: spans 5 s, logs 1 s, metrics 10 s. */
  readonly interval?: Duration.DurationInput
}

/**
 * Exports the spans, metrics and logs of Sealwire and of the program that runs with this layer. An
 * unreachable collector does not stop the program: the data is lost, and the export is retried
 * after a minute.
 *
 * @example
 * program.pipe(
 *   Effect.provide(Transport.layerNet),
 *   Effect.provide(Telemetry.layer({ serviceName: "orders" })),
 *   Effect.runPromise
 * )
 */
export const layer = (options: Options = {}): Layer.Layer<never, CollectorRefused> =>
  Layer.provide(
    layerWithClient(options),
    FetchHttpClient.layer.pipe(Layer.provide(withoutRedirects))
  )

/** As `layer`, with the program's own HttpClient (for a proxy or a client certificate). */
export const layerWithClient = (
  options: Options = {}
): Layer.Layer<never, CollectorRefused, HttpClient> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const endpoint = yield* endpointOf(options)
      const headers = yield* headersOf(options)
      if (headers !== undefined && !isPrivate(endpoint))
        return yield* new CollectorRefused({
          reason:
            `its headers would be sent unencrypted to ${endpoint.host}; ` +
            `use an https:// endpoint`
        })
      serverMetrics.startTime.set(performance.timeOrigin / 1000)
      const { interval } = options
      return Otlp.layerJson({
        baseUrl: endpoint.href,
        resource: {
          ...(options.serviceName === undefined ? {} : { serviceName: options.serviceName }),
          ...(options.serviceVersion === undefined
            ? {}
            : { serviceVersion: options.serviceVersion })
        },
        ...(headers === undefined ? {} : { headers }),
        ...(interval === undefined
          ? {}
          : {
              loggerExportInterval: interval,
              metricsExportInterval: interval,
              tracerExportInterval: interval
            }),
        shutdownTimeout: limits.shutdownTimeout
      }).pipe(Layer.provide(bounded))
    })
  ).pipe(Layer.provide(withDefaultName))

/** Exports the depth of the inbox as metrics, for an inbox that stores messages. */
export const layerInbox: Layer.Layer<never, never, InboxMessages> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { depth } = yield* InboxMessages
    const measure = Effect.match(depth, {
      onFailure: () => inboxMetrics.readable.set(0),
      onSuccess: ({ messages, oldest, dead }) => {
        inboxMetrics.readable.set(1)
        inboxMetrics.dead.set(dead)
        inboxMetrics.messages.set(messages)
        inboxMetrics.oldest.set(oldest === undefined ? 0 : Math.max(0, Date.now() - oldest) / 1000)
      }
    })
    yield* Effect.forkScoped(Effect.repeat(measure, Schedule.spaced(limits.inboxInterval)))
  })
)

/**
 * An `on` handler for `Server.serve` that logs each event with its fields. Peers that have vanished
 * are logged at Debug.
 */
export const logged: (event: ServerEvent) => Effect.Effect<void> = ServerEvent.$match({
  Listening: ({ address }) => Effect.logInfo(`listening on ${Address.format(address)}`),
  Stopping: () => Effect.logInfo("stopping"),
  SessionStarted: ({ sender: { peer, from, suite }, service }) =>
    Effect.annotateLogs(Effect.logInfo("session started"), { peer, from, suite, service }),
  SessionEnded: ({ sender: { peer, from }, service, counted, error }) =>
    (error === undefined
      ? Effect.logInfo("session ended")
      : (isVanished(error) ? Effect.logDebug : Effect.logWarning)(
          `session ended: ${namelessOf(error) ?? error.message}`
        )
    ).pipe(Effect.annotateLogs({ peer, from, service, ...counted })),
  ConnectionRefused: ({ from, reason, isSilent }) =>
    Effect.annotateLogs(
      (isSilent === true ? Effect.logDebug : Effect.logInfo)(`connection refused: ${reason}`),
      { from }
    )
})

const endpointOf = ({ endpoint }: Options): Effect.Effect<URL, CollectorRefused> =>
  Effect.gen(function* () {
    const text =
      endpoint ?? (yield* fromEnvironment("OTEL_EXPORTER_OTLP_ENDPOINT")) ?? "http://127.0.0.1:4318"
    const url = URL.canParse(text) ? new URL(text) : undefined
    // The error does not quote the text: it may contain a password.
    if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
      return yield* new CollectorRefused({
        reason: "its endpoint is not an http:// or https:// URL"
      })
    if (url.username !== "" || url.password !== "")
      return yield* new CollectorRefused({
        reason: "its endpoint contains a user name or password; use headers"
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

/** Returns undefined for a variable that is unset or empty. */
const fromEnvironment = (name: string): Effect.Effect<string | undefined> =>
  Effect.match(Config.string(name), {
    onFailure: () => undefined,
    onSuccess: (text) => (text === "" ? undefined : text)
  })

/** True if requests to this URL cannot be read on the network: https, or the loopback interface. */
const isPrivate = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" ||
  hostname === "localhost" ||
  Address.isLoopbackHost(hostname.replace(/^\[|\]$/g, ""))

/** The exporter ends with a defect if the service has no name. */
const withDefaultName = Layer.unwrapEffect(
  Effect.map(Effect.configProviderWith(Effect.succeed), (provider) =>
    Layer.setConfigProvider(
      ConfigProvider.orElse(provider, () =>
        ConfigProvider.fromMap(new Map([["OTEL_SERVICE_NAME", "sealwire"]]))
      )
    )
  )
)

/** A redirect could send the headers and the data to another host. */
const withoutRedirects = Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" })

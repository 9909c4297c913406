// Exports of a server, clients, a tunnel and a transfer to an OpenTelemetry collector, and the
// secrets that are never exported.
import { createServer } from "node:http"
import net from "node:net"
import type { AddressInfo } from "node:net"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as HttpClient from "@effect/platform/HttpClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { bounded, limits as boundedLimits } from "../../src/otel/bounded.ts"
import { Telemetry } from "../../src/otel.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import type * as Metrics from "../../src/services/Metrics.ts"
import { metrics } from "../../src/services/builtin/index.ts"
import { Inbox } from "../../src/services/inbox/Inbox.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import type { Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { formatMetrics, Status } from "../../src/cli/output/Status.ts"
import { dialKeys, psk, serverKeys, anyPort, suiteOf } from "../channel/rig.ts"
import { writeTree, pullPaths, pushPaths, serveFiles } from "../services/transfer/Transfers.ts"
import { rig as tunnel } from "../services/tunnel/tunnelRig.ts"
import { withTimeout, waitUntil } from "../../src/testing/steps.ts"
import { scopedFolder } from "../fixtures/folder.ts"

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly attributes: ReadonlyArray<Attribute>
  readonly status: { readonly code: number; readonly message?: string }
  readonly links: ReadonlyArray<{ readonly spanId: string }>
}

/** An HTTP server that records the requests of an exporter. */
const collector = Effect.acquireRelease(
  Effect.async<{
    readonly endpoint: string
    readonly requests: Array<{
      readonly path: string
      readonly text: string
      readonly authorization: string | undefined
    }>
    readonly close: () => void
  }>((resume) => {
    const requests: Array<{
      readonly path: string
      readonly text: string
      readonly authorization: string | undefined
    }> = []
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        requests.push({
          path: request.url ?? "",
          text: Buffer.concat(chunks).toString(),
          authorization: request.headers.authorization
        })
        response.end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () =>
      resume(
        Effect.succeed({
          endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          requests,
          close: () => {
            server.close()
            server.closeAllConnections()
          }
        })
      )
    )
  }),
  ({ close }) => Effect.sync(close)
)

const attributesOf = (attributes: ReadonlyArray<Attribute>): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

const texts = ["a secret message", "another secret message", "aloud please"]
const content = Buffer.from("the secret content of a file")

/** A server, a client that sends and requests, a tunnel, a push, and one refused connection. */
const program = Effect.gen(function* () {
  const listening = yield* Deferred.make<Address>()
  yield* Effect.forkScoped(
    Server.serve({
      address: anyPort,
      keys: serverKeys,
      services: [
        MessageService.service(() => Effect.withSpan(Effect.void, "the program's own"), {
          reply: ({ text }) =>
            Effect.succeed(Buffer.from(Buffer.from(text).toString().toUpperCase()))
        })
      ],
      on: (event) =>
        Effect.zipRight(
          Telemetry.logged(event),
          event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
        )
    })
  )
  const address = yield* withTimeout("the listener", Deferred.await(listening))
  yield* Effect.gen(function* () {
    const client = yield* MessageClient.connect({
      address,
      keys: dialKeys(suiteOf("IK"))
    })
    yield* client.send(texts.slice(0, 2).map((text) => Buffer.from(text)))
    yield* client.request(Buffer.from(texts[2] ?? ""))
  }).pipe(Effect.scoped)
  // Malformed bytes are refused at once, silence only at the handshake's deadline.
  yield* Effect.gen(function* () {
    const connection = yield* (yield* Transport).connect(address)
    yield* connection.write(Buffer.alloc(4096, 0x20))
    yield* Effect.ignore(connection.read)
  }).pipe(Effect.scoped, Effect.ignore)

  const { both, ended } = yield* tunnel()
  const { client, target } = yield* both
  yield* client.connection.write(content)
  yield* withTimeout("the written bytes", target.connection.read)
  yield* client.close()
  yield* target.close()
  yield* waitUntil("both ends", () => ended.length === 1)

  const [from, top] = [yield* scopedFolder, yield* scopedFolder]
  writeTree(from, { "plan.txt": content })
  const files = yield* serveFiles(top, {})
  yield* pushPaths(files.address, [path.join(from, "plan.txt")])
  yield* waitUntil("the end of the push", () =>
    files.events.some(({ _tag }) => _tag === "SessionEnded")
  )
}).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))

const noConsole = Logger.remove(Logger.defaultLogger)

const exportsOf = <E>(effect: Effect.Effect<void, E>, options: Telemetry.Options = {}) =>
  Effect.gen(function* () {
    const { endpoint, requests } = yield* collector
    yield* Effect.provide(effect, [Telemetry.layer({ endpoint, ...options }), noConsole])
    // In order of arrival: metrics are exported repeatedly.
    const bodies = (at: string) =>
      requests.filter((one) => one.path === at).map(({ text }) => JSON.parse(text) as never)
    const spans = bodies("/v1/traces").flatMap(
      (body: {
        resourceSpans: ReadonlyArray<{ scopeSpans: ReadonlyArray<{ spans: ReadonlyArray<Span> }> }>
      }) =>
        body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
    )
    return { requests, bodies, spans, all: requests.map(({ text }) => text).join("\n") }
  }).pipe(Effect.scoped)

/** The current value, which includes other tests of this process. */
const countOf = (name: string): number =>
  Metric.unsafeSnapshot().reduce(
    (sum, { metricKey, metricState }) =>
      metricKey.name === name && MetricState.isCounterState(metricState)
        ? sum + Number(metricState.count)
        : sum,
    0
  )

describe("a collector", () => {
  it.live("receives sessions, batches, tunnels and transfers, and no secret", () =>
    Effect.gen(function* () {
      const counted = [
        metrics.message.messages,
        metrics.message.bytes,
        metrics.file.files,
        metrics.tunnel.bytesIn,
        metrics.server.connectionsRefused
      ]
      const before = counted.map(({ name }) => countOf(name))
      const { spans, bodies, all } = yield* exportsOf(program, {
        serviceName: "orders",
        serviceVersion: "7"
      })
      const exportedSpans = spans.map(({ name, kind, attributes, status }) => ({
        name,
        kind,
        status: status.code,
        ...attributesOf(attributes)
      }))
      const session = {
        name: "sealwire.session",
        kind: 2,
        status: 1,
        "sealwire.peer": "alice",
        "sealwire.suite": "IK"
      }
      const length = texts.slice(0, 2).join("").length
      for (const wanted of [
        { ...session, "sealwire.service": "message", "sealwire.messages": 3 },
        {
          ...session,
          "sealwire.service": "tunnel",
          "sealwire.target": "it",
          "sealwire.bytesIn": content.length
        },
        {
          ...session,
          "sealwire.service": "file",
          "sealwire.files": 1,
          "sealwire.bytes": content.length
        },
        {
          name: "sealwire.connect",
          kind: 3,
          status: 1,
          "sealwire.suite": "IK",
          "sealwire.opening": "message"
        },
        {
          name: "sealwire.send",
          kind: 4,
          status: 1,
          "sealwire.messages": 2,
          "sealwire.bytes": length
        },
        {
          name: "sealwire.request",
          kind: 3,
          status: 1,
          "sealwire.messages": 1,
          "sealwire.bytes": texts[2]?.length
        },
        { name: "sealwire.handle", kind: 5, status: 1, "sealwire.peer": "alice" },
        {
          name: "sealwire.reply",
          kind: 2,
          status: 1,
          "sealwire.peer": "alice",
          "sealwire.messages": 1
        },
        { name: "sealwire.tunnel", kind: 3, status: 1, "sealwire.bytesIn": content.length },
        { name: "sealwire.push", kind: 3, status: 1, "sealwire.items": 1 },
        { name: "the program's own" }
      ])
        expect(exportedSpans).toContainEqual(expect.objectContaining(wanted))

      // A session's span is exported at its end, so each handled batch has a trace of its own that
      // links to the session.
      const handled = spans.find(({ name }) => name === "sealwire.handle")
      const sessionSpan = spans.find(({ spanId }) => spanId === handled?.links[0]?.spanId)
      expect([sessionSpan?.name, handled?.parentSpanId, sessionSpan?.parentSpanId]).toEqual([
        "sealwire.session",
        undefined,
        undefined
      ])
      expect(handled?.traceId).not.toBe(sessionSpan?.traceId)
      const own = spans.find(({ name }) => name === "the program's own")
      expect(own?.parentSpanId).toBe(handled?.spanId)

      const last = bodies("/v1/metrics").at(-1) as unknown as {
        resourceMetrics: ReadonlyArray<{
          resource: { attributes: ReadonlyArray<Attribute> }
          scopeMetrics: ReadonlyArray<{
            metrics: ReadonlyArray<{ name: string; sum?: { isMonotonic: boolean } }>
          }>
        }>
      }
      const [{ resource, scopeMetrics } = { resource: { attributes: [] }, scopeMetrics: [] }] =
        last.resourceMetrics
      expect(attributesOf(resource.attributes)).toEqual({
        "service.name": "orders",
        "service.version": "7"
      })
      const exported = new Map(
        scopeMetrics.flatMap(({ metrics: some }) =>
          some.map((metric) => [metric.name, metric] as const)
        )
      )
      for (const { name, type } of [
        metrics.server.startTime,
        metrics.server.sessions,
        metrics.server.halfOpen,
        metrics.server.sessionsStarted,
        metrics.message.messages,
        metrics.file.files,
        metrics.tunnel.connections
      ])
        expect([name, exported.has(name), exported.get(name)?.sum?.isMonotonic ?? false]).toEqual([
          name,
          true,
          type === "counter"
        ])
      expect(counted.map(({ name }, index) => countOf(name) - (before[index] ?? 0))).toEqual([
        3,
        texts.join("").length,
        1,
        // Both ends run in this process.
        2 * content.length,
        1
      ])

      const log = JSON.stringify(bodies("/v1/logs"))
      for (const line of [
        "listening on ",
        "session started",
        "session ended",
        "connection refused: "
      ])
        expect(log).toContain(line)

      const secrets = [psk.expose(), content, ...texts.map((text) => Buffer.from(text))]
      for (const secret of secrets)
        for (const form of ["hex", "base64", "base64url", "latin1"] as const)
          expect([form, all.includes(Buffer.from(secret).toString(form))]).toEqual([form, false])
      expect(all).not.toContain("ALOUD PLEASE")
      expect(all).not.toContain("plan.txt")
    })
  )

  it.live("receives the error of a failed session", () =>
    Effect.gen(function* () {
      const failing = Effect.gen(function* () {
        const listening = yield* Deferred.make<Address>()
        yield* Effect.forkScoped(
          Server.serve({
            address: anyPort,
            keys: serverKeys,
            services: [
              MessageService.service(
                () => new MessageService.MessageRefused({ reason: "the disk is full", retry: true })
              )
            ],
            on: (event) =>
              event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
          })
        )
        const address = yield* Deferred.await(listening)
        const client = yield* MessageClient.connect({
          address,
          keys: dialKeys(suiteOf("IK"))
        })
        const refused = yield* Effect.flip(client.send([Buffer.from("x")]))
        expect(refused).toMatchObject({ _tag: "NotTaken", status: "later" })
      }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))
      const { spans } = yield* exportsOf(failing)
      const ends = new Map(spans.map(({ name, status }) => [name, status]))
      expect(ends.get("sealwire.session")).toMatchObject({
        code: 2,
        message: "message refused: the disk is full"
      })
      expect(ends.get("sealwire.handle")).toMatchObject({ code: 2 })
      expect(ends.get("sealwire.send")).toMatchObject({ code: 2 })
    })
  )

  it.live("receives disk failures of client and server without the path", () =>
    Effect.gen(function* () {
      const missing = "the-secret-folder"
      const failing = Effect.gen(function* () {
        const [top, here] = [yield* scopedFolder, yield* scopedFolder]
        writeTree(top, { "plan.txt": Buffer.from("content") })
        const sound = yield* serveFiles(top, {})
        const failed = yield* Effect.flip(
          pullPaths(sound.address, ["plan.txt"], path.join(here, missing))
        )
        expect(failed).toMatchObject({ _tag: "DiskFailed", path: path.join(here, missing) })
        const faulty = yield* serveFiles(path.join(top, missing), {})
        yield* Effect.flip(pullPaths(faulty.address, ["plan.txt"], here))
        yield* waitUntil("its end", () => faulty.events.some(({ _tag }) => _tag === "SessionEnded"))
        for (const event of faulty.events) yield* Telemetry.logged(event)
      }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))
      const { spans, all } = yield* exportsOf(failing)
      const messagesOf = (name: string) =>
        spans.filter((span) => span.name === name).map(({ status }) => status.message)
      expect(messagesOf("sealwire.pull")).toContain("no such folder; create it first")
      expect(messagesOf("sealwire.session")).toContain("no such file or folder")
      expect(all).toContain("session ended: no such file or folder")
      expect(all).not.toContain(missing)
    })
  )

  it.live("that does not respond stops nothing", () =>
    Effect.gen(function* () {
      let requests = 0
      const silent = yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const server = net.createServer((socket) => {
            requests++
            socket.on("error", () => {})
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
      const result = yield* Effect.provide(Effect.withSpan(Effect.succeed("done"), "one"), [
        Telemetry.layer({ endpoint }),
        noConsole
      ])
      expect(result).toBe("done")
      // It was asked to take the span, and the program has ended without its answer.
      expect(requests).toBeGreaterThan(0)
    }).pipe(Effect.scoped)
  )

  it.effect("that does not respond gets a limited number of requests, each with a timeout", () =>
    Effect.gen(function* () {
      let sent = 0
      const silent = HttpClient.make(() =>
        Effect.sync(() => void sent++).pipe(Effect.zipRight(Effect.never))
      )
      const client = yield* HttpClient.HttpClient.pipe(
        Effect.provide(Layer.provide(bounded, Layer.succeed(HttpClient.HttpClient, silent)))
      )
      const request = Effect.map(
        Effect.flip(client.get("http://127.0.0.1/")),
        ({ message }) => message
      )
      const pending = yield* Effect.forEach(Array.from({ length: boundedLimits.requests }), () =>
        Effect.fork(request)
      )
      yield* waitUntil("the requests", () => sent === boundedLimits.requests)
      expect(yield* request).toContain("too many requests to the collector")
      yield* TestClock.adjust(boundedLimits.responseTimeout)
      for (const message of yield* Fiber.join(Fiber.all(pending)))
        expect(message).toContain("no response from the collector")
      const again = yield* Effect.fork(request)
      yield* waitUntil("another", () => sent === boundedLimits.requests + 1)
      yield* Fiber.interrupt(again)
    })
  )

  it.live("receives the depth of an inbox that stores messages", () =>
    Effect.gen(function* () {
      const measured = Effect.gen(function* () {
        yield* waitUntil("the first measurement", () =>
          Metric.unsafeSnapshot().some(
            ({ metricKey }) => metricKey.name === metrics.inbox.messages.name
          )
        )
      }).pipe(Effect.provide(Telemetry.layerInbox.pipe(Layer.provide(Inbox.layerMemory))))
      const { all } = yield* exportsOf(measured)
      expect(all).toContain(`"${metrics.inbox.readable.name}"`)
    })
  )

  it.live("receives its headers, which appear in no exported data", () =>
    Effect.gen(function* () {
      const headers = { authorization: Redacted.make("Bearer swordfish") }
      const { requests, all } = yield* exportsOf(Effect.logInfo("hello"), { headers })
      expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(
        new Set(["Bearer swordfish"])
      )
      expect(all).not.toContain("swordfish")
    })
  )

  it.live("is refused if its configuration is invalid or reveals a secret", () =>
    Effect.gen(function* () {
      const refusalOf = (
        options: Telemetry.Options,
        environment: Readonly<Record<string, string>> = {}
      ) =>
        Effect.void.pipe(
          Effect.provide(Telemetry.layer(options)),
          Effect.flip,
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))),
          Effect.map(({ message }) => message)
        )
      const headers = { authorization: Redacted.make("swordfish") }
      expect([
        yield* refusalOf({ endpoint: "swordfish" }),
        yield* refusalOf({ endpoint: "ftp://collector.example" }),
        yield* refusalOf({ endpoint: "https://me:swordfish@collector.example" }),
        yield* refusalOf({ endpoint: "http://collector.example:4318", headers }),
        yield* refusalOf(
          {},
          {
            OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1.example",
            OTEL_EXPORTER_OTLP_HEADERS: "a=swordfish"
          }
        ),
        yield* refusalOf({}, { OTEL_EXPORTER_OTLP_HEADERS: "swordfish" })
      ]).toEqual([
        "invalid OpenTelemetry collector: its endpoint is not an http:// or https:// URL",
        "invalid OpenTelemetry collector: its endpoint is not an http:// or https:// URL",
        "invalid OpenTelemetry collector: its endpoint contains a user name or password; use headers",
        "invalid OpenTelemetry collector: its headers would be sent unencrypted to collector.example:4318; use an https:// endpoint",
        "invalid OpenTelemetry collector: its headers would be sent unencrypted to 127.0.0.1.example; use an https:// endpoint",
        "invalid OpenTelemetry collector: OTEL_EXPORTER_OTLP_HEADERS is not name=value,name=value"
      ])
    })
  )
})

describe("metrics", () => {
  it("of the /metrics page and of the collector are the same", () => {
    const page = formatMetrics({
      ...new Status().snapshot({ messages: 0, dead: 0 }),
      counted: { "tunnel postgres": { connections: 1 } }
    })
    const onPage = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
      ([, name, type]) => `${name} ${type}`
    )
    expect(onPage.toSorted()).toEqual(
      Object.values(metrics)
        .flatMap((table): ReadonlyArray<Metrics.Metric> => Object.values(table))
        .map(({ name, type }) => `${name} ${type}`)
        .toSorted()
    )
  })
})

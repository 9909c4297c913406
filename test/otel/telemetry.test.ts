// What a collector of OpenTelemetry is told: by a server, clients, a tunnel and a transfer, and what it is never told.
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
import { bounded, limits as bounds } from "../../src/otel/bounded.ts"
import { Telemetry } from "../../src/otel.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { metrics } from "../../src/services/Metrics.ts"
import { Inbox } from "../../src/services/inbox/Inbox.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import type { Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { formatMetrics, Status } from "../../src/cli/output/Status.ts"
import { clientKeys, psk, serverKeys, somewhere, suiteOf, trusting } from "../channel/rig.ts"
import {
  folder,
  plant,
  pulled,
  pushed,
  serving as servingFiles
} from "../services/transfer/Transfers.ts"
import { rig as tunnel } from "../services/tunnel/tunnelRig.ts"
import { soon, until } from "../../src/testing/steps.ts"

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

/** What was told, by path; the headers of the last that came. */
const collector = Effect.acquireRelease(
  Effect.async<{
    readonly endpoint: string
    readonly heard: Array<{
      readonly path: string
      readonly text: string
      readonly authorization: string | undefined
    }>
    readonly close: () => void
  }>((resume) => {
    const heard: Array<{
      readonly path: string
      readonly text: string
      readonly authorization: string | undefined
    }> = []
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        heard.push({
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
          heard,
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

const texts = ["a word nobody else may read", "another such word", "aloud please"]
const content = Buffer.from("the content of a file, for two alone")

/** A server, a client that sends and asks, a tunnel, a push, and one stranger. */
const program = Effect.gen(function* () {
  const listening = yield* Deferred.make<Address>()
  yield* Effect.forkScoped(
    Server.serve({
      address: somewhere,
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
  const address = yield* soon("the listener", Deferred.await(listening))
  yield* Effect.gen(function* () {
    const client = yield* MessageClient.connect({
      address,
      keys: clientKeys(suiteOf("IK")),
      checkServer: trusting
    })
    yield* client.send(texts.slice(0, 2).map((text) => Buffer.from(text)))
    yield* client.request(Buffer.from(texts[2] ?? ""))
  }).pipe(Effect.scoped)
  // Who says nothing is a stranger at its deadline; who says nonsense at once.
  yield* Effect.gen(function* () {
    const connection = yield* (yield* Transport).connect(address)
    yield* connection.write(Buffer.alloc(4096, 0x20))
    yield* Effect.ignore(connection.read)
  }).pipe(Effect.scoped, Effect.ignore)

  const { both, ended } = yield* tunnel()
  const { client, target } = yield* both
  yield* client.connection.write(content)
  yield* soon("what was written", target.connection.read)
  yield* client.close()
  yield* target.close()
  yield* until("both ends", () => ended.length === 1)

  const [from, top] = [yield* folder, yield* folder]
  plant(from, { "plan.txt": content })
  const files = yield* servingFiles(top, {})
  yield* pushed(files.address, [path.join(from, "plan.txt")])
  yield* until("the end of the push", () =>
    files.events.some(({ _tag }) => _tag === "SessionEnded")
  )
}).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))

const quiet = Logger.remove(Logger.defaultLogger)

const toldBy = <E>(effect: Effect.Effect<void, E>, options: Telemetry.Options = {}) =>
  Effect.gen(function* () {
    const { endpoint, heard } = yield* collector
    yield* Effect.provide(effect, [Telemetry.layer({ endpoint, ...options }), quiet])
    // The newest last: figures are told again and again.
    const bodies = (at: string) =>
      heard.filter((one) => one.path === at).map(({ text }) => JSON.parse(text) as never)
    const spans = bodies("/v1/traces").flatMap(
      (body: {
        resourceSpans: ReadonlyArray<{ scopeSpans: ReadonlyArray<{ spans: ReadonlyArray<Span> }> }>
      }) =>
        body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
    )
    return { heard, bodies, spans, all: heard.map(({ text }) => text).join("\n") }
  }).pipe(Effect.scoped)

/** As it stands: other tests of this process count as well. */
const countOf = (name: string): number =>
  Metric.unsafeSnapshot().reduce(
    (sum, { metricKey, metricState }) =>
      metricKey.name === name && MetricState.isCounterState(metricState)
        ? sum + Number(metricState.count)
        : sum,
    0
  )

describe("a collector", () => {
  it.live("is told of sessions, batches, tunnels and transfers, and of no secret", () =>
    Effect.gen(function* () {
      const counted = [
        metrics.messages,
        metrics.messageBytes,
        metrics.filesStored,
        metrics.tunnelBytesIn,
        metrics.strangers
      ]
      const before = counted.map(({ name }) => countOf(name))
      const { spans, bodies, all } = yield* toldBy(program, {
        serviceName: "orders",
        serviceVersion: "7"
      })
      const told = spans.map(({ name, kind, attributes, status }) => ({
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
        expect(told).toContainEqual(expect.objectContaining(wanted))

      // A session is looked at before it ends: what it handles has traces of its own, that lead to it.
      const handled = spans.find(({ name }) => name === "sealwire.handle")
      const standing = spans.find(({ spanId }) => spanId === handled?.links[0]?.spanId)
      expect([standing?.name, handled?.parentSpanId, standing?.parentSpanId]).toEqual([
        "sealwire.session",
        undefined,
        undefined
      ])
      expect(handled?.traceId).not.toBe(standing?.traceId)
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
        metrics.began,
        metrics.sessions,
        metrics.halfOpen,
        metrics.allSessions,
        metrics.messages,
        metrics.filesStored,
        metrics.tunnelConnections
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
        // Both ends are in this process.
        2 * content.length,
        1
      ])

      const log = JSON.stringify(bodies("/v1/logs"))
      for (const line of [
        "listening on ",
        "session started",
        "session ended",
        "refused a stranger: "
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

  it.live("is told how a session failed", () =>
    Effect.gen(function* () {
      const failing = Effect.gen(function* () {
        const listening = yield* Deferred.make<Address>()
        yield* Effect.forkScoped(
          Server.serve({
            address: somewhere,
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
          keys: clientKeys(suiteOf("IK")),
          checkServer: trusting
        })
        const refused = yield* Effect.flip(client.send([Buffer.from("x")]))
        expect(refused).toMatchObject({ _tag: "NotTaken", status: "later" })
      }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))
      const { spans } = yield* toldBy(failing)
      const ends = new Map(spans.map(({ name, status }) => [name, status]))
      expect(ends.get("sealwire.session")).toMatchObject({
        code: 2,
        message: "message refused: the disk is full"
      })
      expect(ends.get("sealwire.handle")).toMatchObject({ code: 2 })
      expect(ends.get("sealwire.send")).toMatchObject({ code: 2 })
    })
  )

  it.live(
    "is told that a disk failed, by the client and by the server, and not the name of what it failed on",
    () =>
      Effect.gen(function* () {
        const missing = "the-secret-folder"
        const failing = Effect.gen(function* () {
          const [top, here] = [yield* folder, yield* folder]
          plant(top, { "plan.txt": Buffer.from("content") })
          const sound = yield* servingFiles(top, {})
          const failed = yield* Effect.flip(
            pulled(sound.address, ["plan.txt"], path.join(here, missing))
          )
          expect(failed).toMatchObject({ _tag: "DiskFailed", path: path.join(here, missing) })
          const faulty = yield* servingFiles(path.join(top, missing), {})
          yield* Effect.flip(pulled(faulty.address, ["plan.txt"], here))
          yield* until("its end", () => faulty.events.some(({ _tag }) => _tag === "SessionEnded"))
          for (const event of faulty.events) yield* Telemetry.logged(event)
        }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))
        const { spans, all } = yield* toldBy(failing)
        const said = (name: string) =>
          spans.filter((span) => span.name === name).map(({ status }) => status.message)
        expect(said("sealwire.pull")).toContain("there is no such folder; make it first")
        expect(said("sealwire.session")).toContain("it is not there")
        expect(all).toContain("session ended: it is not there")
        expect(all).not.toContain(missing)
      })
  )

  it.live("that hangs stops nothing", () =>
    Effect.gen(function* () {
      const deaf = yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const server = net.createServer((socket) => socket.on("error", () => {}))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const endpoint = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}`
      yield* Effect.provide(Effect.withSpan(Effect.void, "one"), [
        Telemetry.layer({ endpoint }),
        quiet
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("that hangs has so many requests at most, each for so long", () =>
    Effect.gen(function* () {
      let asked = 0
      const silent = HttpClient.make(() =>
        Effect.sync(() => void asked++).pipe(Effect.zipRight(Effect.never))
      )
      const client = yield* HttpClient.HttpClient.pipe(
        Effect.provide(Layer.provide(bounded, Layer.succeed(HttpClient.HttpClient, silent)))
      )
      const ask = Effect.map(Effect.flip(client.get("http://127.0.0.1/")), ({ message }) => message)
      const waiting = yield* Effect.forEach(Array.from({ length: bounds.requests }), () =>
        Effect.fork(ask)
      )
      yield* until("the requests", () => asked === bounds.requests)
      expect(yield* ask).toContain("the collector is behind")
      yield* TestClock.adjust(bounds.answer)
      for (const message of yield* Fiber.join(Fiber.all(waiting)))
        expect(message).toContain("the collector does not answer")
      const again = yield* Effect.fork(ask)
      yield* until("another", () => asked === bounds.requests + 1)
      yield* Fiber.interrupt(again)
    })
  )

  it.live("has the figures of an inbox that keeps messages", () =>
    Effect.gen(function* () {
      const look = Effect.gen(function* () {
        yield* until("a look at the inbox", () =>
          Metric.unsafeSnapshot().some(
            ({ metricKey }) => metricKey.name === metrics.inboxMessages.name
          )
        )
      }).pipe(Effect.provide(Telemetry.layerInbox.pipe(Layer.provide(Inbox.layerMemory))))
      const { all } = yield* toldBy(look)
      expect(all).toContain(`"${metrics.inboxReadable.name}"`)
    })
  )

  it.live("gets its headers, and they are in nothing that a person sees", () =>
    Effect.gen(function* () {
      const headers = { authorization: Redacted.make("Bearer swordfish") }
      const { heard, all } = yield* toldBy(Effect.logInfo("hello"), { headers })
      expect(new Set(heard.map(({ authorization }) => authorization))).toEqual(
        new Set(["Bearer swordfish"])
      )
      expect(all).not.toContain("swordfish")
    })
  )

  it.live("is refused, in one sentence, where it would give something away", () =>
    Effect.gen(function* () {
      const built = (
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
        yield* built({ endpoint: "swordfish" }),
        yield* built({ endpoint: "ftp://collector.example" }),
        yield* built({ endpoint: "https://me:swordfish@collector.example" }),
        yield* built({ endpoint: "http://collector.example:4318", headers }),
        yield* built(
          {},
          {
            OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1.example",
            OTEL_EXPORTER_OTLP_HEADERS: "a=swordfish"
          }
        ),
        yield* built({}, { OTEL_EXPORTER_OTLP_HEADERS: "swordfish" })
      ]).toEqual([
        "no telemetry: its endpoint is no http:// or https:// URL",
        "no telemetry: its endpoint is no http:// or https:// URL",
        "no telemetry: a user or password in its endpoint; use headers",
        "no telemetry: its headers would cross the network in clear to collector.example:4318; name the collector by https",
        "no telemetry: its headers would cross the network in clear to 127.0.0.1.example; name the collector by https",
        "no telemetry: OTEL_EXPORTER_OTLP_HEADERS is not name=value,name=value"
      ])
    })
  )
})

describe("figures", () => {
  it("of the /metrics page are those of the collector", () => {
    const page = formatMetrics({
      ...new Status().snapshot({ messages: 0 }),
      counted: { "tunnel postgres": { connections: 1 } }
    })
    const named = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
      ([, name, type]) => `${name} ${type}`
    )
    expect(named.toSorted()).toEqual(
      Object.values(metrics)
        .map(({ name, type }) => `${name} ${type}`)
        .toSorted()
    )
  })
})

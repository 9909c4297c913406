// Servers and clients are released under a TestClock that nobody advances, whatever their state.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as SecureSocketServer from "../../src/platform/SecureSocketServer.ts"
import * as Credentials from "../../src/services/Credentials.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import type { ServerEvent } from "../../src/services/Server.ts"
import * as TunnelClient from "../../src/services/tunnel/TunnelClient.ts"
import * as TunnelService from "../../src/services/tunnel/TunnelService.ts"
import { application } from "../../src/services/Service.ts"
import { nextTurn, pause, waitUntil, withTimeout } from "../../src/testing/steps.ts"
import { tcp, type Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { clientKeys, dialKeys, serverKeys, suiteOf } from "../channel/rig.ts"
import { startServer } from "./startServer.ts"

const suite = suiteOf("IK")
const keys = { ...clientKeys(suite), application }

interface Running {
  readonly address: Address
  readonly events: ReadonlyArray<ServerEvent>
}

interface State {
  /** Brings a client, and the server, into the state; the scope is that of the client. */
  readonly reach: (server: Running) => Effect.Effect<unknown, unknown, Transport | Scope.Scope>
  readonly layer?: Layer.Layer<Transport>
  /** Real milliseconds that the release may wait for a peer that does not answer. */
  readonly waits?: boolean
}

const connect = ({ address }: Running) =>
  Effect.flatMap(Transport, (transport) => transport.connect(address))

const session = ({ address, events }: Running) =>
  Effect.tap(MessageClient.connect({ address, keys: dialKeys(suite) }), () =>
    waitUntil("the session", () => events.some(({ _tag }) => _tag === "SessionStarted"))
  )

const delay = "1 second"

/** Advances the clock while the effect runs. */
const advancing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const clock = yield* Effect.fork(
      Effect.forever(Effect.zipRight(TestClock.adjust(delay), pause(1)))
    )
    return yield* Effect.ensuring(effect, Fiber.interrupt(clock))
  })

const states: Readonly<Record<string, State>> = {
  "without a client": { reach: () => Effect.void },
  "half-open": { reach: connect },
  "in the middle of the hello": {
    reach: (server) =>
      Effect.flatMap(connect(server), (connection) => connection.write(Buffer.from("SLWR")))
  },
  "before READY": {
    reach: (server) =>
      Effect.flatMap(connect(server), (connection) => Channel.initiate(connection, keys))
  },
  "refused, and not reset yet": {
    reach: (server) =>
      Effect.gen(function* () {
        const psk = Secret.random(32)
        const other = { ...clientKeys(suiteOf("NNpsk0"), { psk }), application }
        yield* Effect.forkScoped(Channel.initiate(yield* connect(server), other))
        yield* pause(50)
      })
  },
  "connecting over a network with a delay": {
    reach: (server) => Effect.zipRight(Effect.forkScoped(session(server)), pause(20)),
    layer: Transport.layerMemory({ delay }),
    waits: true
  },
  "in a session with an idle client": { reach: session },
  "in a session over a network with a delay": {
    reach: (server) => advancing(session(server)),
    layer: Transport.layerMemory({ delay }),
    waits: true
  },
  "in a session with a client that reads nothing": {
    reach: (server) =>
      Effect.gen(function* () {
        const connection = yield* connect(server)
        yield* Channel.connect(connection, keys, { opening: "message" })
        yield* waitUntil("the session", () => server.events.length > 1)
        connection.flow.pause()
      }),
    waits: true
  },
  "in a handler that never ends": {
    reach: (server) =>
      Effect.gen(function* () {
        const client = yield* session(server)
        yield* Effect.forkScoped(client.send([Buffer.from("wait")]))
        yield* pause(20)
      }),
    waits: true
  }
}

const services = [MessageService.service(() => Effect.never)]

/** Closes the scope; returns the real milliseconds that it took. */
const release = (what: string, scope: Scope.CloseableScope) =>
  Effect.gen(function* () {
    const before = performance.now()
    yield* withTimeout(`the release of the ${what}`, Scope.close(scope, Exit.void))
    return performance.now() - before
  })

describe.each(["server", "client"] as const)("the %s is released first", (first) => {
  for (const [name, { reach, layer = Transport.layerMemory(), waits = false }] of Object.entries(
    states
  ))
    it.effect(name, () =>
      Effect.gen(function* () {
        const [server, client] = [yield* Scope.make(), yield* Scope.make()]
        const running = yield* Scope.extend(startServer({ keys: serverKeys, services }), server)
        yield* withTimeout("the state", Scope.extend(reach(running), client))
        yield* nextTurn
        const scopes = { server, client }
        const last = first === "server" ? "client" : "server"
        const millis = [yield* release(first, scopes[first]), yield* release(last, scopes[last])]
        // Nobody is waited for who is not there or answers.
        for (const each of millis) expect(each).toBeLessThan(waits ? 4000 : 900)
      }).pipe(Effect.provide(layer))
    )
})

const Keys = KeyStore.layerMemory().pipe(KeyStore.creating(SharedKey))
const [remote, target, local] = [
  tcp("remote", 8080),
  tcp("127.0.0.1", 5432),
  tcp("127.0.0.1", 15_432)
]

const TunnelServer = Layer.unwrapEffect(
  Effect.map(TunnelService.service([{ name: "postgres", address: target }]), (service) =>
    Server.layer({ address: remote, keys: Server.sharedKey, services: [service] })
  )
)
const Tunnel = TunnelClient.layer({
  listen: local,
  server: { address: remote, keys: Credentials.sharedKey },
  target: "postgres"
})

/** Programs with a tunnel: whether a connection goes through it, and in which state that is. */
const tunnels: Readonly<Record<string, Effect.Effect<unknown, unknown, Transport | Scope.Scope>>> =
  {
    "without a connection": Effect.void,
    "with an idle connection": Effect.gen(function* () {
      const { listen, connect: open } = yield* Transport
      yield* listen(target, ({ read, write, draining }) =>
        Effect.ignore(
          Effect.zipRight(
            Effect.flatMap(read, () => write(Buffer.from("out"))),
            draining
          )
        )
      )
      const connection = yield* open(local)
      yield* connection.write(Buffer.from("in"))
      yield* withTimeout("the target", connection.read)
    })
  }

describe("a tunnel is released", () => {
  for (const [name, use] of Object.entries(tunnels))
    it.effect(name, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(
          Layer.provideMerge(Tunnel, TunnelServer).pipe(
            Layer.provideMerge(Layer.merge(Keys, Transport.layerMemory()))
          ),
          scope
        )
        yield* use.pipe(Effect.provide(context), Scope.extend(scope))
        expect(yield* release("tunnel", scope)).toBeLessThan(6000)
      })
    )
})

it.effect("a socket server is released while connections wait for its first run", () =>
  Effect.gen(function* () {
    const [server, client] = [yield* Scope.make(), yield* Scope.make()]
    const { address } = yield* Scope.extend(
      SecureSocketServer.make({ address: tcp("127.0.0.1", 0), keys: serverKeys }),
      server
    )
    const port = address._tag === "TcpAddress" ? address.port : 0
    const { connect: open } = yield* Transport
    for (let count = 0; count < 3; count++)
      yield* Scope.extend(open(tcp("127.0.0.1", port)), client)
    expect(yield* release("server", server)).toBeLessThan(900)
    expect(yield* release("clients", client)).toBeLessThan(900)
  }).pipe(Effect.provide(Transport.layerMemory()))
)

// The log of a server whose peers vanish, and of one whose handler is at fault.
import { expect, it } from "@effect/vitest"
import type * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { application } from "../../src/platform/application.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { PeerDead, ChannelTampered, StreamTruncated } from "../../src/channel/ChannelErrors.ts"
import * as Telemetry from "../../src/otel/Telemetry.ts"
import { ServerEvent } from "../../src/services/Server.ts"
import { waitUntil, withTimeout } from "../../src/testing/steps.ts"
import { Transport } from "../../src/transports/index.ts"
import { clientKeys, suiteOf } from "../channel/rig.ts"
import { serving } from "./rig.ts"

const keys = { ...clientKeys(suiteOf("IK")), application }

/** Returns the levels of the lines that match, while the effect runs. */
const levelsOf = <E, R>(matching: RegExp, effect: Effect.Effect<unknown, E, R>) => {
  const levels: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (matching.test(String(message))) levels.push(logLevel._tag)
  })
  return effect.pipe(
    Effect.zipRight(waitUntil("the line", () => levels.length > 0)),
    Effect.as(levels),
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(Transport.layerMemory(), Logger.replace(Logger.defaultLogger, logger))
    ),
    Logger.withMinimumLogLevel(LogLevel.All)
  )
}

/** Connects to a server with this handler; `use` gets the client's connection during a session. */
const session = (
  handler: (socket: Socket.Socket) => Effect.Effect<unknown, Socket.SocketError>,
  use: (connection: Channel.Channel) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const opened = yield* Deferred.make<void>()
    const { address } = yield* serving((socket) =>
      Effect.zipRight(Deferred.succeed(opened, undefined), handler(socket))
    )
    const connection = yield* (yield* Transport).connect(address)
    const channel = yield* Channel.connect(connection, keys)
    yield* withTimeout("the session", Deferred.await(opened))
    yield* use(channel)
  })

const reading = (socket: Socket.Socket) => socket.run(() => {})
const failures = /^the handler of /

it.live("a peer that vanishes in a session is logged at Debug", () =>
  Effect.map(
    levelsOf(
      failures,
      session(reading, ({ reset }) => reset)
    ),
    (levels) => expect(levels).toEqual(["Debug"])
  )
)

it.live("a handler with a fault is logged at Error", () =>
  Effect.map(
    levelsOf(
      failures,
      session(
        () => Effect.die(new Error("a fault of the handler")),
        () => Effect.void
      )
    ),
    (levels) => expect(levels).toEqual(["Error"])
  )
)

it.effect.each([
  [new StreamTruncated({ peer: "alice", code: "ECONNRESET" }), "Debug"],
  [new PeerDead({ peer: "alice" }), "Debug"],
  [new ChannelTampered({ peer: "alice", detail: "a second FIN" }), "Warning"]
] as const)("Telemetry.logged: $0._tag at $1", ([error, level]) =>
  Effect.gen(function* () {
    const sender = { peer: "alice", from: "127.0.0.1:1", publicKey: undefined, suite: "IK" }
    const event = ServerEvent.SessionEnded({ sender, service: "message", counted: {}, error })
    expect(yield* levelsOf(/^session ended/, Telemetry.logged(event))).toEqual([level])
  })
)

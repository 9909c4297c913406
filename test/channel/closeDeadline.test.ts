// Deadlines of a client whose peer does not answer: of the server's READY, and of a close.
import { expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/channel/Channel.ts"
import { respond } from "../../src/channel/Handshake.ts"
import { HandshakeDriver } from "../../src/channel/HandshakeDriver.ts"
import { makeMemory } from "../../src/transports/Memory.ts"
import { Transport } from "../../src/transports/index.ts"
import { pause, withTimeout } from "../../src/testing/steps.ts"
import { anyPort, clientKeys, openChannel, serverKeys, suiteOf } from "./rig.ts"

const suite = suiteOf("IK")
const after = (millis: number) => Effect.zipRight(TestClock.adjust(millis), pause(10))

it.scoped("a close waits five seconds for the end of the peer's stream, and no longer", () =>
  Effect.gen(function* () {
    // The other end never ends its stream.
    const [client] = yield* openChannel(suite, {
      wire: (connection) => ({
        ...connection,
        flow: {
          ...connection.flow,
          start: (listener) => connection.flow.start({ ...listener, end: () => {}, lost: () => {} })
        }
      })
    })
    yield* pause(10)
    const closing = yield* Effect.fork(client.close(Exit.void))
    yield* pause(10)
    yield* after(4999)
    expect(closing.unsafePoll()).toBe(null)
    yield* after(1)
    yield* withTimeout("the end of the close", Fiber.join(closing))
  }).pipe(Effect.provide(Transport.layerMemory()))
)

it.scoped("the server's READY must arrive within ten seconds of the handshake", () =>
  Effect.gen(function* () {
    const network = makeMemory()
    // Answers the handshake and sends nothing more.
    const { address } = yield* network.listen(anyPort, ({ flow, peer, draining }) =>
      Effect.suspend(() => {
        const pending = { address: peer, send: flow.write, markResponsive: () => {} }
        new HandshakeDriver(flow, respond(pending, serverKeys), {
          done: () => {},
          defect: () => {}
        }).start()
        return draining
      })
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
    const connection = yield* Scope.extend(network.connect(address), scope)
    const channel = yield* withTimeout(
      "the handshake",
      Scope.extend(Channel.connect(connection, clientKeys(suite)), scope)
    )
    const outcome = yield* Deferred.make<unknown, void>()
    yield* Effect.fork(Deferred.complete(outcome, Effect.flip(channel.ready)))
    yield* pause(10)
    yield* after(9999)
    expect(yield* Deferred.isDone(outcome)).toBe(false)
    yield* after(1)
    expect(yield* withTimeout("the failure", Deferred.await(outcome))).toMatchObject({
      _tag: "HandshakeFailed",
      reason: "timed out"
    })
  })
)

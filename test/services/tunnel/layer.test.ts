// A tunnel as a layer: it listens or has failed when it is built.
import { it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect } from "vitest"
import { generate } from "../../../src/keys/KeyPair.ts"
import * as Server from "../../../src/services/Server.ts"
import * as TunnelClient from "../../../src/services/tunnel/TunnelClient.ts"
import * as TunnelService from "../../../src/services/tunnel/TunnelService.ts"
import * as Address from "../../../src/transports/Address.ts"
import { mutualKeys } from "../../../src/testing/keys.ts"
import { Transport } from "../../../src/transports/index.ts"
import { anyPort } from "../../channel/rig.ts"

const {
  server: serverKeys,
  client: { keys }
} = mutualKeys("alice")

/** Starts a target that sends back what it gets, in capital letters. */
const loudTarget = Effect.gen(function* () {
  const { listen } = yield* Transport
  const { address } = yield* listen(anyPort, (connection) =>
    Effect.gen(function* () {
      for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read)
        yield* connection.write(Buffer.from(Buffer.from(chunk).toString().toUpperCase()))
      yield* connection.end
    }).pipe(Effect.ignore)
  )
  return address
})

const startServer = (address: Address.Address) =>
  Effect.gen(function* () {
    const service = yield* TunnelService.service([{ name: "loud", address: yield* loudTarget }])
    return yield* Server.listen({ address, keys: serverKeys, services: [service] })
  })

const tunnelTo = (options: Omit<TunnelClient.LayerOptions<never, never>, "listen">) =>
  Effect.map(Layer.build(TunnelClient.layer({ listen: anyPort, ...options })), (context) =>
    Context.get(context, TunnelClient.TunnelClient)
  )

const askThrough = (address: Address.Address) =>
  Effect.gen(function* () {
    const connection = yield* (yield* Transport).connect(address)
    yield* connection.write(Buffer.from("hello"))
    yield* connection.end
    let heard = ""
    for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read)
      heard += Buffer.from(chunk).toString()
    return heard
  }).pipe(Effect.scoped)

describe.each([
  ["memory", Transport.layerMemory()],
  ["sockets", Transport.layerNet]
] as const)("a tunnel over %s", (_, transport) => {
  it.scopedLive("forwards connections once the layer is built", () =>
    Effect.gen(function* () {
      const { address: server } = yield* startServer(anyPort)
      const { address, check } = yield* tunnelTo({ server: { address: server, keys } })
      yield* check
      expect(yield* askThrough(address)).toBe("HELLO")
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("waits for a server that is away", () =>
    Effect.gen(function* () {
      const started = yield* Effect.scoped(startServer(anyPort))
      const { address, check } = yield* tunnelTo({ server: { address: started.address, keys } })
      expect(yield* Effect.flip(check)).toMatchObject({ _tag: "ConnectFailed" })
      yield* startServer(started.address)
      expect(yield* askThrough(address)).toBe("HELLO")
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("fails where another attempt cannot help", () =>
    Effect.gen(function* () {
      const { address } = yield* startServer(anyPort)
      const failures = yield* Effect.all(
        [
          Effect.flip(tunnelTo({ server: { address, keys }, target: "quiet" })),
          Effect.flip(tunnelTo({ server: { address, keys: { ...keys, identity: generate() } } })),
          Effect.flip(
            Effect.flatMap(tunnelTo({ server: { address, keys } }), (one) =>
              Layer.build(TunnelClient.layer({ listen: one.address, server: { address, keys } }))
            )
          )
        ],
        { concurrency: "unbounded" }
      )
      expect(failures.map(({ _tag }) => _tag)).toEqual([
        "NotOffered",
        "HandshakeFailed",
        "PortInUse"
      ])
    }).pipe(Effect.provide(transport))
  )
})

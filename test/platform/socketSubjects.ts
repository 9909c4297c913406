// Transports of the sockets of @effect/platform-node, for the laws of a transport.
import { createServer } from "node:net"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SocketTransport from "../../src/platform/SocketTransport.ts"
import type { TransportSubject } from "../../src/testing/TransportSubject.ts"
import { format, tcp, type Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"

const MiB = 1024 * 1024

/** The host and port of an address; these sockets have no others here. */
const placeOf = (address: Address) =>
  address._tag === "Tcp"
    ? { host: address.host, port: address.port }
    : { host: "127.0.0.1", port: 0 }

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { readonly port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

const limits = {
  freeAddress: Effect.map(freePort, (port) => tcp("127.0.0.1", port)),
  unusedAddress: tcp("127.0.0.1", 1),
  unusedReason: "refused",
  supportsReset: false,
  supportsHalfClose: false,
  refusesWhileClosing: false,
  maxUnreadBytes: 16 * MiB,
  maxReadAheadBytes: MiB
} as const

export const subjects: Readonly<Record<string, TransportSubject>> = {
  "NodeSocket and NodeSocketServer": {
    ...limits,
    layer: Layer.sync(Transport, () =>
      SocketTransport.make({
        connect: (address) => NodeSocket.makeNet(placeOf(address)),
        listen: (address) => NodeSocketServer.make(placeOf(address))
      })
    )
  },
  "WebSockets of @effect/platform-node": {
    ...limits,
    layer: Layer.effect(
      Transport,
      Effect.map(Transport, ({ connect }) => ({
        ...SocketTransport.make({
          listen: (address) => NodeSocketServer.makeWebSocket(placeOf(address))
        }),
        connect
      }))
    ).pipe(
      Layer.provide(SocketTransport.layerWebSocket((address) => `ws://${format(address)}`)),
      Layer.provide(NodeSocket.layerWebSocketConstructor)
    )
  }
}

// Messages over WebSockets: node --import tsx examples/websocket/main.ts
import { deepStrictEqual } from "node:assert/strict"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  Address,
  Credentials,
  KeyStore,
  MessageClient,
  MessageService,
  Server,
  SharedKey
} from "sealwire"
import { SocketTransport } from "sealwire/platform"

class Order extends Schema.Class<Order>("Order")({
  item: Schema.NonEmptyString,
  count: Schema.Int,
  due: Schema.Date
}) {}

const Key = KeyStore.layerMemory().pipe(KeyStore.creating(SharedKey))

const handled: Array<Order> = []
const Orders = MessageService.schema(Order, (order) => Effect.sync(() => void handled.push(order)))

// Behind an HTTP server: NodeSocketServer.layerWebSocket({ server, path: "/sealwire" }).
const OrderServer = Server.layer({
  address: Address.tcp("127.0.0.1", 0),
  keys: Server.sharedKey,
  services: [Orders]
}).pipe(
  Layer.provide(SocketTransport.layerSocketServer),
  Layer.provide(NodeSocketServer.layerWebSocket({ host: "127.0.0.1", port: 0 }))
)

// A proxy on the way sees the WebSocket, and that it carries a Noise channel; never a message.
const WebSocketClient = SocketTransport.layerWebSocket(
  (address) => `ws://${Address.format(address)}/`
).pipe(Layer.provide(NodeSocket.layerWebSocketConstructor))

const main = Effect.gen(function* () {
  const { address } = yield* Server.Server
  const client = yield* MessageClient.connect({ address, keys: Credentials.sharedKey })
  const orders = [
    new Order({ item: "apples", count: 3, due: new Date(0) }),
    new Order({ item: "pears", count: 2, due: new Date(86_400_000) })
  ]
  yield* MessageClient.schema(client, Order).send(orders)
  deepStrictEqual(handled, orders)

  const malformed = yield* Effect.flip(client.send([Buffer.from('{"item":"apples"}')]))
  deepStrictEqual([malformed._tag, handled.length], ["NotTaken", 2])
  console.log(`two orders over a WebSocket, and one refused: ${malformed.message}`)
}).pipe(Effect.scoped)

await Effect.runPromise(
  main.pipe(Effect.provide(WebSocketClient), Effect.provide(OrderServer), Effect.provide(Key))
)

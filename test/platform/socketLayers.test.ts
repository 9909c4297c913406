// Layers of SocketTransport: messages and files over the sockets of @effect/platform-node.
import { mkdirSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SocketTransport from "../../src/platform/SocketTransport.ts"
import * as FileClient from "../../src/services/transfer/FileClient.ts"
import * as FileService from "../../src/services/transfer/FileService.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import { withTimeout } from "../../src/testing/steps.ts"
import { format, tcp, type Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { anyPort, dialKeys, serverKeys, suiteOf } from "../channel/rig.ts"
import { scopedFolder } from "../fixtures/folder.ts"
import { snapshot, writeTree } from "../services/transfer/Transfers.ts"

const MiB = 1024 * 1024
const keys = dialKeys(suiteOf("IK"))
const local = { host: "127.0.0.1", port: 0 }

const portOf = (address: Address) => (address._tag === "Tcp" ? address.port : 0)

const servers = {
  "a NodeSocketServer": {
    server: NodeSocketServer.layer(local),
    client: (address: Address) =>
      SocketTransport.layerSocket().pipe(
        Layer.provide(NodeSocket.layerNet({ host: "127.0.0.1", port: portOf(address) }))
      )
  },
  "a WebSocket server": {
    server: NodeSocketServer.layerWebSocket(local),
    client: (address: Address) =>
      SocketTransport.layerWebSocket(() => `ws://${format(address)}`).pipe(
        Layer.provide(NodeSocket.layerWebSocketConstructor)
      )
  },
  "a WebSocket server, by the Socket of the context": {
    server: NodeSocketServer.layerWebSocket(local),
    client: (address: Address) =>
      SocketTransport.layerSocket().pipe(
        Layer.provide(NodeSocket.layerWebSocket(`ws://${format(address)}`))
      )
  }
} as const

/** Starts a server with both services; returns its address, its folder, and what it handled. */
const started = (layer: (typeof servers)[keyof typeof servers]["server"]) =>
  Effect.gen(function* () {
    const there = yield* scopedFolder
    const received: Array<string> = []
    const transport = yield* Layer.build(Layer.provide(SocketTransport.layerSocketServer, layer))
    const { address } = yield* Server.listen({
      address: anyPort,
      keys: serverKeys,
      services: [
        MessageService.service((messages, { from }) =>
          Effect.sync(() => {
            for (const { text } of messages)
              received.push(`${from.split(":")[0]} ${Buffer.from(text).toString()}`)
          })
        ),
        FileService.service({
          folder: there,
          onStored: () => Effect.void,
          onDiskFailed: () => Effect.void
        })
      ]
    }).pipe(Effect.provide(transport))
    return { address, there, received }
  })

describe.each(Object.entries(servers))("over %s", (_, { server, client }) => {
  it.scopedLive("messages have receipts, one session after the other", () =>
    Effect.gen(function* () {
      const { address, received } = yield* started(server)
      expect(portOf(address)).toBeGreaterThan(0)
      const send = (text: string) =>
        Effect.flatMap(MessageClient.connect({ address, keys }), (session) =>
          session.send([Buffer.from(text)])
        ).pipe(Effect.scoped, (sending) => withTimeout("the receipt", sending))
      yield* Effect.provide(Effect.zipRight(send("one"), send("two")), client(address))
      expect(received).toEqual(["127.0.0.1 one", "127.0.0.1 two"])
    })
  )

  it.scopedLive("files arrive whole, in both sizes of a write", () =>
    Effect.gen(function* () {
      const { address, there } = yield* started(server)
      const here = yield* scopedFolder
      writeTree(here, {
        "large.bin": Buffer.alloc(24 * MiB, "large, "),
        "small.txt": Buffer.from("small")
      })
      mkdirSync(path.join(here, "empty"))
      const pushed = yield* FileClient.push({
        from: ["large.bin", "small.txt", "empty"].map((name) => path.join(here, name)),
        to: { address, keys }
      }).pipe(Effect.provide(client(address)), (push) => withTimeout("the push", push))
      expect(pushed).toMatchObject({ stored: 2 })
      expect(snapshot(there)).toEqual(snapshot(here))
    })
  )
})

it.scopedLive("the Socket of the context has one connection at a time", () =>
  Effect.gen(function* () {
    const { server, client } = servers["a NodeSocketServer"]
    const { address } = yield* started(server)
    yield* Effect.gen(function* () {
      const { connect } = yield* Transport
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* connect(address)
          expect(yield* Effect.flip(connect(address))).toMatchObject({
            _tag: "ConnectFailed",
            code: "EBUSY"
          })
        })
      )
      yield* withTimeout("the next connection", connect(address))
    }).pipe(Effect.provide(client(address)))
  })
)

it.scopedLive("a layer for one side fails the other, with the reason", () =>
  Effect.gen(function* () {
    const { listen } = yield* Transport
    expect(yield* Effect.flip(listen(anyPort, () => Effect.void))).toMatchObject({
      _tag: "ListenFailed",
      detail: "this transport only connects"
    })
    const server = SocketTransport.layerSocketServer.pipe(
      Layer.provide(NodeSocketServer.layer(local))
    )
    const { connect } = yield* Effect.provide(Transport, server)
    expect(yield* Effect.flip(connect(tcp("127.0.0.1", 1)))).toMatchObject({
      _tag: "ConnectFailed",
      code: "EOPNOTSUPP"
    })
  }).pipe(
    Effect.provide(
      SocketTransport.layerWebSocket(() => "ws://127.0.0.1:1").pipe(
        Layer.provide(NodeSocket.layerWebSocketConstructor)
      )
    )
  )
)

// The thread of the server, which replies in capital letters.
import { parentPort, workerData } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { Address, MessageService, Secret, Server } from "sealwire"
import * as Ports from "./Ports.ts"

if (parentPort === null) throw new Error("main.ts starts this thread")
const trunk = parentPort

Effect.runFork(
  Server.serve({
    address: Address.unix("/loud"),
    keys: { psks: [{ secret: new Secret(workerData as Uint8Array) }] },
    services: [
      MessageService.service(() => Effect.void, {
        reply: ({ text }) => Effect.succeed(Buffer.from(Buffer.from(text).toString().toUpperCase()))
      })
    ],
    on: ({ _tag }) =>
      _tag === "Listening" ? Effect.sync(() => trunk.postMessage("ready")) : Effect.void
  }).pipe(Effect.provide(Ports.layer(trunk)))
)

// A server in a thread and a client in another: node --import tsx examples/transport/main.ts
import { deepStrictEqual } from "node:assert/strict"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { Address, MessageClient, Secret } from "sealwire"
import * as Ports from "./Ports.ts"

const psk = Secret.random(32)

const thread = Effect.acquireRelease(
  Effect.async<Worker>((resume) => {
    const file = fileURLToPath(new URL("./thread.ts", import.meta.url))
    // A Worker does not inherit the loader of TypeScript, so it registers one.
    const code = `import("tsx/esm/api").then(({ register }) => (register(), import(${JSON.stringify(file)})))`
    const worker = new Worker(code, { eval: true, workerData: Uint8Array.from(psk.expose()) })
    worker.once("message", () => resume(Effect.succeed(worker)))
    worker.once("error", (error) => resume(Effect.die(error)))
  }),
  (worker) => Effect.promise(() => worker.terminate())
)

const main = Effect.gen(function* () {
  const worker = yield* thread
  const answer = yield* Effect.gen(function* () {
    const client = yield* MessageClient.connect({
      address: Address.unix("/loud"),
      keys: { psk }
    })
    return Buffer.from(yield* client.request(Buffer.from("is it loud"))).toString()
  }).pipe(Effect.scoped, Effect.provide(Ports.layer(worker)))
  deepStrictEqual(answer, "IS IT LOUD")
  console.log(`from the other thread: ${answer}`)
}).pipe(Effect.scoped)

await Effect.runPromise(main)

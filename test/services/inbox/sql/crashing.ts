// A program that is killed in its transaction: after the statement of its handler, before COMMIT.
//   node --import tsx crashing.ts consume|receive FILE|URL
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlInbox } from "../../../../src/services/inbox/sql/SqlInbox.ts"
import { clientOf } from "./clients.ts"

const [action, database = ""] = process.argv.slice(2)

const crash = Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`INSERT INTO orders (name) VALUES ('apples')`
  process.kill(process.pid, "SIGKILL")
  return yield* Effect.never
})

const message = { id: new Uint8Array(16), text: Buffer.from("apples") }
const sender = { peer: "alice", from: "alice", publicKey: undefined, suite: "NNpsk0" }

const program: Effect.Effect<void, unknown, SqlClient | SqlInbox> =
  action === "consume"
    ? SqlInbox.consume(() => crash, { lease: "100 millis" })
    : SqlInbox.receive(() => crash)([message], sender)

await program.pipe(
  Effect.provide(Layer.provideMerge(SqlInbox.layer, clientOf(database))),
  Effect.runPromise
)

// What the cluster holds: accounts, each with its balance, each alive on one runner at a time.
import * as ClusterSchema from "@effect/cluster/ClusterSchema"
import * as Entity from "@effect/cluster/Entity"
import * as Rpc from "@effect/rpc/Rpc"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A deposit under one id is one deposit, however often it is sent. */
const deposit = Rpc.make("deposit", {
  payload: { id: Schema.String, amount: Schema.Int },
  success: Schema.Int,
  primaryKey: ({ id }) => id
}).annotate(ClusterSchema.Persisted, true)

/** The balance, and the runner that holds the account now. */
const look = Rpc.make("look", {
  success: Schema.Struct({ balance: Schema.Int, runner: Schema.String })
})

export const Account = Entity.make("Account", [deposit, look])

/** Where every deposit is written down; `tries` says how often a runner has begun on it. */
export const createBooks = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql`CREATE TABLE books (id TEXT PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 1)`
)

/** The accounts of this runner. A runner that takes one over reads its balance from the books. */
export const layerAccounts = (runner: string) =>
  Account.toLayer(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { entityId: account } = yield* Entity.CurrentAddress
      const [books] = yield* sql<{
        balance: number
      }>`SELECT COALESCE(SUM(amount), 0)::int AS balance FROM books WHERE account = ${account}`
      let balance = books?.balance ?? 0
      return Account.of({
        deposit: ({ payload: { id, amount } }) =>
          Effect.gen(function* () {
            // A runner that was killed may have written it, and not yet answered: then it is only looked at.
            const [{ tries }] = (yield* sql<{ tries: number }>`
              INSERT INTO books (id, account, amount) VALUES (${id}, ${account}, ${amount})
              ON CONFLICT (id) DO UPDATE SET tries = books.tries + 1 RETURNING tries`) as [
              { tries: number }
            ]
            if (tries === 1) balance += amount
            return balance
          }).pipe(Effect.orDie),
        look: () => Effect.succeed({ balance, runner })
      })
    }).pipe(Effect.orDie),
    { maxIdleTime: "10 minutes" }
  )

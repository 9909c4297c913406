// The entities of the cluster: accounts with a balance, each running on one runner at a time.
import * as ClusterSchema from "@effect/cluster/ClusterSchema"
import * as Entity from "@effect/cluster/Entity"
import * as Rpc from "@effect/rpc/Rpc"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Deposits with the same id count once. */
const deposit = Rpc.make("deposit", {
  payload: { id: Schema.String, amount: Schema.Int },
  success: Schema.Int,
  primaryKey: ({ id }) => id
}).annotate(ClusterSchema.Persisted, true)

/** Returns the balance, and the runner that holds the account. */
const look = Rpc.make("look", {
  success: Schema.Struct({ balance: Schema.Int, runner: Schema.String })
})

export const Account = Entity.make("Account", [deposit, look])

/**
 * Creates the table of all deposits. `tries` counts the runners that have started to handle one.
 */
export const createBooks = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql`CREATE TABLE books (id TEXT PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 1)`
)

/** Provides the accounts of this runner. A runner that takes over an account reads its balance. */
export const layerAccounts = (runner: string) =>
  Account.toLayer(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { entityId: account } = yield* Entity.CurrentAddress
      const readBalance = Effect.map(
        sql<{
          balance: number
        }>`SELECT COALESCE(SUM(amount), 0)::int AS balance FROM books WHERE account = ${account}`,
        ([books]) => books?.balance ?? 0
      )
      let balance = yield* readBalance
      return Account.of({
        deposit: ({ payload: { id, amount } }) =>
          Effect.gen(function* () {
            const [{ tries }] = (yield* sql<{ tries: number }>`
              INSERT INTO books (id, account, amount) VALUES (${id}, ${account}, ${amount})
              ON CONFLICT (id) DO UPDATE SET tries = books.tries + 1 RETURNING tries`) as [
              { tries: number }
            ]
            // Another runner may have written the deposit without answering, even after this one
            // has read the balance: a runner that loses its shard lock is not always dead.
            balance = tries === 1 ? balance + amount : yield* readBalance
            return balance
          }).pipe(Effect.orDie),
        look: () => Effect.succeed({ balance, runner })
      })
    }).pipe(Effect.orDie),
    { maxIdleTime: "10 minutes" }
  )

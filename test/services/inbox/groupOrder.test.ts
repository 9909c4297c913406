// Rows reach the database in the order in which they were given, also when those of one caller need
// several transactions.
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as GroupCommit from "../../../src/services/inbox/GroupCommit.ts"
import { limits } from "../../../src/services/inbox/limits.ts"

interface Row {
  readonly name: string
  readonly size: number
}
const row = (name: string, size = 1): Row => ({ name, size })

it.scopedLive("a caller whose rows need several transactions is not overtaken", () =>
  Effect.gen(function* () {
    const transactions: Array<ReadonlyArray<string>> = []
    const commit = yield* GroupCommit.make((rows: ReadonlyArray<Row>) =>
      Effect.sync(() => void transactions.push(rows.map(({ name }) => name)))
    )
    const large = limits.transactionBytes / 2 + 1
    yield* Effect.all(
      [
        commit([row("a1", large), row("a2", large), row("a3", large)]),
        commit([row("b1")]),
        commit([row("c1"), row("c2")])
      ],
      { concurrency: "unbounded" }
    )
    expect(transactions.flat()).toEqual(["a1", "a2", "a3", "b1", "c1", "c2"])
    expect(transactions).toContainEqual(["a1"])
  })
)

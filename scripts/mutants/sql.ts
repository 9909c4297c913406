import { room } from "./Mutant.ts"

const consume = ["services/inbox/sql/consume"]
const outbox = ["services/inbox/sql/outbox"]
const tables = ["services/inbox/sql/tables"]

export const sql = room("services/inbox/sql", [
  {
    file: "SqlInbox.ts",
    tests: consume,
    mutants: [
      ["(owned ? Effect.void : new LeaseLost())", "(owned ? Effect.void : Effect.void)"],
      ['yield* run("SELECT 1")', ""],
      ["messages.filter(({ id }) => fresh.delete(Hex.encode(id)))", "messages"],
      ["if (added.length === 0) return", "if (added.length < 0) return"],
      [
        "onTrue: () => inParts(rowsOf(messages, sender), insert)",
        "onTrue: () => store.handle(messages, sender)"
      ],
      [
        "rowsOf(messages, sender),\n            storing(dialect, run, { done: true })",
        "rowsOf(messages, sender),\n            storing(dialect, run)"
      ],
      ['verdict === "later"', 'verdict !== "later"'],
      ["            transaction,\n            Effect.catchTags", "            Effect.catchTags"]
    ]
  },
  {
    file: "SqlDatabase.ts",
    tests: consume,
    mutants: [
      ["errors.isTransient(error)\n", "true\n"],
      ["errors.isTransient(error)\n", "false\n"],
      ["Effect.catchAllCause(sql.withTransaction(use), failureOf)", "sql.withTransaction(use)"],
      [".withoutTransform, errors", ", errors", { tests: ["services/inbox/inbox"] }],
      ["statement.replaceAll(ownPrefix, prefix)", "statement", { tests: tables }],
      ["!validPrefix.test(prefix)", "false", { tests: tables }],
      ["version === current", "version >= current", { tests: tables }],
      ["run(databases[name].migrationLock(tables))", "Effect.void", { tests: tables }],
      ["[createSchema(dialect, tables), ...first]", "first", { tests: tables }]
    ]
  },
  {
    file: "outboxTables.ts",
    tests: outbox,
    mutants: [
      [
        "WHERE outbox = $1 AND sequence IN (${sequences",
        "WHERE sequence > 0 AND outbox = $1 OR sequence IN (${sequences"
      ],
      [" OR sealwire_outbox_turns.held_until <= ${now}", " OR 1 = 1"],
      ["WHERE outbox = $1 ORDER BY sequence LIMIT $2", "WHERE $1 <> '' ORDER BY sequence LIMIT $2"]
    ]
  },
  {
    file: "delivering.ts",
    tests: outbox,
    mutants: [
      ["Effect.as(keepTurn(table, holder), false)", "Effect.never"],
      ["Effect.ignore(table.endTurn(holder))", "Effect.void"],
      ["if (first.length === 0) return", ""],
      ["sent = sent.slice(count)", "sent = []"],
      ["{ while: isOutage, schedule: outages }", "{ while: () => false }"],
      ["Effect.suspend(() => Effect.ignore(removeAcknowledged))", "Effect.void"]
    ]
  },
  {
    file: "SqlOutbox.ts",
    tests: outbox,
    mutants: [["retry = wait ? unlimited :", "retry = "]]
  }
])

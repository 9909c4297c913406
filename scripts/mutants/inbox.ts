import { room } from "./Mutant.ts"

const inboxTests = ["services/inbox/inbox"]
const kinds = ["services/inbox/kinds"]
const units = ["services/inbox/sqlite", ...inboxTests]
const manyMessages = { tests: ["services/inbox/manyMessages"] }
const deadLetters = { tests: ["services/inbox/deadLetters"] }

export const inbox = room("services/inbox", [
  {
    file: "migrate.ts",
    tests: units,
    mutants: [
      ["if (version > versions.length)", "if (false)", { tests: ["services/inbox/sqlite"] }],
      ["UNIQUE (id, peer)", "UNIQUE (id)"],
      [
        "SET uncounted = attempts WHERE done_at IS NULL AND attempts > 0",
        "SET uncounted = 0 WHERE done_at IS NULL AND attempts > 0",
        { tests: ["services/inbox/migration"] }
      ]
    ]
  },
  {
    file: "InboxTable.ts",
    tests: units,
    mutants: [
      [
        "done_at = ${now}, text = $1\n",
        "done_at = ${now}, text = CASE WHEN $1 IS NULL THEN NULL ELSE text END\n"
      ],
      [".join()}) AND done_at IS NULL`", ".join()})`"],
      ["lease_until > 0 AND lease_until <= ${now}\n", "lease_until > 0 AND lease_until < 9e15\n"],
      ["taken_by = $3, attempts = attempts + 1", "taken_by = $3, attempts = attempts"],
      ["WHERE before <= $4", "WHERE $4 > 0"],
      ["AND attempts = ${nth(3)}", "AND ${nth(3)} > 0"],
      ["AND taken_by = ${nth(2)}", "AND ${nth(2)} > ''", { tests: ["services/inbox/sqlite"] }],
      ["counts ? 0 : 1", "counts ? 1 : 0", deadLetters],
      ["taken_by = NULL, uncounted = uncounted + 1", "taken_by = NULL", deadLetters],
      ["peer: statement(ofEachPeer(leased))", "peer: statement(oldest)", deadLetters],
      [
        "strict: statement(ofEachPeer(pending))",
        "strict: statement(ofEachPeer(leased))",
        deadLetters
      ],
      [
        "WHEN due < fresh THEN due ELSE COALESCE(fresh, due)",
        "WHEN 1 = 1 THEN COALESCE(fresh, due)",
        deadLetters
      ],
      ["sequence = $1 AND taken_by IS NULL AND done_at IS NULL", "sequence = $1", deadLetters],
      [
        'isDead ? pruneInOrder(run, dead, "dead_at", before) : Effect.succeed(0)',
        'pruneInOrder(run, dead, "dead_at", before)',
        deadLetters
      ],
      ["one.sequence - other.sequence", "other.sequence - one.sequence"],
      [
        'isPending ? pruneInOrder(run, pending, "received_at", before) : Effect.succeed(0)',
        'pruneInOrder(run, pending, "received_at", before)'
      ],
      ["if (length < limits.prunedMessages) return total", "return total", manyMessages],
      ["AND ${time} < $1 AND sequence > $2", "AND $1 > 0 AND sequence > $2"],
      [
        "if (some?.last == null) return total",
        "if (some?.last == null || after > 0) return total",
        manyMessages
      ],
      ["AS summed WHERE before <= ${limits.prunedBytes}", "AS summed", manyMessages],
      ["ON CONFLICT DO NOTHING", "ON CONFLICT (id, peer) DO UPDATE SET text = excluded.text"],
      ["id BETWEEN $1 AND $2 AND done_at IS NULL", "id BETWEEN $1 AND $2"],
      ["SUBSTR(text, 1, $1)", "SUBSTR(text, 1, $1 + 1)"],
      ["WHERE ${condition} LIMIT ${limits.countedMessages}", "LIMIT ${limits.countedMessages}"]
    ]
  },
  {
    file: "MemoryInbox.ts",
    tests: inboxTests,
    mutants: [
      ["row.peer === peer && Buffer.compare(row.id, id) === 0", "Buffer.compare(row.id, id) === 0"],
      ["Math.max(leaseUntil, retryAt) <= now", "Math.max(leaseUntil, retryAt) <= now + 1e12"],
      ["row.attempts === attempts && ", ""],
      [
        "text: Buffer.alloc(0)\n",
        "",
        {
          equivalent:
            "no operation returns the text of an acknowledged message; only memory is freed"
        }
      ],
      [".slice(0, 2)", ".slice(0, 1)"]
    ]
  },
  {
    file: "Redelivery.ts",
    tests: ["services/inbox/deadLetters", "services/inbox/worker"],
    mutants: [
      ["failures >= maxAttempts", "failures > maxAttempts"],
      ['verdict === "failed" && failures', "failures"],
      ["(0.5 + random / 2)", "1"],
      ["failuresOf(stored) > maxAttempts", "false"],
      ["limits.longestPauseMillis) *", "1e12) *"]
    ]
  },
  {
    file: "Worker.ts",
    tests: ["services/inbox/worker"],
    mutants: [
      ["!retry || isGone || isOver", "!retry || isOver"],
      ["!wait || !retry || isGone", "!wait || isGone"],
      ['if (renewed._tag === "Right" && !renewed.right) return', ""],
      ["error.retry ? Effect.interruptible(again) : error\n", "error\n"],
      ["concurrency - running", "1 - running"],
      ["Effect.ignore(this.#messages.release(stored))", "Effect.void"]
    ]
  },
  {
    file: "GroupCommit.ts",
    tests: inboxTests,
    mutants: [
      ['if (exit._tag === "Success") owner.committed = owner.next', ""],
      ["rows.length === limits.transactionMessages ||", ""],
      ["bytes + row.size > limits.transactionBytes", "false"],
      ["if (rows.length > 0 && isFull) break", "if (isFull) break"],
      ["if (queued.next < queued.rows.length) break", "", { tests: ["services/inbox/groupOrder"] }],
      [
        "new InboxRefused({ reason, retry, handled })",
        "new InboxRefused({ reason, retry, handled: 0 })"
      ],
      ["Effect.ensuring(Effect.sync(() => (isWriting = false)))", "Effect.ensuring(Effect.void)"]
    ]
  },
  {
    file: "ExecInbox.ts",
    tests: inboxTests,
    mutants: [
      ["retry: status === temporaryFailure", "retry: true"],
      [
        "if (status !== 0)\n      return yield* new InboxRefused",
        "if (status === 75)\n      return yield* new InboxRefused"
      ],
      [
        "  SEALWIRE_PEER: peer,\n  SEALWIRE_FROM: from,",
        "  SEALWIRE_PEER: from,\n  SEALWIRE_FROM: peer,"
      ],
      ["index < first.handled", "index > first.handled", { tests: ["services/inbox/execOrder"] }],
      [
        "(first === undefined ? handle(message) : Effect.void)",
        "handle(message)",
        { tests: ["services/inbox/execOrder"] }
      ],
      ["          concurrency ?? 1\n", "          concurrency ?? 2\n"],
      ["Printable.line(Printable.bytes(", "String(Printable.bytes("],
      ["if (this.#count <= limits.execLines)", "if (true)"],
      ["if (this.#last !== undefined) this.#print(this.#last)", ""]
    ]
  },
  {
    file: "FairSlots.ts",
    tests: ["services/inbox/fairSlots"],
    mutants: [
      ["Math.max(1, Math.floor(slots * limits.execShare))", "slots"],
      ["Math.max(1, Math.floor(slots * limits.execShare))", "Math.floor(slots * limits.execShare)"],
      ["if (taken < fewest) [next, fewest] = [peer, taken]", "if (taken < fewest) next ??= peer"],
      ["          else this.#release(peer)\n", ""],
      [
        "      this.#waiting.delete(peer)\n      if (waiting.size > 0)",
        "      if (waiting.size === 0) this.#waiting.delete(peer)\n      if (waiting.size > 0)"
      ]
    ]
  },
  {
    file: "SqliteNames.ts",
    tests: ["services/inbox/sqliteFile"],
    mutants: [
      ["`${dev}-${ino}`", "`${dev}`"],
      ["identityAt(this.path + suffix) !== identity", "false"],
      ['if (identityAt(this.given, statSync) !== this.#identity) throw moved("")', ""],
      ["(stats.mode & 0o077n) !== 0n", "(stats.mode & 0o007n) !== 0n"],
      ["if (!stats.isFile())", "if (false)"]
    ]
  },
  {
    file: "SqliteFile.ts",
    tests: units,
    mutants: [
      ['"synchronous = FULL"', '"synchronous = OFF"', { tests: ["services/inbox/sqlite"] }],
      ['"secure_delete = ON"', '"secure_delete = OFF"', { tests: ["services/inbox/sqlite"] }],
      ['"journal_mode = WAL"', '"journal_mode = DELETE"', { tests: ["services/inbox/sqlite"] }],
      ["schedule: lockRetries", "schedule: Schedule.stop", { tests: ["services/inbox/sqlite"] }],
      ["Effect.if(rollBack, {", "Effect.if(Effect.succeed(true), {"],
      ["        Effect.zipLeft(this.#checkNames),\n", "", { tests: ["services/inbox/sqliteFile"] }],
      ['yield* run("BEGIN IMMEDIATE")', "yield* Effect.void", { tests: ["services/inbox/sqlite"] }],
      [
        "Effect.catchIf(isLocked, () => Effect.succeed(false))",
        "Effect.catchIf(isLocked, () => Effect.succeed(true))",
        { tests: ["services/inbox/sqlite"] }
      ],
      [
        'Effect.ignore(connection.runOutsideTransaction("PRAGMA wal_checkpoint(TRUNCATE)"))',
        "Effect.void",
        { tests: ["services/inbox/sqlite"] }
      ]
    ]
  },
  {
    file: "Outbox.ts",
    tests: ["services/inbox/outbox"],
    mutants: [
      ["if (!this.#isDelivering)", "if (false)"],
      [
        "(yield* this.#parts.table.bytes) >= this.#parts.bytes",
        "(yield* this.#parts.table.bytes) >= Infinity"
      ]
    ]
  },
  {
    file: "OutboxTable.ts",
    tests: ["services/inbox/outboxTable"],
    mutants: [
      ["bound.address !== destination.address ||", ""],
      ["(bound.peer ?? destination.peer) !== destination.peer", "false"],
      ["AND sequence <= ? LIMIT 1", "AND sequence < ? LIMIT 1"],
      ["AND sequence > ? ORDER BY sequence LIMIT ?", "AND sequence >= ? ORDER BY sequence LIMIT ?"],
      ["WHERE before <= ?)", "WHERE ? > 0)"],
      [
        "DELETE FROM sealwire_inbox WHERE peer = '${ownSender.peer}' AND sequence <= ?",
        "DELETE FROM sealwire_inbox WHERE sequence <= ?"
      ]
    ]
  },
  {
    file: "redactUrl.ts",
    tests: kinds,
    mutants: [
      ['  redacted.password = ""\n', "", { tests: ["services/inbox/redactUrl"] }],
      ['  redacted.search = ""\n', "", { tests: ["services/inbox/redactUrl"] }]
    ]
  },
  {
    file: "kinds/PostgresKind.ts",
    tests: kinds,
    mutants: [
      [
        'url.password === "" && !url.searchParams.has("password")',
        '!url.searchParams.has("password")'
      ],
      ['url.password === "" && !url.searchParams.has("password")', 'url.password === ""']
    ]
  },
  {
    file: "kinds/ExecKind.ts",
    tests: kinds,
    mutants: [['slice(prefix.length).trim() === ""', 'slice(prefix.length) === ""']]
  },
  {
    file: "kinds/EnvKind.ts",
    tests: kinds,
    mutants: [
      ["${shown(name)} does not", "${shown(value)} does not"],
      ['[name, "PGPASSWORD"]', '["PGPASSWORD"]', { tests: ["keys/childEnvironment"] }]
    ]
  }
])

// The table of an outbox: its destination, and which messages are read and removed.
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { OutboxTable } from "../../../src/services/inbox/OutboxTable.ts"
import { sqlite } from "../../../src/services/inbox/dialects.ts"
import { open } from "../../../src/services/inbox/SqliteFile.ts"
import * as InboxTable from "../../../src/services/inbox/InboxTable.ts"

const table = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(path.join(tmpdir(), "sealwire-table-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const file = path.join(folder, "outbox.db")
  const connection = yield* open(file)
  const inbox = yield* InboxTable.make(sqlite, connection.runSingle)
  return { outbox: new OutboxTable(file, connection, inbox), inbox }
})
const messages = (...texts: ReadonlyArray<string>) =>
  texts.map((text) => ({ id: randomBytes(16), text: Buffer.from(text) }))
const textsOf = (rows: ReadonlyArray<{ readonly text: Uint8Array }>) =>
  rows.map(({ text }) => Buffer.from(text).toString())

it.scopedLive("keeps its first destination; a peer may be named later, once", () =>
  Effect.gen(function* () {
    const { outbox } = yield* table
    expect(yield* outbox.destination({}, undefined)).toBeUndefined()
    const first = { address: "a:1", peer: undefined }
    expect(yield* outbox.destination({}, "a:1")).toEqual(first)
    expect(yield* outbox.destination({}, "b:1")).toEqual(first)
    for (const address of ["b:1", "a:2"])
      expect(yield* Effect.flip(outbox.destination({ address }, undefined))).toMatchObject({
        _tag: "OutboxElsewhere",
        bound: "a:1",
        named: address
      })
    const named = { address: "a:1", peer: "server" }
    expect(yield* outbox.destination({ peer: "server" }, undefined)).toEqual(named)
    expect(yield* outbox.destination({ address: "a:1" }, undefined)).toEqual(named)
    expect(yield* Effect.flip(outbox.destination({ peer: "another" }, undefined))).toMatchObject({
      _tag: "OutboxElsewhere",
      named: "a:1 (peer another)"
    })
    expect(yield* outbox.destination({}, undefined)).toEqual(named)
  })
)

it.scopedLive("reads after a message, within limits, and removes up to one", () =>
  Effect.gen(function* () {
    const { outbox, inbox } = yield* table
    expect(yield* outbox.lastPending).toBe(0)
    yield* outbox.store(messages("first", "second", "third", "fourth"))
    // A message of somebody else, in the same file, is not of the outbox.
    const bob = { peer: "bob", from: "", publicKey: Buffer.alloc(32, 2), suite: "IK" }
    yield* inbox.handle(messages("foreign"), bob)
    const all = yield* outbox.readAfter(0, 10, 1000)
    expect(textsOf(all)).toEqual(["first", "second", "third", "fourth"])
    const [first, second] = all.map(({ sequence }) => sequence)
    expect(textsOf(yield* outbox.readAfter(first ?? 0, 2, 1000))).toEqual(["second", "third"])
    // By bytes: the message that exceeds the limit is the last, and a first one is never too long.
    expect(textsOf(yield* outbox.readAfter(0, 10, 6))).toEqual(["first", "second"])
    expect(textsOf(yield* outbox.readAfter(0, 10, 0))).toEqual(["first"])
    expect(yield* outbox.hasPendingUpTo((first ?? 0) - 1)).toBe(false)
    expect(yield* outbox.hasPendingUpTo(first ?? 0)).toBe(true)
    yield* outbox.remove(second ?? 0)
    expect(textsOf(yield* outbox.readAfter(0, 10, 1000))).toEqual(["third", "fourth"])
    expect(yield* outbox.pending).toBe(2)
    yield* outbox.remove(1_000_000)
    expect([yield* outbox.pending, (yield* inbox.list({ limit: 9, textBytes: 9 })).length]).toEqual(
      [0, 1]
    )
  })
)

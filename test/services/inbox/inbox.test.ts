// One contract for every inbox, and one for those that store messages.
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Hex from "../../../src/bytes/Hex.ts"
import * as PublicKey from "../../../src/keys/PublicKey.ts"
import * as GroupCommit from "../../../src/services/inbox/GroupCommit.ts"
import { handleWith, Inbox, InboxMessages } from "../../../src/services/inbox/Inbox.ts"
import * as PostgresInbox from "../../../src/services/inbox/PostgresInbox.ts"
import * as SqliteInbox from "../../../src/services/inbox/SqliteInbox.ts"
import { InboxRefused } from "../../../src/services/inbox/InboxErrors.ts"
import { limits } from "../../../src/services/inbox/limits.ts"
import type { RemotePeer } from "../../../src/services/Service.ts"
import type { IncomingMessage } from "../../../src/services/messages/MessageHandler.ts"
import { pause, withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import * as Postgres from "./Postgres.ts"
import { alice, bob, isMissing, message, schema, stores } from "./stores.ts"
import { scopedFolder } from "../../fixtures/folder.ts"

const unnamedPeer: RemotePeer = {
  peer: "127.0.0.1:4711",
  from: "127.0.0.1:4711",
  publicKey: undefined,
  suite: "NNpsk0"
}

const store = (messages: ReadonlyArray<IncomingMessage>, sender = alice) =>
  Effect.flatMap(Inbox, (inbox) => inbox.handle(messages, sender))
const list = Effect.flatMap(InboxMessages, (messages) =>
  messages.list({ limit: 100_000, textBytes: 1 << 24 })
)
const textsOf = (messages: ReadonlyArray<{ readonly text: Uint8Array }>) =>
  messages.map(({ text }) => Buffer.from(text).toString())

describe.each(stores)("%s stores messages", (kind, open) => {
  const test = (name: string, body: Effect.Effect<unknown, unknown, Inbox | InboxMessages>) =>
    it.live.skipIf(isMissing(kind))(name, () =>
      Effect.scoped(Effect.flatMap(open, (layer) => Effect.provide(body, layer)))
    )

  test(
    "once, in order and byte for byte",
    Effect.gen(function* () {
      const texts = ["", "one", "\0\u202e", randomBytes(3), Buffer.alloc(1_000_000, 7)]
      const messages = texts.map((text) => message(text))
      yield* store(messages)
      yield* store(messages)
      yield* store([...messages, message("last")])
      const found = yield* list
      expect(found.length).toBe(6)
      for (const [index, text] of [...texts, "last"].entries())
        expect(Buffer.compare(found[index]?.text ?? Buffer.from("none"), Buffer.from(text))).toBe(0)
      expect(found.slice(0, -1).map(({ id }) => Hex.encode(id))).toEqual(
        messages.map(({ id }) => Hex.encode(id))
      )
      for (const { peer, name, size, text, receivedAt, leaseUntil, attempts } of found) {
        expect({ peer, name, size }).toEqual({
          peer: PublicKey.fingerprint(alice.publicKey as Uint8Array),
          name: "alice",
          size: text.length
        })
        expect(Math.abs(Date.now() - receivedAt)).toBeLessThan(20_000)
        expect([leaseUntil, attempts]).toEqual([0, 0])
      }
      const shortened = yield* Effect.flatMap(InboxMessages, (messages) =>
        messages.list({ limit: 2, textBytes: 2 })
      )
      expect(textsOf(shortened)).toEqual(["", "on"])
    })
  )

  test(
    "with the same ID as different messages when the peers differ, also from the same address",
    Effect.gen(function* () {
      const same = message("same")
      yield* store([same])
      yield* store([same], bob)
      yield* store([same], { ...alice, peer: "alicia", from: "10.0.0.1:1" })
      yield* store([same], unnamedPeer)
      yield* store([same], { ...unnamedPeer, peer: "127.0.0.1:4712", from: "127.0.0.1:4712" })
      expect((yield* list).map(({ peer }) => peer)).toEqual([
        PublicKey.fingerprint(alice.publicKey as Uint8Array),
        PublicKey.fingerprint(bob.publicKey as Uint8Array),
        "shared key"
      ])
    })
  )

  test(
    "once when a batch contains them twice",
    Effect.gen(function* () {
      const twice = message("twice")
      yield* store([twice, message("other"), twice])
      expect(textsOf(yield* list)).toEqual(["twice", "other"])
    })
  )

  test(
    "of concurrent sessions, each batch in its order",
    Effect.gen(function* () {
      const batches = Array.from({ length: 20 }, (_, batch) =>
        Array.from({ length: 70 }, (_, index) => message(`${batch}.${index}`))
      )
      yield* Effect.forEach(batches, (batch) => store(batch), {
        concurrency: "unbounded",
        discard: true
      })
      const texts = textsOf(yield* list)
      expect(texts.length).toBe(1400)
      for (let batch = 0; batch < 20; batch++)
        expect(texts.filter((text) => text.startsWith(`${batch}.`))).toEqual(
          batches[batch]?.map(({ text }) => Buffer.from(text).toString())
        )
    })
  )

  test(
    "in several transactions when they exceed one",
    Effect.gen(function* () {
      const count = 2 * limits.transactionMessages + 3
      yield* store(Array.from({ length: count }, (_, index) => message(`${index}`)))
      expect(textsOf(yield* list)).toEqual(Array.from({ length: count }, (_, index) => `${index}`))
    })
  )

  test(
    "and finds them by a prefix of their ID",
    Effect.gen(function* () {
      const ids = ["00ff", "00fe", "1000"].map((begin) => Buffer.from(begin.padEnd(32, "7"), "hex"))
      yield* store(ids.map((id) => message(Hex.encode(id), id)))
      const messages = yield* InboxMessages
      const found = (prefix: string) => Effect.map(messages.find(prefix), (found) => found.length)
      expect(
        yield* Effect.forEach(
          ["0", "00f", "00ff", "1", "2", Hex.encode(ids[1] as Uint8Array)],
          found
        )
      ).toEqual([2, 2, 1, 1, 0, 1])
      // One that is acknowledged is not found any more.
      yield* Stream.runForEach(Stream.take(Inbox.consume(), 1), ({ ack }) => ack)
      expect(yield* Effect.forEach(["0", "00ff"], found)).toEqual([1, 0])
    })
  )

  test(
    "and leases each to one consumer, oldest first, until it is acknowledged; duplicates are not stored again",
    Effect.gen(function* () {
      const sent = Array.from({ length: 5 }, (_, index) => message(`${index}`))
      yield* store(sent)
      const [first, second] = yield* Effect.map(
        Stream.runCollect(Stream.take(Inbox.consume(), 2)),
        Chunk.toReadonlyArray
      )
      expect(textsOf([first, second].flatMap((one) => one ?? []))).toEqual(["0", "1"])
      const rest = yield* Effect.map(
        Stream.runCollect(Inbox.consume({ batch: 10 })),
        Chunk.toReadonlyArray
      )
      expect(textsOf(rest)).toEqual(["2", "3", "4"])
      expect(rest.map(({ attempts }) => attempts)).toEqual([1, 1, 1])
      yield* Effect.forEach(rest, ({ ack }) => ack)
      yield* rest[0]?.ack ?? Effect.void
      yield* second?.nack ?? Effect.void
      // Another consumer has the lease now: the first one's release has no effect.
      const again = yield* Effect.map(Stream.runCollect(Inbox.consume()), Chunk.toReadonlyArray)
      expect(again.map(({ text, attempts }) => [Buffer.from(text).toString(), attempts])).toEqual([
        ["1", 2]
      ])
      yield* second?.nack ?? Effect.void
      expect(Chunk.size(yield* Stream.runCollect(Inbox.consume()))).toBe(0)
      yield* store(sent)
      expect(textsOf(yield* list)).toEqual(["0", "1"])
    })
  )

  test(
    "and redelivers them when the lease expires",
    Effect.gen(function* () {
      yield* store([message("patient")])
      expect(Chunk.size(yield* Stream.runCollect(Inbox.consume({ lease: "30 seconds" })))).toBe(1)
      expect(Chunk.size(yield* Stream.runCollect(Inbox.consume()))).toBe(0)
      yield* store([message("forgotten")])
      expect((yield* Stream.runHead(Inbox.consume({ lease: 50 })))._tag).toBe("Some")
      yield* pause(80)
      expect(
        Chunk.toReadonlyArray(yield* Stream.runCollect(Inbox.consume())).map(
          ({ attempts }) => attempts
        )
      ).toEqual([2])
    })
  )

  test(
    "and leases each to one of several concurrent consumers",
    Effect.gen(function* () {
      yield* store(Array.from({ length: 60 }, (_, index) => message(`${index}`)))
      const consumers = yield* Effect.forEach(
        Array.from({ length: 6 }),
        () => Stream.runCollect(Inbox.consume({ batch: 3 })),
        {
          concurrency: "unbounded"
        }
      )
      const texts = consumers.flatMap((leased) => textsOf(Chunk.toReadonlyArray(leased)))
      expect(new Set(texts).size).toBe(60)
      // SKIP LOCKED may skip some for a moment; no message is leased twice.
      expect(texts.length).toBe(60)
    })
  )

  test(
    "and streams new ones to a consumer that waits",
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(Stream.runHead(Inbox.consume({ wait: true })))
      yield* pause(20)
      yield* store([message("late")])
      expect(yield* withTimeout("the message", Fiber.join(waiting))).toMatchObject({
        _tag: "Some",
        value: { size: 4 }
      })
    })
  )

  test(
    "until they are pruned: acknowledged ones, and pending ones if requested",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      const done = message("done")
      yield* store([done, message("pending")])
      yield* messages.acknowledge([(yield* list)[0]?.sequence ?? 0])
      expect(yield* messages.prune({ before: Date.now() - 60_000, pending: true })).toBe(0)
      expect(yield* messages.prune({ before: Date.now() + 60_000, pending: false })).toBe(1)
      expect(textsOf(yield* list)).toEqual(["pending"])
      expect(yield* messages.prune({ before: Date.now() + 60_000, pending: true })).toBe(1)
      expect(yield* list).toEqual([])
    })
  )
})

describe.each(stores.filter(([name]) => name !== "memory"))("%s", (kind, open) => {
  it.scopedLive.skipIf(isMissing(kind))(
    "is opened several times at once, and contains what was stored earlier",
    () =>
      Effect.gen(function* () {
        const layer = yield* open
        yield* Effect.forEach(
          Array.from({ length: 5 }, (_, index) => `${index}`),
          (text) => Effect.provide(store([message(text)]), layer),
          { concurrency: "unbounded" }
        )
        expect(textsOf(yield* Effect.provide(list, layer)).toSorted()).toEqual([
          "0",
          "1",
          "2",
          "3",
          "4"
        ])
      })
  )
})

describe("SQLite", () => {
  it.scopedLive("is readable by this user only, and its errors are one clause", () =>
    Effect.gen(function* () {
      const at = yield* scopedFolder
      const file = path.join(at, "inbox.db")
      yield* Effect.provide(
        Effect.zipRight(
          store([message("private")]),
          Effect.sync(() => {
            for (const end of ["", "-wal", "-shm"])
              expect(statSync(`${file}${end}`).mode & 0o777).toBe(0o600)
          })
        ),
        SqliteInbox.layer(file)
      )
      writeFileSync(
        path.join(at, "no.db"),
        "this is no database, however long one looks at it".repeat(100),
        { mode: 0o600 }
      )
      const fault = (file: string, create = true) =>
        Effect.map(
          Effect.flip(Effect.provide(list, SqliteInbox.layer(file, { create }))),
          ({ message }) => message.replaceAll(at, ".")
        )
      expect(yield* fault(path.join(at, "no.db"))).toBe(
        "cannot open the inbox ./no.db: it is not a SQLite database"
      )
      expect(yield* fault(at)).toBe("cannot open the inbox .: it is a directory")
      expect(yield* fault(path.join(at, "a/b.db"))).toBe(
        "cannot open the inbox ./a/b.db: its directory does not exist"
      )
      expect(yield* fault(path.join(at, "none.db"), false)).toBe(
        "cannot open the inbox ./none.db: no such file; the server that stores messages in it creates it"
      )
      expect(existsSync(path.join(at, "none.db"))).toBe(false)
    })
  )
})

describe.skipIf(!Postgres.available)("an unreachable PostgreSQL", () => {
  it.scopedLive("refuses messages for now, and recovers by itself", () =>
    Effect.gen(function* () {
      const url = yield* schema
      const proxy = yield* Effect.acquireRelease(
        Effect.promise(() => Postgres.proxyTo(url)),
        ({ close }) => Effect.sync(close)
      )
      yield* Effect.gen(function* () {
        yield* store([message("before")])
        proxy.refuse()
        for (let attempt = 0; attempt < 3; attempt++) {
          const error = yield* withTimeout(
            "the refusal",
            Effect.flip(store([message("while it is unreachable")]))
          )
          expect(error).toMatchObject({ _tag: "InboxRefused", retry: true })
          expect(error.reason).toContain("the database is unreachable")
        }
        proxy.open()
        yield* withTimeout("the recovery", Effect.retry(store([message("after")]), { times: 5 }))
        expect(textsOf(yield* list)).toEqual(["before", "after"])
      }).pipe(Effect.provide(PostgresInbox.layer(proxy.url)))
    })
  )

  it.scopedLive("at the start is an error without its password", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.provide(
          list,
          PostgresInbox.layer(new URL("postgres://alice:s3cret@127.0.0.1:1/db?sslpassword=s3cret"))
        )
      )
      expect(error).toMatchObject({ _tag: "InboxRefused", retry: true })
      expect(JSON.stringify(error) + error.message).not.toContain("s3cret")
    })
  )
})

describe("a command for each message", () => {
  const exec = (
    command: string,
    options: { readonly concurrency?: number; readonly deadline?: number } = {}
  ) => {
    const lines: Array<string> = []
    const record = (line: string) => Effect.sync(() => void lines.push(line))
    return { lines, layer: Inbox.layerExec({ command, onLine: record, ...options }) }
  }

  it.scopedLive("reads it from standard input, with the sender in its environment", () =>
    Effect.gen(function* () {
      const at = yield* scopedFolder
      const { layer } = exec(
        `cat >> ${at}/texts; echo "$SEALWIRE_PEER $SEALWIRE_FROM $SEALWIRE_ID $SEALWIRE_PUBLIC_KEY" >> ${at}/env`
      )
      const sent = ["one\n", "two\n"].map((text) => message(text))
      yield* Effect.gen(function* () {
        yield* store(sent)
        // A duplicate: already handled.
        yield* store(sent)
      }).pipe(Effect.provide(layer))
      expect(readFileSync(`${at}/texts`, "utf8")).toBe("one\ntwo\n")
      expect(readFileSync(`${at}/env`, "utf8")).toBe(
        sent
          .map(
            ({ id }) =>
              `alice 127.0.0.1:4711 ${Hex.encode(id)} ${PublicKey.encode(alice.publicKey as Uint8Array)}\n`
          )
          .join("")
      )
    })
  )

  it.live.each([
    ["exit 0", undefined],
    // Reads none of a megabyte.
    ["exec <&-; exit 0", undefined],
    // Leaves a process with its output open.
    ["sleep 11 & exit 0", undefined],
    ["sleep 11 & exit 1", { retry: false, reason: "the command exited with status 1" }],
    ["exit 1", { retry: false, reason: "the command exited with status 1" }],
    ["exit 75", { retry: true, reason: "the command exited with status 75" }],
    ["kill -9 $$", { retry: true, reason: "the command was ended by SIGKILL" }],
    ["sleep 60 & sleep 61", { retry: true, reason: "the command did not end within 200ms" }]
  ] as const)("%s", ([command, refusal]) =>
    Effect.gen(function* () {
      const result = yield* Effect.either(store([message(Buffer.alloc(1_000_000))]))
      if (refusal === undefined) expect(result._tag).toBe("Right")
      else
        expect(result).toMatchObject({ _tag: "Left", left: { _tag: "InboxRefused", ...refusal } })
    }).pipe(
      Effect.provide(
        exec(command, { deadline: refusal?.reason.includes("within") ? 200 : 10_000 }).layer
      ),
      (run) => withTimeout(command, run)
    )
  )

  it.live("has its output logged line by line, escaped and within limits", () =>
    Effect.gen(function* () {
      const { lines, layer } = exec(
        `printf 'a\\033[31m\\tb\\n'; printf 'no end' >&2; sleep 0.05; seq 1 300; head -c 5000 /dev/zero | tr '\\0' x; echo; echo why`
      )
      yield* Effect.provide(store([message("")]), layer)
      yield* waitUntil("the last line", () => lines.at(-1) === "why")
      expect(lines.at(-2)).toBe("(further output omitted)")
      expect(lines[0]).toBe("a\\x1b[31m\\x09b")
      expect(lines.length).toBe(limits.execLines + 2)
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(limits.execLineCharacters)
    })
  )

  it.scopedLive("runs one at a time in a session, or concurrently if requested", () =>
    Effect.gen(function* () {
      const at = yield* scopedFolder
      const command = (before: string) =>
        `echo begin >> ${at}/log; ${before}; echo end >> ${at}/log`
      const together = `until [ "$(grep -c begin ${at}/log)" = 3 ]; do sleep 0.02; done`
      const three = () => [message("1"), message("2"), message("3")]
      yield* Effect.provide(store(three()), exec(command("sleep 0.1")).layer)
      expect(readFileSync(`${at}/log`, "utf8")).toBe("begin\nend\n".repeat(3))
      rmSync(`${at}/log`)
      // One peer has at most three quarters of the slots.
      yield* Effect.provide(store(three()), exec(command(together), { concurrency: 4 }).layer)
      expect(readFileSync(`${at}/log`, "utf8")).toBe(`${"begin\n".repeat(3)}${"end\n".repeat(3)}`)
    })
  )

  it.scopedLive(
    "that refuses one of several: those before it are acknowledged and not handled again",
    () =>
      Effect.gen(function* () {
        const at = yield* scopedFolder
        const sent = ["a", "b", "bad", "c"].map((text) => message(text))
        for (const concurrency of [undefined, 2, 4]) {
          // The ones before it take longer.
          const command = `read -r text; test "$text" = bad && exit 1; sleep 0.1; echo "$text" >> ${at}/log`
          const { layer } = exec(command, concurrency === undefined ? {} : { concurrency })
          yield* Effect.gen(function* () {
            expect(yield* Effect.flip(store(sent))).toMatchObject({ retry: false, handled: 2 })
            const handled = readFileSync(`${at}/log`, "utf8")
              .split("\n")
              .filter((line) => line !== "")
            expect(handled.toSorted().slice(0, 2)).toEqual(["a", "b"])
            expect(yield* Effect.flip(store(sent))).toMatchObject({ retry: false, handled: 2 })
            expect(readFileSync(`${at}/log`, "utf8").match(/^[ab]$/gm)?.length).toBe(2)
          }).pipe(Effect.provide(layer))
          rmSync(`${at}/log`)
        }
      })
  )

  it.scopedLive("is killed with its whole process group when the server stops", () =>
    Effect.gen(function* () {
      const at = yield* scopedFolder
      const { layer } = exec(`sh -c 'echo $$ > ${at}/pid; exec sleep 60'; true`)
      const running = yield* Effect.fork(Effect.provide(store([message("")]), layer))
      yield* waitUntil(
        "the command",
        () => existsSync(`${at}/pid`) && readFileSync(`${at}/pid`, "utf8").endsWith("\n")
      )
      yield* withTimeout("the stop", Fiber.interrupt(running))
      // A zombie has no command line.
      const command = `/proc/${readFileSync(`${at}/pid`, "utf8").trim()}/cmdline`
      expect(existsSync(command) ? readFileSync(command, "utf8") : "").toBe("")
    })
  )
})

describe("group commit", () => {
  const row = (size: number) => ({ size })

  it.scopedLive("combines waiting rows within its limits, and does not delay a lone caller", () =>
    Effect.gen(function* () {
      const commits: Array<ReadonlyArray<number>> = []
      const submit = yield* GroupCommit.make<{ readonly size: number }>((rows) =>
        Effect.zipRight(
          pause(5),
          Effect.sync(() => void commits.push(rows.map(({ size }) => size)))
        )
      )
      const first = yield* Effect.fork(submit([row(1)]))
      yield* pause(1)
      yield* Effect.forEach([2, 3, 4], (size) => submit([row(size)]), {
        concurrency: "unbounded"
      })
      yield* Fiber.join(first)
      expect(commits).toEqual([[1], [2, 3, 4]])
      commits.length = 0
      yield* submit(Array.from({ length: limits.transactionMessages + 1 }, () => row(0)))
      expect(commits.map(({ length }) => length)).toEqual([limits.transactionMessages, 1])
      commits.length = 0
      const long = limits.transactionBytes
      yield* submit([row(long + 1), row(long - 1), row(1), row(1)])
      expect(commits).toEqual([[long + 1], [long - 1, 1], [1]])
      // More than the queue holds: the rest waits.
      commits.length = 0
      yield* Effect.forEach([1, 2, 3], () => submit([row(limits.queuedBytes)]), {
        concurrency: "unbounded"
      })
      expect(commits.length).toBe(3)
    })
  )

  it.scopedLive("fails the callers of that transaction only, and continues", () =>
    Effect.gen(function* () {
      const submit = yield* GroupCommit.make<{ readonly size: number }>((rows) =>
        Effect.zipRight(
          pause(5),
          rows.some(({ size }) => size === 13)
            ? new InboxRefused({ reason: "13", retry: false })
            : Effect.void
        )
      )
      const first = yield* Effect.fork(submit([row(1)]))
      yield* pause(1)
      const results = yield* Effect.forEach(
        [13, 14],
        (size) => Effect.either(submit([row(size)])),
        { concurrency: "unbounded" }
      )
      yield* Fiber.join(first)
      expect(results.map(({ _tag }) => _tag)).toEqual(["Left", "Left"])
      yield* submit([row(1)])
      // The rows of an earlier transaction are counted.
      const many = Array.from({ length: limits.transactionMessages + 2 }, (_, index) =>
        row(index === limits.transactionMessages + 1 ? 13 : 1)
      )
      expect(yield* Effect.flip(submit(many))).toMatchObject({
        handled: limits.transactionMessages
      })
    })
  )
})

it.effect("the handler of a server converts a failure of the inbox", () =>
  Effect.gen(function* () {
    const refusing = { handle: () => new InboxRefused({ reason: "the disk is full", retry: true }) }
    const error = yield* Effect.flip(handleWith(refusing)([], alice))
    expect(error).toMatchObject({ _tag: "MessageRefused", reason: "the disk is full", retry: true })
  })
)

// `serve --inbox` and the `inbox` commands: no acknowledged message is lost, and none is stored
// twice.
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as PostgresInbox from "../../src/services/inbox/PostgresInbox.ts"
import * as SqliteInbox from "../../src/services/inbox/SqliteInbox.ts"
import { runs } from "../fixtures/sample.ts"
import * as Postgres from "../services/inbox/Postgres.ts"
import { expectStored, idsIn, killRepeatedly, servedInbox } from "./Resender.ts"
import { bin, eventsOf, it, linesOf, within, type Box } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

const serve = async (box: Box, ...args: ReadonlyArray<string>) => {
  const running = box.start(["serve", "--listen", "127.0.0.1:0", ...args])
  const address = await running.until(
    "the listening line",
    ({ stderr }) => /listening on (\S+)/.exec(stderr)?.[1]
  )
  const send = (...texts: ReadonlyArray<string>) => box.run(["send", "--to", address, ...texts])
  return Object.assign(running, { address, send })
}

describe("an inbox", () => {
  it("stores messages, which can be listed, shown, leased and acknowledged", async ({ box }) => {
    const server = await serve(box, "--inbox", "./inbox.db")
    expect((await server.send("one", "two", "three\u202e")).code).toBe(0)
    expect(server.stdout.length).toBe(0)
    expect(box.mode("inbox.db")).toBe(0o600)

    const listed = linesOf((await box.run(["inbox", "list"])).stdout.toString())
    expect(listed.map((line) => line.split("  ").at(-1))).toEqual(["one", "two", "three\\u202e"])
    const events = eventsOf((await box.run(["inbox", "list", "--json"])).stdout)
    expect(events).toMatchObject([
      { event: "inbox-message", peerKey: "shared key", bytes: 3, text: "one", attempts: 0 },
      { text: "two" },
      { text: "three\u202e" }
    ])
    const [one = "", two = "", three = ""] = events.map(({ id }) => String(id))

    expect((await box.run(["inbox", "show", two.slice(0, 10)])).stdout.toString()).toBe("two")
    expect((await box.run(["inbox", "take", "--ack"])).stdout.toString()).toBe("one")
    // Leased, not acknowledged.
    expect((await box.run(["inbox", "take"])).stdout.toString()).toBe("two")
    const handled = await box.run([
      "inbox",
      "take",
      "--exec",
      `cat > text; echo "$SEALWIRE_ID" > id`
    ])
    expect(handled).toMatchObject({ code: 0, stderr: "" })
    expect([box.read("text").toString(), box.read("id").toString()]).toEqual([
      "three\u202e",
      `${three}\n`
    ])
    expect((await box.run(["inbox", "take"])).stderr).toBe("sealwire: no pending message\n")
    expect((await box.run(["inbox", "done", two])).code).toBe(0)
    expect((await box.run(["inbox", "list"])).stderr).toBe("sealwire: the inbox is empty\n")
    expect((await box.run(["inbox", "prune", "--older", "1h", "--json"])).stdout.toString()).toBe(
      '{"event":"inbox-pruned","messages":0}\n'
    )
    expect((await box.run(["inbox", "show", one])).code).toBe(2)
  })

  it.for(["./missing", "./data"])(
    "blames no message for the program %s",
    async (program, { box }) => {
      const server = await serve(box, "--inbox", "./inbox.db")
      expect((await server.send("one", "two")).code).toBe(0)
      box.write("data", "no program")
      expect((await box.run(["inbox", "take", "--attempts", "1", "--exec", program])).code).toBe(7)
      const list = async (...args: ReadonlyArray<string>) =>
        eventsOf((await box.run(["inbox", "list", "--json", ...args])).stdout)
      expect(await list("--dead")).toEqual([])
      expect(await list()).toMatchObject([
        { text: "one", failures: 0 },
        { text: "two", failures: 0 }
      ])
    }
  )

  it("goes on after a message whose command fails, and keeps its error", async ({ box }) => {
    const server = await serve(box, "--inbox", "./inbox.db")
    expect((await server.send("bad", "later", "dead", "good")).code).toBe(0)
    const take = [
      "inbox",
      "take",
      "--exec",
      `read -r text; echo "$text $SEALWIRE_ATTEMPT" >> tried; echo "about $text" >&2
      case $text in bad) exit 3;; later) exit 75;; dead) exit 65;; esac`
    ]
    // On a busy machine a pause may be over before the command ends, and another attempt follows.
    const tried = (line: string) =>
      linesOf(box.read("tried").toString()).filter((one) => one === line).length
    const first = await box.run(take)
    expect(first.code).toBe(7)
    expect(first.stderr).toMatch(
      /^sealwire: warning: message [0-9a-f]{12} not handled \(1 of 10 attempts failed\): the command exited with status 3: about bad; next attempt in [01]\.\d s$/m
    )
    expect(first.stderr).toMatch(
      /\nsealwire: \d+ messages will be tried again, 1 message became a dead letter; see: sealwire inbox list --dead\n$/
    )
    expect(["bad 1", "dead 1", "good 1"].map(tried)).toEqual([1, 1, 1])
    const list = async (...args: ReadonlyArray<string>) =>
      eventsOf((await box.run(["inbox", "list", "--json", ...args])).stdout)
    expect(await list()).toMatchObject([
      { text: "bad", error: "the command exited with status 3: about bad" },
      { text: "later", failures: 0, error: "the command exited with status 75: about later" }
    ])
    expect(await list("--dead")).toMatchObject([{ text: "dead", attempts: 1, failures: 1 }])
    expect((await box.run(["inbox", "list", "--dead"])).stdout.toString()).toContain(
      "1 attempt, 1 failed: the command exited with status 65: about dead"
    )

    // Now, and not after their pauses; the failed attempts are forgotten.
    const ids = (await list()).map(({ id }) => String(id))
    expect((await box.run(["inbox", "retry", ...ids])).stderr).toBe(
      "sealwire: 2 messages will be delivered again\n"
    )
    expect((await box.run(take)).code).toBe(7)
    expect(tried("bad 1")).toBe(2)
    expect((await box.run(["inbox", "retry", "--all-dead", "--json"])).stdout.toString()).toBe(
      '{"event":"inbox-retried","messages":1}\n'
    )
    expect((await box.run(["inbox", "take", "--exec", "true"])).code).toBe(0)
    expect(await list("--dead")).toEqual([])
    expect((await list()).map(({ text }) => text)).not.toContain("dead")
  })

  it("buries a message after its last attempt, and prunes it", async ({ box }) => {
    const server = await serve(box, "--inbox", "./inbox.db", "--control", "./control")
    expect((await server.send("bad", "good")).code).toBe(0)
    const { code, stdout } = await box.run([
      "inbox",
      "take",
      "--attempts",
      "1",
      "--json",
      "--exec",
      `grep -q good`
    ])
    expect(code).toBe(7)
    expect(eventsOf(stdout)).toMatchObject([
      { event: "message-dead", attempts: 1, reason: "the command exited with status 1" },
      { event: "message-handled", attempts: 1 }
    ])
    expect((await box.run(["status", "./control"])).stdout.toString()).toContain(
      "\ninbox: 0 messages; 1 dead letter\n"
    )
    expect((await box.run(["inbox", "prune", "--older", "0"])).code).toBe(2)
    await sleep(1100)
    expect((await box.run(["inbox", "prune", "--older", "1s"])).stderr).toContain("1 message")
    expect((await box.run(["inbox", "prune", "--older", "1s", "--dead"])).stderr).toContain(
      "1 message"
    )
    expect((await box.run(["inbox", "list", "--dead"])).stderr).toBe("sealwire: no dead letters\n")
  })

  it("is handled by a command that leaves a process with its output open", async ({ box }) => {
    const server = await serve(box, "--inbox", "./inbox.db")
    expect((await server.send("a")).code).toBe(0)
    const command = "{ sleep 0.2; echo late; exec sleep 90; } & echo $!"
    const taken = await box.run(["inbox", "take", "--exec", command])
    expect(taken).toMatchObject({ code: 0 })
    const [, pid] =
      /^sealwire: the command: (\d+)\nsealwire: the command: late\n$/.exec(taken.stderr) ?? []
    // Throws if there is no such process.
    process.kill(Number(pid), "SIGKILL")
    expect((await box.run(["inbox", "list"])).stderr).toBe("sealwire: the inbox is empty\n")
  })

  it("is worked through by several commands at a time until SIGTERM, past a failing one", async ({
    box
  }) => {
    const server = await serve(box, "--inbox", "./inbox.db")
    expect((await server.send("bad", "1", "2")).code).toBe(0)
    const worker = box.start(
      // Both of one sender at a time: each waits for the other.
      [
        "inbox",
        "work",
        "--json",
        "--order",
        "none",
        "--exec",
        `read -r text; case $text in bad) exit 3;; esac; touch "at-$text"
        until test -e at-1 && test -e at-2; do sleep 0.05; done`
      ]
    )
    const events = (event: string) => eventsOf(worker.stdout).filter((one) => one.event === event)
    await worker.until("two messages", () => events("message-handled").length === 2)
    expect((await server.send("2")).code).toBe(0)
    await worker.until("a new message", () => events("message-handled").length === 3)
    expect(events("message-deferred")[0]).toMatchObject({ failures: 1, maxAttempts: 10 })
    worker.kill("SIGTERM")
    expect(await worker.exited()).toBe(0)
    expect((await box.run(["inbox", "work", "--exec", "true", "--order", "fifo"])).stderr).toBe(
      'sealwire: --order: "fifo" is not one of peer, strict, none; see: sealwire inbox work --help\n'
    )
  })

  it("releases what it could not print", async ({ box }) => {
    const server = await serve(box, "--inbox", "./inbox.db")
    // More than a pipe holds.
    const texts = ["a", "b", "c"].map((letter) => letter.repeat(100_000))
    expect((await server.send(...texts)).code).toBe(0)
    const take = ["inbox", "take", "--ack", "--count", "3"]
    const command = [process.execPath, bin, ...take].map((word) => `'${word}'`).join(" ")
    await box.runOther("sh", ["-c", `${command} | head -c 1`])
    const taken = await box.run(take)
    expect(taken.stdout.toString()).toBe(texts.map((text) => `${text}\n`).join(""))
  })

  it("that is a command acknowledges by its exit status", async ({ box }) => {
    const server = await serve(
      box,
      "--inbox",
      `exec:read -r line; echo "got $line"; test "$line" != bad`
    )
    expect((await server.send("good\n")).code).toBe(0)
    expect(await server.send("bad\n")).toMatchObject({ code: 8 })
    expect(server.stderr).toContain("sealwire: the command: got good\n")
    expect(server.stderr).toContain("message refused: the command exited with status 1\n")
    expect((await server.send("good\n")).code).toBe(0)
  })

  it("needs an optional package; without it the command works and names the missing package", async ({
    box
  }) => {
    const [command, parts] = [bin, bin.replace(/\.js$/, "")]
    mkdirSync(box.path("elsewhere"))
    cpSync(command, box.path("elsewhere/sealwire.js"))
    cpSync(parts, box.path("elsewhere/sealwire"), { recursive: true })
    box.write("elsewhere/package.json", '{"type":"module"}')
    box.write("inbox.db", "")
    const run = (...args: ReadonlyArray<string>) =>
      box.runOther(process.execPath, [box.path("elsewhere/sealwire.js"), ...args])
    expect((await run("keygen")).code).toBe(0)
    expect(await run("inbox", "list")).toMatchObject({
      code: 2,
      stderr:
        "sealwire: cannot open the inbox ./inbox.db: the package libsql is not installed; run: npm install libsql\n"
    })
    // As npm install -g lays it out.
    const global = "prefix/lib/node_modules/sealwire/dist"
    mkdirSync(box.path(global), { recursive: true })
    cpSync(box.path("elsewhere"), box.path(global), { recursive: true })
    const runGlobal = (...args: ReadonlyArray<string>) =>
      box.runOther(process.execPath, [box.path(`${global}/sealwire.js`), ...args])
    const reason = "the package libsql is not installed; run: npm install -g libsql\n"
    expect(await runGlobal("serve", "--listen", ":0", "--inbox", "./inbox.db")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`sealwire: cannot open the inbox ./inbox.db: ${reason}`)
    })
    expect(await runGlobal("send", "x", "--to", ":1", "--outbox", "./outbox.db")).toMatchObject({
      code: 2,
      stderr: `sealwire: cannot use the outbox ./outbox.db: ${reason}`
    })
    // The PostgreSQL client is bundled with the command.
    expect(await run("inbox", "list", "--inbox", "postgres://127.0.0.1:1/none")).toMatchObject({
      code: 5
    })
  })

  it("that is invalid is refused in one line", async ({ box }) => {
    writeFileSync(box.path("text.db"), "no database".repeat(500), { mode: 0o600 })
    const secret = { INBOX: "postgres://alice:s3cret@127.0.0.1:1/db", PGCONNECT_TIMEOUT: "2" }
    const cases: ReadonlyArray<readonly [inbox: string, code: number, words: string]> = [
      ["postgres://alice:s3cret@127.0.0.1/db", 2, "no password in a reference"],
      ["postgres://alice@127.0.0.1/db?password=s3cret", 2, "no password in a reference"],
      ["env:NOTHING", 2, "the environment variable NOTHING does not contain a postgres:// URL"],
      ["exec:", 2, "exec: without a command would discard every message; write exec:COMMAND"],
      ["exec: \t", 2, "exec: without a command would discard every message; write exec:COMMAND"],
      ["env:INBOX", 5, "the database is unreachable"],
      ["./a/b.db", 2, "its directory does not exist"],
      ["./text.db", 2, "it is not a SQLite database"]
    ]
    const results = await Promise.all(
      cases.map(([inbox]) => box.run(["serve", "--inbox", inbox], { env: secret }))
    )
    for (const [index, [, code, words]] of cases.entries()) {
      const { stderr, ...result } = results[index] ?? { stderr: "" }
      expect({ ...result, words: stderr.includes(words) }).toMatchObject({ code, words: true })
      expect(stderr).not.toContain("s3cret")
    }
    expect(await box.run(["inbox", "take", "--exec", " "])).toMatchObject({
      code: 2,
      stderr:
        "sealwire: --exec: without a command every message would be discarded; name a command; see: sealwire inbox take --help\n"
    })
    box.write("serve.toml", 'listen = ":1"\ninbox = "exec:"\n')
    expect(await box.run(["check-config", "serve.toml"])).toMatchObject({
      code: 2,
      stderr:
        "sealwire: serve.toml:2: inbox: exec: without a command would discard every message; write exec:COMMAND\n"
    })
  })
})

describe("a server that is killed while it receives messages", () => {
  it("has every acknowledged message in its SQLite inbox, once", async ({ box }) => {
    const clients = await killRepeatedly(box, "./inbox.db", runs(2, 8))
    const ids = await idsIn(SqliteInbox.layer(box.path("inbox.db")))
    expect(ids.length).toBeGreaterThan(10)
    expectStored(ids, clients)
  })

  it.skipIf(!Postgres.available)(
    "has every acknowledged message in PostgreSQL, once",
    async ({ box }) => {
      const { url, drop } = await Postgres.schema()
      box.defer(drop)
      const clients = await killRepeatedly(box, "env:INBOX", 2, { INBOX: url.href })
      expectStored(await idsIn(PostgresInbox.layer(url)), clients)
    }
  )
})

describe("a full disk", () => {
  it.skipIf(!canMount)(
    "refuses messages for now; the server stays up and accepts messages again when there is space",
    async ({ box, skip }) => {
      const disk = smallDisk(box)
      if (disk === undefined) return skip("no file system can be mounted here")
      const { start, client } = servedInbox(box, "./disk/inbox.db")
      const server = await start()
      const flowing = client()
      writeFileSync(`${disk}/ballast`, Buffer.alloc(250_000))
      const flow = Effect.runPromise(flowing.run)
      while (flowing.refusal === undefined) await sleep(5)
      expect(flowing.refusal).toBe("later")
      await server.until("the reason", ({ stderr }) =>
        stderr.includes("message refused: ./disk/inbox.db: the disk is full: free ")
      )
      // Only the refused messages are left: more could fill the disk again.
      flowing.stop()
      const before = flowing.acknowledged.size
      rmSync(`${disk}/ballast`)
      await within(flow, "the last receipts")
      expect(flowing.acknowledged.size).toBeGreaterThan(before)
      expect(server.alive).toBe(true)
      expectStored(await idsIn(SqliteInbox.layer(`${disk}/inbox.db`)), [flowing])
    }
  )
})

describe.skipIf(!Postgres.available)("PostgreSQL that is restarted", () => {
  it("messages are refused for now, idle sessions stay, and acknowledged messages are stored once", async ({
    box
  }) => {
    const { url, drop } = await Postgres.schema()
    box.defer(drop)
    const way = await Postgres.proxyTo(url)
    box.defer(way.close)
    const { start, client } = servedInbox(box, "env:INBOX")
    const server = await start({ env: { INBOX: way.url.href } })
    const flowing = client()
    const flow = Effect.runPromise(flowing.run)
    for (let time = 0; time < 2; time++) {
      const before = flowing.acknowledged.size
      while (flowing.acknowledged.size === before) await sleep(5)
      way.refuse()
      flowing.refusal = undefined
      while (flowing.refusal === undefined) await sleep(5)
      expect(flowing.refusal).toBe("later")
      way.open()
    }
    flowing.stop()
    await within(flow, "the last receipts")
    expect(server.stderr).toContain("message refused: the database is unreachable")
    expect(server.alive).toBe(true)
    expectStored(await idsIn(PostgresInbox.layer(url)), [flowing])
  })
})

describe("an inbox whose file is moved away", () => {
  it.for([
    ["take", "--wait", "--ack"],
    ["work", "--exec", "cat"]
  ])("ends inbox %s with the exit code of local files", async (args, { box }) => {
    const server = await serve(box, "--inbox", "./inbox.db")
    expect((await server.send("one")).code).toBe(0)
    server.kill("SIGTERM")
    await server.exited()
    const worker = box.start(["inbox", ...args])
    await worker.until("the message", ({ stdout, stderr }) => `${stdout}${stderr}`.includes("one"))
    renameSync(box.path("inbox.db"), box.path("elsewhere.db"))
    const { code, stderr } = await worker.ended(30_000)
    expect({ code, stderr: stderr.trimEnd().split("\n").at(-1) }).toEqual({
      code: 2,
      stderr:
        "sealwire: inbox unavailable: ./inbox.db: its file was moved, replaced or deleted; put it back, or restart what uses it"
    })
  })
})

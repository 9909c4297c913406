// A cluster of three runners that know each other by their keys: node --import tsx examples/cluster/main.ts
// It wants a PostgreSQL (DATABASE_URL, else postgres://root@127.0.0.1:5432/postgres), in which it makes a database and drops it.
import { spawn, type ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createConnection, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import { Runners } from "@effect/cluster/Runners"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { KeyPair, PublicKey } from "sealwire"
import { SecureCluster } from "sealwire/cluster"
import { Account, createBooks } from "./Account.ts"
import {
  createIdentity,
  databaseAt,
  identityOf,
  layerNeeds,
  memberOf,
  type Line
} from "./settings.ts"

const runners = ["one", "two", "three"]
const accounts = Array.from({ length: 30 }, (_, index) => `account-${index + 1}`)

const administration = new URL(
  process.env.DATABASE_URL ?? "postgres://root@127.0.0.1:5432/postgres"
)

/** A database of its own: the locks of shards are one cluster's in a database. */
const database = Effect.acquireRelease(
  Effect.gen(function* () {
    const name = `sealwire_example_${randomBytes(6).toString("hex")}`
    yield* administer((sql) => sql`CREATE DATABASE ${sql(name)}`)
    const url = new URL(administration)
    url.pathname = `/${name}`
    return { name, url: url.href }
  }),
  ({ name }) => Effect.ignore(administer((sql) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`))
)

const administer = <A, E>(statement: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  Effect.flatMap(SqlClient.SqlClient, statement).pipe(
    Effect.provide(databaseAt(administration.href)),
    Effect.mapError(
      () =>
        new Broken({
          what: `a PostgreSQL answers at ${administration.host} that makes databases; DATABASE_URL names another`
        })
    )
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "sealwire-cluster-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Each its key, and all of them in one list. On machines of their own each makes its key, and shows the others the public half. */
const createMembers = (folder: string, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const ports = yield* Effect.promise(() => freePorts(runners.length))
    const lines: Array<Line> = []
    for (const [index, name] of names.entries()) {
      yield* createIdentity(folder, name)
      const publicKey = PublicKey.encode((yield* identityOf(folder, name)).publicKey)
      const port = ports[index]
      lines.push(port === undefined ? { name, publicKey } : { name, publicKey, port })
    }
    writeFileSync(path.join(folder, "members.json"), JSON.stringify(lines))
    return lines
  })

const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"))
  await Promise.all(servers.map((server) => new Promise((done) => server.once("listening", done))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

/** A runner in a process of its own; killed with the scope, at the latest. */
const start = (folder: string, name: string, url: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        [...process.execArgv, fileURLToPath(new URL("./runner.ts", import.meta.url)), folder, name],
        {
          // pg warns of how @effect/cluster uses its connection of locks.
          env: { ...process.env, DATABASE_URL: url, NODE_NO_WARNINGS: "1" },
          stdio: ["ignore", "ignore", "inherit"]
        }
      )
    ),
    kill
  )

const kill = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

/** What did not hold. */
class Broken extends Data.TaggedError("Broken")<{ readonly what: string }> {
  override get message(): string {
    return `this does not hold: ${this.what}`
  }
}

const holds = (what: string, is: boolean) => (is ? Effect.void : new Broken({ what }))

const say = (step: string, text: string) =>
  Effect.sync(() => console.log(`${step.padEnd(10)}${text}`))

/** Tries again until it succeeds. */
const persistently = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.eventually(Effect.tapErrorCause(effect, () => Effect.sleep("200 millis"))).pipe(
    Effect.timeoutFail({
      duration: "40 seconds",
      onTimeout: () => new Broken({ what: `${what}, in time` })
    })
  )

type Client = Effect.Effect.Success<typeof Account.client>

/** Every account, with its balance and the runner that holds it. */
const lookAtAll = (client: Client) =>
  Effect.forEach(accounts, (account) => Effect.timeout(client(account).look(), "2 seconds"), {
    concurrency: 10
  })

const servedBy = (seen: ReadonlyArray<{ readonly runner: string }>): string =>
  runners
    .map((name) => [name, seen.filter(({ runner }) => runner === name).length] as const)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ")

/** Sees the accounts held by these runners, and by all of them. */
const heldBy = (client: Client, names: ReadonlyArray<string>) =>
  persistently(
    `the accounts held by ${names.join(" and ")}`,
    Effect.tap(lookAtAll(client), (seen) => {
      const holding = new Set(seen.map(({ runner }) => runner))
      return holding.size === names.length && names.every((name) => holding.has(name))
        ? Effect.void
        : Effect.fail("not yet")
    })
  )

/** One to each account, each sent twice under one id. Done when all are acknowledged. */
const deposit = (client: Client, round: string) =>
  Effect.forEach(
    accounts,
    (account) =>
      Effect.gen(function* () {
        const message = { id: `${account}/${round}`, amount: 7 }
        const balance = yield* client(account).deposit(message)
        const again = yield* client(account).deposit(message)
        yield* holds("a deposit sent twice has one answer", balance === again)
      }),
    { concurrency: 10, discard: true }
  )

/** Somebody who knows the address of a runner, and its public key: but whose own is in nobody's list. Gives what its log says. */
const stranger = (lines: ReadonlyArray<Line>, runner: RunnerAddress) => {
  const identity = KeyPair.generate()
  const members = [...lines.map(memberOf), { name: "stranger", publicKey: identity.publicKey }]
  const log: Array<string> = []
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message }) => log.push(String(message)))
  )
  return Effect.flatMap(Runners, ({ ping }) => Effect.flip(ping(runner))).pipe(
    Effect.map(() => log.join("\n")),
    Effect.provide(SecureCluster.layerClientOnly({ identity, members })),
    Effect.provide(layerNeeds()),
    Effect.provide(logger)
  )
}

/** What a client of @effect/rpc without a channel gets: how many bytes. */
const plain = ({ host, port }: RunnerAddress) =>
  Effect.async<number>((resume) => {
    let heard = 0
    const socket = createConnection(port, host, () =>
      socket.write(`${JSON.stringify({ _tag: "Request", id: "1", tag: "Ping", headers: [] })}\n`)
    )
    socket.on("data", (bytes) => (heard += bytes.length))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(heard)))
  })

const tour = (folder: string, url: string, lines: ReadonlyArray<Line>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const client = yield* Account.client
    yield* createBooks
    const processes = new Map<string, ChildProcess>()
    for (const name of runners) processes.set(name, yield* start(folder, name, url))
    const first = yield* heldBy(client, runners)
    yield* say(
      "runners",
      `one, two and three are up, and hold ${accounts.length} accounts: ${servedBy(first)}`
    )

    yield* deposit(client, "first")
    yield* say("deposits", `${accounts.length} acknowledged, each sent twice`)

    let moved = false
    let rounds = 0
    const deposits = yield* Effect.fork(
      Effect.repeat(
        Effect.suspend(() => deposit(client, `round ${++rounds}`)),
        { until: () => moved }
      )
    )
    yield* Effect.sleep("100 millis")
    yield* kill(processes.get("two") as ChildProcess)
    const after = yield* heldBy(client, ["one", "three"])
    moved = true
    yield* say(
      "kill -9",
      `two, in the middle of deposits; its accounts have moved: ${servedBy(after)}`
    )
    yield* deposits.await.pipe(
      Effect.flatten,
      Effect.timeoutFail({
        duration: "30 seconds",
        onTimeout: () => new Broken({ what: "the deposits under way, in time" })
      })
    )
    const acknowledged = (rounds + 1) * accounts.length
    const [{ count = 0, repeated = 0 } = {}] = yield* sql<{ count: number; repeated: number }>`
      SELECT COUNT(*)::int AS count, (COUNT(*) FILTER (WHERE tries > 1))::int AS repeated FROM books`
    yield* holds("every deposit that was acknowledged is in the books", count === acknowledged)
    const seen = yield* persistently("the balances", lookAtAll(client))
    yield* holds(
      "each deposit counts once",
      seen.every(({ balance }) => balance === 7 * (rounds + 1))
    )
    yield* say(
      "books",
      `${acknowledged} deposits acknowledged, ${count} written, each counted once (${repeated} begun on by two, and finished by another)`
    )

    const one = memberOf(lines[0] as Line).address as RunnerAddress
    yield* say("stranger", yield* stranger(lines, one))
    yield* holds("plain TCP gets nothing", (yield* plain(one)) === 0)
    yield* say("plain TCP", "0 bytes, and the end")

    yield* start(folder, "two", url)
    const back = yield* heldBy(client, runners)
    yield* say("back", `two is started again: ${servedBy(back)}`)
  })

const main = Effect.gen(function* () {
  const { url } = yield* database
  const place = yield* folder
  const lines = yield* createMembers(place, [...runners, "teller"])
  yield* say(
    "keys",
    `of ${lines.map(({ name }) => name).join(", ")}; who has another one is a stranger`
  )
  // This process is the teller: it calls, and holds no accounts. Its storages make the tables that the runners find.
  const identity = yield* identityOf(place, "teller")
  yield* tour(place, url, lines).pipe(
    Effect.provide(
      SecureCluster.layerClientOnly({ identity, members: lines.map(memberOf) }).pipe(
        Layer.provideMerge(layerNeeds()),
        Layer.provideMerge(databaseAt(url))
      )
    )
  )
}).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger)))

const fiber = Effect.runFork(main)
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => fiber.unsafeInterruptAsFork(fiber.id()))
fiber.addObserver((exit) => {
  if (exit._tag === "Success") return process.exit(0)
  const why = Cause.squash(exit.cause)
  console.error(why instanceof Broken ? why.message : Cause.pretty(exit.cause))
  process.exit(1)
})

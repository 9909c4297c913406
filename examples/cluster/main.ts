// A cluster of three runners that authenticate each other by their keys: node --import tsx
// examples/cluster/main.ts It needs PostgreSQL (DATABASE_URL, default
// postgres://root@127.0.0.1:5432/postgres), and creates and drops a database there.
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

/** A separate database: the shard locks in a database belong to one cluster. */
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
        new CheckFailed({
          what: `PostgreSQL at ${administration.host} can create databases (set DATABASE_URL to use another)`
        })
    )
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "sealwire-cluster-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/**
 * Creates a key for each process, and the list of all members. On separate machines each would
 * create its own key and publish only the public key.
 */
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

/** Starts a runner in a separate process, which is killed when the scope closes. */
const start = (folder: string, name: string, url: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        [...process.execArgv, fileURLToPath(new URL("./runner.ts", import.meta.url)), folder, name],
        {
          // pg warns about the way in which @effect/cluster uses its lock connection.
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

/** A check of the example failed. */
class CheckFailed extends Data.TaggedError("CheckFailed")<{ readonly what: string }> {
  override get message(): string {
    return `check failed: ${this.what}`
  }
}

const check = (what: string, holds: boolean) => (holds ? Effect.void : new CheckFailed({ what }))

const print = (step: string, text: string) =>
  Effect.sync(() => console.log(`${step.padEnd(10)}${text}`))

/** Retries until it succeeds, for at most 40 seconds. */
const eventually = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.eventually(Effect.tapErrorCause(effect, () => Effect.sleep("200 millis"))).pipe(
    Effect.timeoutFail({
      duration: "40 seconds",
      onTimeout: () => new CheckFailed({ what: `${what}, in time` })
    })
  )

type Client = Effect.Effect.Success<typeof Account.client>

/** Returns the balance and the runner of every account. */
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

/** Waits until the accounts are distributed over exactly these runners. */
const waitForRunners = (client: Client, names: ReadonlyArray<string>) =>
  eventually(
    `the accounts held by ${names.join(" and ")}`,
    Effect.tap(lookAtAll(client), (seen) => {
      const holding = new Set(seen.map(({ runner }) => runner))
      return holding.size === names.length && names.every((name) => holding.has(name))
        ? Effect.void
        : Effect.fail("not yet")
    })
  )

/** Makes a deposit to each account, sent twice with one id. Ends when all are acknowledged. */
const deposit = (client: Client, round: string) =>
  Effect.forEach(
    accounts,
    (account) =>
      Effect.gen(function* () {
        const message = { id: `${account}/${round}`, amount: 7 }
        const balance = yield* client(account).deposit(message)
        const again = yield* client(account).deposit(message)
        yield* check("a deposit sent twice has one answer", balance === again)
      }),
    { concurrency: 10, discard: true }
  )

/**
 * Calls a runner with its right address and public key, but with an identity that is not in its
 * list. Returns the log.
 */
const callWithOtherKey = (lines: ReadonlyArray<Line>, runner: RunnerAddress) => {
  const identity = KeyPair.generate()
  const members = [...lines.map(memberOf), { name: "unlisted", publicKey: identity.publicKey }]
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

/** Sends an @effect/rpc request without a channel. Returns the number of bytes received. */
const callPlain = ({ host, port }: RunnerAddress) =>
  Effect.async<number>((resume) => {
    let received = 0
    const socket = createConnection(port, host, () =>
      socket.write(`${JSON.stringify({ _tag: "Request", id: "1", tag: "Ping", headers: [] })}\n`)
    )
    socket.on("data", (bytes) => (received += bytes.length))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
  })

const tour = (folder: string, url: string, lines: ReadonlyArray<Line>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const client = yield* Account.client
    yield* createBooks
    const processes = new Map<string, ChildProcess>()
    for (const name of runners) processes.set(name, yield* start(folder, name, url))
    const first = yield* waitForRunners(client, runners)
    yield* print(
      "runners",
      `one, two and three are up, and hold ${accounts.length} accounts: ${servedBy(first)}`
    )

    yield* deposit(client, "first")
    yield* print("deposits", `${accounts.length} acknowledged, each sent twice`)

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
    const after = yield* waitForRunners(client, ["one", "three"])
    moved = true
    yield* print(
      "kill -9",
      `two, while deposits are in progress; its accounts have moved: ${servedBy(after)}`
    )
    yield* deposits.await.pipe(
      Effect.flatten,
      Effect.timeoutFail({
        duration: "30 seconds",
        onTimeout: () => new CheckFailed({ what: "the deposits under way, in time" })
      })
    )
    const acknowledged = (rounds + 1) * accounts.length
    const [{ count = 0, repeated = 0 } = {}] = yield* sql<{ count: number; repeated: number }>`
      SELECT COUNT(*)::int AS count, (COUNT(*) FILTER (WHERE tries > 1))::int AS repeated FROM books`
    yield* check("every deposit that was acknowledged is in the books", count === acknowledged)
    const seen = yield* eventually("the balances", lookAtAll(client))
    yield* check(
      "each deposit counts once",
      seen.every(({ balance }) => balance === 7 * (rounds + 1))
    )
    yield* print(
      "books",
      `${acknowledged} deposits acknowledged, ${count} written, each counted once (${repeated} started on two and finished on another runner)`
    )

    const one = memberOf(lines[0] as Line).address as RunnerAddress
    yield* print("other key", yield* callWithOtherKey(lines, one))
    yield* check("plain TCP gets nothing", (yield* callPlain(one)) === 0)
    yield* print("plain TCP", "0 bytes, then the end of the stream")

    yield* start(folder, "two", url)
    const back = yield* waitForRunners(client, runners)
    yield* print("restart", `two is up again: ${servedBy(back)}`)
  })

const main = Effect.gen(function* () {
  const { url } = yield* database
  const place = yield* folder
  const lines = yield* createMembers(place, [...runners, "teller"])
  yield* print("keys", `of ${lines.map(({ name }) => name).join(", ")}; any other key is refused`)
  // This process is the teller: it only calls. Its storage layers create the tables for the
  // runners.
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
  const error = Cause.squash(exit.cause)
  console.error(error instanceof CheckFailed ? error.message : Cause.pretty(exit.cause))
  process.exit(1)
})

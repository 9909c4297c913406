// Two servers with the same keys and one PostgreSQL inbox, behind a TCP balancer.
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as Postgres from "../services/inbox/Postgres.ts"
import { eventsOf, type Box, type Running } from "./Sealwire.ts"

/** The key options of each side. */
export interface KeyFlags {
  readonly serve: ReadonlyArray<string>
  readonly send: ReadonlyArray<string>
}

const sharedKey = (box: Box): KeyFlags => {
  box.write("sealwire.key", KeyText.encode(SharedKey, Secret.random(32)))
  return { serve: [], send: [] }
}

const identities = (box: Box): KeyFlags => {
  const [server = "", client = ""] = ["server", "client"].map((name) => {
    const secret = Secret.random(32)
    box.write(`${name}.key`, KeyText.encode(Identity, secret))
    return PublicKey.encode(Identity.make(secret).publicKey)
  })
  box.write("authorized_peers", `${client} client\n`)
  return {
    serve: ["--identity", "./server.key", "--authorized-peers", "./authorized_peers"],
    send: ["--identity", "./client.key", "--peer", server]
  }
}

export const keySetups = [
  ["one service identity", identities],
  ["one shared key", sharedKey]
] as const

/** Forwards each connection to the next socket in turn; without a listener there, it is lost. */
const balancer = async (box: Box, sockets: ReadonlyArray<string>) => {
  const open = new Set<Socket>()
  let turn = 0
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = createConnection({
      path: box.path(sockets[turn++ % sockets.length] ?? ""),
      allowHalfOpen: true
    })
    for (const [one, other] of [
      [near, far],
      [far, near]
    ] as const) {
      open.add(one)
      one.pipe(other)
      one.on("error", () => other.destroy())
      one.on("close", () => {
        open.delete(one)
        if (!one.readableEnded) other.destroy()
      })
    }
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  box.defer(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Index of the socket that got the last connection. */
    get last() {
      return (turn - 1) % sockets.length
    }
  }
}

export interface Fault {
  /** Kills the server that has, or last had, the connection, and restarts it. */
  readonly killServer: () => Promise<void>
  readonly url: URL
}

/**
 * Runs `send --lines` through the balancer to both servers and causes failures at random times.
 * Expects every line in the table once, in order.
 */
export const expectEachOnce = async (
  box: Box,
  keySetup: (box: Box) => KeyFlags,
  { url }: { readonly url: URL },
  faults: number,
  causeFault: (at: Fault, nth: number) => Promise<unknown>
): Promise<void> => {
  box.useProcesses("serve")
  const flags = keySetup(box)
  const names = ["one.sock", "two.sock"]
  const start = async (name: string): Promise<Running> => {
    return box.listen(
      ["serve", "--listen", `unix:./${name}`, "--inbox", "env:INBOX", ...flags.serve],
      {
        env: { INBOX: url.href }
      }
    )
  }
  const servers = await Promise.all(names.map(start))
  const balanced = await balancer(box, names)
  const killServer = async () => {
    const { last } = balanced
    await servers[last]?.crash()
    servers[last] = await start(names[last] ?? "")
  }

  const sending = box.start(
    ["send", "--lines", "--to", balanced.address, "--retry", "1m", "--json", ...flags.send],
    {
      stdin: "open"
    }
  )
  let lines = 0
  let running = true
  const feed = async () => {
    while (running) {
      sending.type(Array.from({ length: 50 }, () => `line ${lines++}\n`).join(""))
      await sleep(10)
    }
    sending.closeInput()
  }
  const feeding = feed()
  const arrived = async () =>
    Number((await Postgres.query(url, "SELECT count(*) AS count FROM sealwire_inbox"))[0]?.count)
  for (let nth = 0; nth < faults; nth++) {
    const before = await arrived()
    while ((await arrived()) === before && sending.alive) await sleep(20)
    await sleep(Math.random() * 200)
    await causeFault({ killServer, url }, nth)
  }
  running = false
  await feeding
  const { code, stdout, stderr } = await sending.ended(60_000)
  expect([code, stderr]).toEqual([0, ""])
  expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "messages-delivered", messages: lines })
  expect(eventsOf(stdout).some(({ event }) => event === "retry-scheduled")).toBe(true)
  const rows = await Postgres.query(
    url,
    "SELECT convert_from(text, 'UTF8') AS text FROM sealwire_inbox ORDER BY sequence"
  )
  expect(rows.map(({ text }) => text)).toEqual(
    Array.from({ length: lines }, (_, index) => `line ${index}`)
  )
}

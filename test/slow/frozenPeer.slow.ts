// A peer that stops in the middle of its work, without a word: suspended (SIGSTOP), or behind a
// network that loses every packet. The other side ends within its deadline, with the exit code or the
// reason of a dead peer, and holds nothing for it; afterwards the work is completed, once.
import { randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { once } from "node:events"
import net from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { bin, eventsOf, it, listening, within, type Box, type Running } from "../cli/Sealwire.ts"
import * as HalfOpen from "./HalfOpen.ts"

/** 4 keepalives of 25 s, 30 s of retries, a handshake, and a busy machine. */
const deadline = 260_000
const MiB = 1024 * 1024
/** More than the buffers of two kernels and processes hold, and several blocks of a partial file. */
const content = randomBytes(96 * MiB)
const slowly = ["--limit", "4M"]

/** The bytes of all files below a folder. */
const bytesBelow = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(path.join(folder, name), { throwIfNoEntry: false }))
    .reduce((sum, stats) => sum + (stats?.isFile() === true ? stats.size : 0), 0)

const until = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
  const poll = async () => {
    while (!(await condition())) await sleep(100)
  }
  await within(poll(), what, deadline)
}

/** Open descriptors of sockets and files. */
const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const startSite = async (box: Box, network: HalfOpen.Network) => {
  box.useProcesses()
  const run = (before: ReadonlyArray<string>, args: ReadonlyArray<string>, stdin?: "open") => {
    const [program = "", ...words] = [...before, process.execPath, bin, ...args]
    return box.startOther(program, words, stdin === undefined ? {} : { stdin })
  }
  for (const folder of ["served", "pulled"]) mkdirSync(box.path(folder))
  box.write("big", content)
  box.write("served/source", content)
  const target = net.createServer((socket) => socket.on("error", () => {}).pipe(socket))
  const open = new Set<net.Socket>()
  target.on("connection", (socket: net.Socket) => {
    open.add(socket.on("close", () => open.delete(socket)))
  })
  box.defer(() => target.close())
  await once(target.listen(box.path("target")), "listening")
  const serve =
    "serve --json --key ./k --inbox ./inbox.db --files ./served --forward echo=unix:./target --control ./c"
  expect((await box.run(["keygen", "-o", "./k"])).code).toBe(0)
  const server = await listening(
    run(network.beforeServer, [...serve.split(" "), "--listen", network.listen])
  )
  const to = await network.addressFor(server.address)
  const client = (args: string, stdin?: "open") =>
    run(network.beforeClient, args.replace("TO", `${to} --key ./k`).split(" "), stdin)
  const sessions = async () =>
    (
      JSON.parse((await box.run(["status", "./c", "--json"])).stdout.toString()) as {
        readonly sessions: ReadonlyArray<{ readonly service: string }>
      }
    ).sessions.length
  const stored = async () =>
    eventsOf((await box.run(["inbox", "list", "--json"])).stdout)
      .map(({ text }) => String(text))
      .toSorted()
  return { server, client, sessions, stored, targets: open }
}

type Site = Awaited<ReturnType<typeof startSite>>

/** Starts one of each kind of work, and waits until each is in its middle. */
const startWork = async (box: Box, { client, stored }: Site) => {
  const send = client("send --lines --outbox ./outbox.db --to TO", "open")
  send.type("before\n")
  const push = client(`push ./big --as pushed --to TO ${slowly.join(" ")}`)
  const pull = client(`pull source --into ./pulled --from TO ${slowly.join(" ")}`)
  const tunnel = client("tunnel --json --listen unix:./near --target echo --to TO")
  await tunnel.until("the tunnel", ({ stdout }) => stdout.includes("tunnel-listening"))
  const plain = net.connect(box.path("near"))
  const closed = new Promise<string>((resolve) => {
    let error = ""
    plain.on("error", ({ message }) => (error = message)).on("close", () => resolve(error))
  })
  plain.write("ping")
  await within(once(plain, "data"), "the echo", deadline)
  await until("a stored message", async () => (await stored()).length === 1)
  await until("half of the push", () => bytesBelow(box.path("served")) > content.length + 9 * MiB)
  await until("some of the pull", () => bytesBelow(box.path("pulled")) > 9 * MiB)
  return { send, push, pull, tunnel, plain, closed }
}

type Work = Awaited<ReturnType<typeof startWork>>

/** What the client says when its server is gone for ever. */
const expectClientsEnd = async ({ send, push, pull, tunnel, plain, closed }: Work) => {
  send.type("during\n")
  send.closeInput()
  plain.write("nobody reads this")
  const ended = await Promise.all([send, push, pull].map((command) => command.ended(deadline)))
  // Messages wait in the outbox, and partial files for the rest.
  expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(
    ended.map(({ stderr }) => [7, stderr])
  )
  for (const { stderr } of ended)
    expect(stderr).toMatch(/no longer responds|did not answer|timed out/)
  await within(closed, "the reset of the plain connection", deadline)
  expect(tunnel.alive).toBe(true)
}

/** The server holds no session, and no connection to a target. */
const expectServerFree = async (
  { server, sessions, targets }: Site,
  before: number
): Promise<void> => {
  await until("the end of all sessions", async () => (await sessions()) === 0)
  expect(
    eventsOf(server.stdout).filter(
      ({ event, reason }) =>
        event === "session-failed" && /no longer responds|lost|truncated/.test(String(reason))
    ).length
  ).toBeGreaterThanOrEqual(3)
  await until("the end of the connection to the target", () => targets.size === 0)
  // The lock of the partial file, the file itself, and the sockets.
  await until("no descriptor for a session", () => descriptors(server.pid) <= before)
}

/** Each work is completed by a new run, and nothing is there twice. */
const expectCompleted = async (box: Box, { client, stored }: Site, tunnel: Running) => {
  const codes = await Promise.all(
    [
      "send --outbox ./outbox.db --to TO --retry 1m",
      "push ./big --as pushed --to TO --retry 1m",
      "pull source --into ./pulled --from TO --retry 1m"
    ].map(async (args) => {
      const { code, stderr } = await client(args).ended(deadline)
      return [code, stderr]
    })
  )
  expect(codes).toEqual(codes.map(([, stderr]) => [0, stderr]))
  expect(await stored()).toEqual(["before", "during"])
  for (const file of ["served/pushed", "pulled/source"])
    expect(Buffer.compare(readFileSync(box.path(file)), content)).toBe(0)
  expect(readdirSync(box.path("served")).toSorted()).toEqual(["pushed", "source"])
  expect(readdirSync(box.path("pulled"))).toEqual(["source"])
  // The tunnel was never restarted.
  expect(tunnel.alive).toBe(true)
  await until("an echo", async () => {
    const socket = net.connect(box.path("near")).on("error", () => {})
    socket.write("ping")
    const [echo] = await Promise.race([once(socket, "data"), once(socket, "close")])
    socket.destroy()
    return String(echo) === "ping"
  })
}

describe("in the middle of send, push, pull and a tunnel", () => {
  it("a suspended server costs its clients their deadline, and nothing else", async ({ box }) => {
    const site = await startSite(box, HalfOpen.loopback)
    const before = descriptors(site.server.pid)
    const work = await startWork(box, site)
    site.server.kill("SIGSTOP")
    await expectClientsEnd(work)
    site.server.kill("SIGCONT")
    await until("the end of old sessions", () => site.targets.size === 0)
    await expectCompleted(box, site, work.tunnel)
    work.tunnel.kill("SIGTERM")
    await expectServerFree(site, before)
  })

  it("suspended clients cost the server their deadline, and nothing else", async ({ box }) => {
    const site = await startSite(box, HalfOpen.loopback)
    const before = descriptors(site.server.pid)
    const work = await startWork(box, site)
    const clients = [work.send, work.push, work.pull, work.tunnel]
    for (const client of clients) client.kill("SIGSTOP")
    await expectServerFree(site, before)
    // Another client is not kept from the file.
    expect((await site.client("push ./big --as pushed --to TO").ended(deadline)).code).toBe(0)
    work.send.type("during\n")
    work.send.closeInput()
    for (const client of clients) client.kill("SIGCONT")
    const ended = await Promise.all(clients.slice(0, 3).map((client) => client.ended(deadline)))
    // They notice the end of their connection, and complete their work over another.
    expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(
      ended.map(({ stderr }) => [0, stderr])
    )
    await within(work.closed, "the end of the plain connection", deadline)
    await expectCompleted(box, site, work.tunnel)
  })

  it.for([
    ["a proxy that forwards nothing", HalfOpen.proxy],
    ...(HalfOpen.canMakeNamespaces
      ? ([["a network that loses every packet", HalfOpen.namespaces]] as const)
      : [])
  ] as const)("%s costs both sides their deadline, and nothing else", async ([, make], { box }) => {
    const network = make(box)
    const site = await startSite(box, network)
    const before = descriptors(site.server.pid)
    const work = await startWork(box, site)
    network.cut()
    await Promise.all([expectClientsEnd(work), expectServerFree(site, before)])
    network.heal()
    await expectCompleted(box, site, work.tunnel)
  })
})

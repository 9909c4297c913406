// /ready of a server and of a tunnel tells whether the work can be done, and sealwire_up says why
// not. /health tells that the process lives.
import { renameSync, rmSync, writeFileSync } from "node:fs"
import net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { readyReasons } from "../../src/cli/connection/ReadyParts.ts"
import * as Postgres from "../services/inbox/Postgres.ts"
import { eventsOf, it, linesOf, within, type Box, type Running } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

/** A port that was free a moment ago. */
const freePort = async (): Promise<number> => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Answer {
  readonly status: number
  readonly headers: string
  readonly body: string
}

/** Sends the bytes of a request, and reads to the end of the connection. */
const raw = (port: number, request: string): Promise<Answer> =>
  within(
    new Promise((resolve, reject) => {
      let text = ""
      const socket = net.connect(port, "127.0.0.1", () => socket.write(request))
      socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      socket.once("error", reject).once("close", () => {
        const [headers = "", body = ""] = text.split("\r\n\r\n")
        resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(headers)?.[1]), headers, body })
      })
    }),
    "an answer"
  )

const get = (port: number, path: string) =>
  raw(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)

/** Asks until the answer is as expected; a test fails when it never is. */
const untilReady = async (port: number, status: number, body: RegExp): Promise<void> => {
  let last: Answer | undefined
  for (const until = Date.now() + 60_000; Date.now() < until; await sleep(100)) {
    last = await get(port, "/ready")
    if (last.status === status && body.test(last.body)) return
  }
  expect(last).toMatchObject({ status, body: expect.stringMatching(body) as unknown })
}

const upOf = async (port: number): Promise<ReadonlyArray<string>> =>
  linesOf((await get(port, "/metrics")).body).filter((line) => line.startsWith("sealwire_up"))

const startServer = async (box: Box, ...args: ReadonlyArray<string>) => {
  const port = await freePort()
  const server = await box.listen([
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--metrics",
    `127.0.0.1:${port}`,
    "--json",
    ...args
  ])
  return { server, port }
}

describe("a server", () => {
  it("is ready for a balancer, with any form of request", async ({ box }) => {
    const { port } = await startServer(box)
    const ready = { status: 200, body: "ready\n" }
    expect(await get(port, "/ready")).toMatchObject(ready)
    expect(await get(port, "/ready?verbose=1&x=/metrics")).toMatchObject(ready)
    expect(await raw(port, "GET /ready HTTP/1.0\r\n\r\n")).toMatchObject(ready)
    const head = await raw(port, "HEAD /ready HTTP/1.0\r\n\r\n")
    expect(head).toMatchObject({ status: 200, body: "" })
    expect(head.headers).toContain("content-length: 6")
    expect(await raw(port, "GET /health HTTP/1.0\r\n\r\n")).toMatchObject({ status: 200 })
    expect(await raw(port, "POST /ready HTTP/1.0\r\n\r\n")).toMatchObject({ status: 405 })
    expect(await get(port, "/readyx")).toMatchObject({ status: 404 })
    // DNS rebinding.
    expect(
      await raw(port, "GET /ready HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    ).toMatchObject({ status: 403 })
    expect(await upOf(port)).toEqual(['sealwire_up{reason="ready"} 1'])
  })

  it("is not ready while its inbox is another file, and says so everywhere", async ({ box }) => {
    const { port } = await startServer(box, "--inbox", "./inbox.db", "--control", "./control")
    await untilReady(port, 200, /^ready\n$/)
    renameSync(box.path("inbox.db"), box.path("elsewhere.db"))
    writeFileSync(box.path("inbox.db"), "", { mode: 0o600 })
    await untilReady(port, 503, /^inbox: \S+: its file was moved, replaced or deleted; .*\n$/)
    expect(await upOf(port)).toEqual(['sealwire_up{reason="inbox"} 0'])
    expect((await get(port, "/health")).body).toBe("ok\n")
    expect((await box.run(["status", "./control"])).stdout.toString()).toMatch(
      /\nnot ready: inbox: \S+: its file was moved/
    )
    const status = await box.run(["status", "./control", "--json"])
    expect(JSON.parse(status.stdout.toString())).toMatchObject({
      notReady: [{ reason: "inbox" }]
    })
    renameSync(box.path("elsewhere.db"), box.path("inbox.db"))
    await untilReady(port, 200, /^ready\n$/)
    expect(await upOf(port)).toEqual(['sealwire_up{reason="ready"} 1'])
  })

  it.skipIf(!canMount)("is not ready while its disk is full", async ({ box, skip }) => {
    const disk = smallDisk(box)
    if (disk === undefined) return skip("no file system can be mounted here")
    const { port } = await startServer(box, "--inbox", "./disk/inbox.db", "--files", "./disk")
    await untilReady(port, 200, /^ready\n$/)
    try {
      for (let file = 0; ; file++) writeFileSync(`${disk}/ballast${file}`, Buffer.alloc(4096))
    } catch {
      // The disk is full.
    }
    await untilReady(
      port,
      503,
      /^inbox: \.\/disk\/inbox\.db: the disk is full: free \d+ KiB on it.*\nfiles: .*\n$/
    )
    expect((await upOf(port)).toSorted()).toEqual([
      'sealwire_up{reason="files"} 0',
      'sealwire_up{reason="inbox"} 0'
    ])
  })

  it("is not ready while its folder is away", async ({ box }) => {
    writeFileSync(box.path("keep"), "")
    const { port } = await startServer(box, "--files", ".")
    await untilReady(port, 200, /^ready\n$/)
    const other = await freePort()
    await box.runOther("mkdir", ["folder"])
    await box.listen([
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--metrics",
      `127.0.0.1:${other}`,
      "--files",
      "./folder"
    ])
    await untilReady(other, 200, /^ready\n$/)
    rmSync(box.path("folder"), { recursive: true })
    await untilReady(other, 503, /^files: \.\/folder: .*\n$/)
  })

  it.skipIf(!Postgres.available)("is not ready while its database is away", async ({ box }) => {
    const { url, drop } = await Postgres.schema()
    box.defer(drop)
    const way = await Postgres.proxyTo(url)
    box.defer(way.close)
    const port = await freePort()
    box.start(
      ["serve", "--listen", "127.0.0.1:0", "--inbox", "env:INBOX", "--metrics", `:${port}`],
      { env: { INBOX: way.url.href } }
    )
    const untilUp = async () => {
      for (;;)
        try {
          return await untilReady(port, 200, /^ready\n$/)
        } catch {
          await sleep(100)
        }
    }
    await within(untilUp(), "a ready server")
    way.refuse()
    await untilReady(port, 503, /^inbox: the database is unreachable.*\n$/)
    way.open()
    await untilReady(port, 200, /^ready\n$/)
    // A database that answers nothing.
    way.hold()
    await untilReady(port, 503, /^inbox: no answer within 2s\n$/)
  })

  it("is not ready while it waits for open sessions to end", async ({ box }) => {
    box.useProcesses("serve")
    const target = net.createServer((socket) => socket.on("error", () => {}))
    const connected = new Promise((resolve) => target.once("connection", resolve))
    target.listen(box.path("target"))
    box.defer(() => target.close())
    const { server, port } = await startServer(box, "--forward", `t=${box.path("target")}`)
    await untilReady(port, 200, /^ready\n$/)
    const pipe = box.start(["pipe", "--to", server.address, "--target", "t"], { stdin: "open" })
    await within(connected, "the connection to the target")
    server.kill("SIGTERM")
    await untilReady(port, 503, /^it is stopping\n$/)
    expect(await upOf(port)).toEqual(['sealwire_up{reason="stopping"} 0'])
    pipe.kill("SIGKILL")
    expect(await server.exited()).toBe(0)
  })

  it("serves metrics to other machines only with the option that names the risk", async ({
    box
  }) => {
    const port = await freePort()
    const args = ["serve", "--listen", "127.0.0.1:0", "--metrics", `0.0.0.0:${port}`]
    const refused = await box.run(args)
    expect([refused.code, refused.stderr]).toEqual([
      2,
      "sealwire: --metrics: metrics are not encrypted; use a loopback address, such as :9100, or add --unsafe-metrics-to-anyone; see: sealwire serve --help\n"
    ])
    await box.listen([...args, "--unsafe-metrics-to-anyone"])
    expect(
      await raw(port, "GET /ready HTTP/1.1\r\nHost: db.example\r\nConnection: close\r\n\r\n")
    ).toMatchObject({ status: 200 })
  })
})

describe("a tunnel", () => {
  const startTunnel = async (box: Box, to: string, ...args: ReadonlyArray<string>) => {
    const port = await freePort()
    const tunnel = box.start([
      "tunnel",
      "--json",
      "--listen",
      "127.0.0.1:0",
      "--to",
      to,
      "--metrics",
      `127.0.0.1:${port}`,
      ...args
    ])
    return { tunnel, port }
  }
  const listens = (tunnel: Running) =>
    tunnel.until("the tunnel", ({ stdout }) =>
      eventsOf(stdout).some(({ event }) => event === "tunnel-listening")
    )

  it.for([
    ["with channels kept ready", "2"],
    ["without", "0"]
  ] as const)("%s is not ready while its server is down", async ([, pool], { box }) => {
    box.useProcesses("serve")
    const at = await freePort()
    const serve = ["serve", "--listen", `127.0.0.1:${at}`, "--forward", "t=127.0.0.1:1"]
    const first = await box.listen(serve)
    const { tunnel, port } = await startTunnel(box, `127.0.0.1:${at}`, "--pool", pool)
    await listens(tunnel)
    await untilReady(port, 200, /^ready\n$/)
    await first.crash()
    await untilReady(port, 503, /^tunnel: cannot connect to 127\.0\.0\.1:\d+: .*refused.*\n$/)
    expect(await upOf(port)).toEqual(['sealwire_up{reason="network"} 0'])
    expect((await get(port, "/health")).body).toBe("ok\n")
    await box.listen(serve)
    await untilReady(port, 200, /^ready\n$/)
  })

  it("is not ready while its key is revoked", async ({ box }) => {
    await box.run(["keygen", "identity", "-o", "server.key"])
    await box.run(["keygen", "identity", "-o", "alice.key"])
    const keyOf = async (name: string) =>
      (await box.run(["pubkey", "--identity", name])).stdout.toString().trim()
    const alice = await keyOf("./alice.key")
    box.write("peers", `${alice} alice\n`)
    const server = await box.listen([
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--identity",
      "./server.key",
      "--authorized-peers",
      "./peers",
      "--forward",
      "t=127.0.0.1:1"
    ])
    const identity = ["--identity", "./alice.key", "--peer", await keyOf("./server.key")]
    const { tunnel, port } = await startTunnel(box, server.address, "--target", "t", ...identity)
    await listens(tunnel)
    await untilReady(port, 200, /^ready\n$/)
    await box.run(["peers", "revoke", "alice", "--authorized-peers", "./peers"])
    await untilReady(port, 503, /^tunnel t: .*\n$/)
    const [up = ""] = await upOf(port)
    expect(up).toBe('sealwire_up{reason="authentication"} 0')
    expect((await get(port, "/health")).body).toBe("ok\n")
  })

  it("is not ready before it listens, and then because of its server", async ({ box }) => {
    await box.run(["keygen"])
    const { port, tunnel } = await startTunnel(box, `127.0.0.1:${await freePort()}`)
    await listens(tunnel)
    await untilReady(port, 503, /^tunnel: cannot connect to /)
  })
})

it("the reasons are a few words", () => {
  expect(readyReasons.length).toBeLessThan(16)
  expect(readyReasons).toEqual(expect.arrayContaining(["ready", "inbox", "starting", "network"]))
})

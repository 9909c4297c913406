// The commands `serve --forward`, `tunnel` and `pipe`, with ordinary programs at both ends.
import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { existsSync, mkdirSync } from "node:fs"
import { Agent, request } from "node:http"
import net from "node:net"
import { describe, expect } from "vitest"
import { runs } from "../fixtures/sample.ts"
import { available as hasPostgres } from "../services/inbox/Postgres.ts"
import { bin, eventsOf, it, within, type Box, type Running } from "./Sealwire.ts"

/** Starts a target; returns its address. */
const startTarget = async (
  box: Box,
  serve: (socket: net.Socket) => void,
  at: net.ListenOptions = { host: "127.0.0.1", port: 0 }
) => {
  const server = net
    .createServer({ allowHalfOpen: true }, (socket) => serve(socket.on("error", () => {})))
    .listen(at)
  await once(server, "listening")
  box.defer(() => server.close())
  const address = server.address() as net.AddressInfo | string
  return typeof address === "string" ? address : `127.0.0.1:${address.port}`
}

/** Sends all received bytes back in reverse order after the end of the stream: needs half-close. */
const reverser = (socket: net.Socket) => {
  const chunks: Array<Buffer> = []
  socket.on("data", (chunk: Buffer) => chunks.push(chunk))
  socket.on("end", () => socket.end(Buffer.concat(chunks).reverse()))
}

const addressOf = (running: Running, event: string, field: string) =>
  running.until(`its ${event} event`, ({ stdout }) =>
    eventsOf(stdout.subarray(0, stdout.lastIndexOf(10) + 1))
      .find((one) => one.event === event)
      ?.[field]?.toString()
  )

/** Starts a server with these options and a shared key. */
const startServer = async (box: Box, ...args: ReadonlyArray<string>) => {
  if (!existsSync(box.path("sealwire.key")))
    expect((await box.run(["keygen", "-o", "./sealwire.key"])).code).toBe(0)
  const server = box.start(["serve", "--json", "--listen", "127.0.0.1:0", ...args])
  return { server, to: await addressOf(server, "server-listening", "address") }
}

const startTunnel = async (box: Box, to: string, ...args: ReadonlyArray<string>) => {
  const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"]
  const tunnel = box.start(["tunnel", "--json", "--to", to, ...listen, ...args])
  return { tunnel, at: await addressOf(tunnel, "tunnel-listening", "listen") }
}

const has = (program: string) => {
  const found =
    spawnSync("sh", ["-c", `command -v ${program}`], {
      env: { PATH: `${process.env.PATH}:/usr/sbin` }
    }).status === 0
  if (!found) console.warn(`${program} not found: its test is skipped`)
  return found
}

const exchange = async (at: string, text: string) => {
  const socket = net.connect(
    at.startsWith("/") ? { path: at } : { host: "127.0.0.1", port: Number(at.split(":").at(-1)) }
  )
  const chunks: Array<Buffer> = []
  socket.on("data", (chunk: Buffer) => chunks.push(chunk))
  const over = once(socket, "close").then(
    () => "end",
    (error: NodeJS.ErrnoException) => error.code ?? "?"
  )
  socket.end(text)
  return {
    end: await within(over, "the end of the connection"),
    received: Buffer.concat(chunks).toString()
  }
}

describe("a tunnel", () => {
  it("connects TCP and Unix sockets in both directions, several from one file, and counts their traffic", async ({
    box
  }) => {
    const tcp = await startTarget(box, reverser)
    const unix = await startTarget(box, reverser, { path: box.path("target.sock") })
    const { to, server } = await startServer(
      box,
      "--forward",
      `tcp=${tcp}`,
      "--forward",
      `unix=${unix}`,
      "--control",
      "./control"
    )
    box.write(
      "tunnels.toml",
      `to = "${to}"\njson = true\nmetrics = "127.0.0.1:0"\ncontrol = "./near"\n` +
        `[[tunnel]]\nlisten = "127.0.0.1:0"\ntarget = "unix"\n[[tunnel]]\nlisten = "${box.path("near.sock")}"\ntarget = "tcp"\n`
    )
    const checked = await box.run(["check-config", "./tunnels.toml", "--for", "tunnel"])
    expect([checked.code, checked.stderr]).toEqual([
      0,
      "sealwire: ./tunnels.toml: OK (6 options)\n"
    ])
    const tunnel = box.start(["tunnel", "--config", "./tunnels.toml"])
    const open = await tunnel.until("both tunnels", ({ stdout }) => {
      const found = eventsOf(stdout).filter(({ event }) => event === "tunnel-listening")
      return found.length === 2 && new Map(found.map(({ target, listen }) => [target, `${listen}`]))
    })
    expect(await exchange(open.get("unix") ?? "", "tcp in, unix out")).toEqual({
      end: "end",
      received: "tuo xinu ,ni pct"
    })
    expect(await exchange(open.get("tcp") ?? "", "unix in, tcp out")).toEqual({
      end: "end",
      received: "tuo pct ,ni xinu"
    })
    const counted = {
      "tunnel unix": { connections: 1, bytesIn: 16, bytesOut: 16 },
      "tunnel tcp": { connections: 1, bytesIn: 16, bytesOut: 16 }
    }
    for (const [running, socket] of [
      [server, "./control"],
      [tunnel, "./near"]
    ] as const) {
      await running.until(
        "the ends",
        ({ stdout }) =>
          eventsOf(stdout).filter(({ event }) => /^(session|connection)-ended$/.test(`${event}`))
            .length === 2
      )
      expect(
        JSON.parse((await box.run(["status", socket, "--json"])).stdout.toString())
      ).toMatchObject({ counted })
    }
    const shown = (await box.run(["status", "./near"])).stdout.toString()
    expect(shown).toContain("tunnel unix: 1 connection, 16 bytes in, 16 bytes out\n")
    tunnel.kill("SIGTERM")
    expect(await tunnel.exited()).toBe(0)
    expect(box.names).not.toContain("near.sock")
  })

  it("has Prometheus metrics by target", async ({ box }) => {
    const target = await startTarget(box, reverser)
    const metrics = net.createServer().listen(0, "127.0.0.1")
    await once(metrics, "listening")
    const { port } = metrics.address() as net.AddressInfo
    metrics.close()
    const { to } = await startServer(box, "--forward", `it=${target}`, "--metrics", `:${port}`)
    const { at } = await startTunnel(box, to)
    expect((await exchange(at, "abc")).received).toBe("cba")
    const text = await new Promise<string>((resolve, reject) => {
      request({ host: "127.0.0.1", port, path: "/metrics" }, (response) => {
        let body = ""
        response
          .on("data", (chunk: Buffer) => (body += chunk.toString()))
          .on("end", () => resolve(body))
      })
        .on("error", reject)
        .end()
    })
    expect(text).toContain('sealwire_tunnel_connections_total{target="it"} 1\n')
    expect(text).toContain('sealwire_tunnel_in_bytes_total{target="it"} 3\n')
  })

  it("refuses unencrypted traffic between machines and names the option that allows it", async ({
    box
  }) => {
    const refused = async (...args: ReadonlyArray<string>) => {
      const { code, stderr } = await box.run(args)
      return [code, stderr.trim()]
    }
    expect(await refused("serve", "--forward", "db=192.0.2.1:5432")).toEqual([
      2,
      "sealwire: --forward: 192.0.2.1:5432 is another machine, and traffic to it would cross the network unencrypted; run sealwire serve there, or add --unsafe-forward-in-clear; see: sealwire serve --help"
    ])
    expect(await refused("tunnel", "--listen", "0.0.0.0:0", "--to", ":1")).toEqual([
      2,
      "sealwire: --listen: 0.0.0.0:0 accepts other machines without a key, and their traffic crosses the network unencrypted; use :PORT or a socket path, or add --unsafe-listen-to-anyone; see: sealwire tunnel --help"
    ])
    expect((await refused("serve", "--forward", "5432"))[1]).toContain(
      '"5432" is not NAME=ADDRESS, for example postgres=127.0.0.1:5432'
    )
    const inFile = async (tables: string) => {
      box.write("tunnels.toml", `to = ":1"\n${tables}`)
      const results = [
        await refused("check-config", "./tunnels.toml", "--for", "tunnel"),
        await refused("tunnel", "--config", "./tunnels.toml")
      ]
      return results.map(([code, text]) => `${code} ${`${text}`.split(";", 1)[0]}`)
    }
    const table = (listen: string) => `[[tunnel]]\nlisten = "${listen}"\n`
    const both = (text: string) => [text, text]
    expect(await inFile(table(":9") + table(":9"))).toEqual(
      both("2 sealwire: --listen: two tunnels listen on 127.0.0.1:9")
    )
    expect(await inFile(table("0.0.0.0:9"))).toEqual(
      both(
        "2 sealwire: --listen: 0.0.0.0:9 accepts other machines without a key, and their traffic crosses the network unencrypted"
      )
    )
    expect(await inFile('[tunnel]\nlisten = ":9"\n')).toEqual(
      both(
        "2 sealwire: ./tunnels.toml:2: write [[tunnel]] in double brackets, once for each tunnel"
      )
    )
    expect((await refused("serve", "--forward", "a b=:1"))[1]).toContain(
      '"a b" is not a valid target name: letters, digits'
    )
    expect((await refused("tunnel", "--listen", "./db.sock", "--to", ":1"))[1]).toContain(
      "for a socket path write unix:./db.sock;"
    )
    expect((await refused("serve", "--forward", "a=:1", "--forward", "a=:2"))[1]).toContain(
      "duplicate target a"
    )
    expect((await refused("serve", "--forward", "a=:1", "--proxy-protocol", "b"))[1]).toContain(
      'no target "b"'
    )
    expect((await refused("tunnel", "--listen", ":0", "--pool", "65"))[1]).toContain(
      '"65" is not an integer from 0 to 64'
    )
  })

  it("whose target does not resolve is reset, and both ends report the reason", async ({ box }) => {
    const { to, server } = await startServer(box, "--forward", "it=host.invalid:80")
    const { at, tunnel } = await startTunnel(box, to)
    expect((await exchange(at, "x")).end).toBe("ECONNRESET")
    const reset = await tunnel.until("the event", ({ stdout }) =>
      eventsOf(stdout).find(({ event }) => event === "connection-reset")
    )
    expect(reset.reason).toBe(
      `${to} cannot connect to its target: no route to it, or its name does not resolve`
    )
    const failed = await server.until("the server's event", ({ stdout }) =>
      eventsOf(stdout).find(({ event }) => event === "session-failed")
    )
    expect(failed.reason).toMatch(
      /^target it is unreachable: cannot connect to host.invalid:80: could not resolve the host name/
    )
  })

  it("to an unknown target ends at once with one error", async ({ box }) => {
    const { to, server } = await startServer(box, "--forward", "a=:1", "--forward", "b=:2")
    const { code, stderr } = await box.run([
      "tunnel",
      "--listen",
      ":0",
      "--to",
      to,
      "--target",
      "c"
    ])
    expect([code, stderr]).toEqual([
      8,
      `sealwire: ${to} does not offer "tunnel c"; ask its administrator\n`
    ])
    const { reason } = await server.until("the server's event", ({ stdout }) =>
      eventsOf(stdout).find(({ event }) => event === "session-failed")
    )
    expect(reason).toMatch(
      /requested "tunnel c", which this server does not offer; offered: "tunnel a", "tunnel b"$/
    )
  })

  it("works with a server that has no standard output, which then offers no messages", async ({
    box
  }) => {
    const target = await startTarget(box, reverser)
    expect((await box.run(["keygen", "-o", "./sealwire.key"])).code).toBe(0)
    // As a service manager starts it: standard output is /dev/null, open for reading and writing.
    const server = box.start(["serve", "--listen", "127.0.0.1:0", "--forward", `it=${target}`], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    const to = await server.until(
      "the address",
      ({ stderr }) => /listening on (\S+)/.exec(stderr)?.[1]
    )
    expect((await box.run(["pipe", "--to", to], { stdin: "abc" })).stdout.toString()).toBe("cba")
    const { code, stderr } = await box.run(["send", "--to", to, "lost?"])
    expect([code, stderr]).toEqual([
      8,
      `sealwire: ${to} does not offer "message"; ask its administrator\n`
    ])
  })

  it("takes over a systemd socket with the connections that arrived before its start", async ({
    box
  }) => {
    const target = await startTarget(box, reverser)
    const { to } = await startServer(box, "--forward", `it=${target}`)
    const listener = net.createServer().listen(0, "127.0.0.1")
    await once(listener, "listening")
    const { port } = listener.address() as net.AddressInfo
    const { fd } = (listener as unknown as { readonly _handle: { readonly fd: number } })._handle
    const tunnel = box.startOther(
      "bash",
      [
        "-c",
        'LISTEN_PID=$$ exec "$0" "$@"',
        process.execPath,
        bin,
        "tunnel",
        "--json",
        "--listen",
        "systemd:it",
        "--to",
        to
      ],
      { env: { LISTEN_FDS: "1", LISTEN_FDNAMES: "it" }, stdio: ["ignore", "pipe", "pipe", fd] }
    )
    // From now on only the tunnel has the socket.
    await tunnel.until("the tunnel", () => tunnel.pid > 0)
    listener.close()
    const early = exchange(`:${port}`, "early")
    expect(await addressOf(tunnel, "tunnel-listening", "listen")).toBe("systemd:it")
    expect(await early).toEqual({ end: "end", received: "ylrae" })
    tunnel.kill("SIGTERM")
    expect(await tunnel.exited()).toBe(0)
  })

  it("sends its target the PROXY header byte for byte if enabled", async ({ box }) => {
    const headers: Array<Buffer> = []
    const target = await startTarget(box, (socket) =>
      socket.once("data", (header: Buffer) => void (headers.push(header), socket.end("seen")))
    )
    expect((await box.run(["keygen", "identity", "-o", "./server.key"])).code).toBe(0)
    expect((await box.run(["keygen", "identity", "-o", "./alice.key"])).code).toBe(0)
    const alice = (await box.run(["pubkey", "--identity", "./alice.key"])).stdout.toString().trim()
    box.write("authorized_peers", `target="it" ${alice} alice\n`)
    const server = (await box.run(["pubkey", "--identity", "./server.key"])).stdout
      .toString()
      .trim()
    const { to } = await startServer(
      box,
      "--forward",
      `it=${target}`,
      "--proxy-protocol",
      "it",
      "--identity",
      "./server.key",
      "--authorized-peers",
      "./authorized_peers"
    )
    const piped = await box.run(
      ["pipe", "--to", to, "--identity", "./alice.key", "--peer", server],
      { stdin: "hello" }
    )
    expect([piped.code, piped.stdout.toString(), piped.stderr]).toEqual([0, "seen", ""])
    const [header = Buffer.alloc(0)] = headers
    const port = Number(to.split(":").at(-1))
    expect(header.subarray(0, 16).toString("hex")).toBe("0d0a0d0a000d0a515549540a21110014")
    expect(header.subarray(16, 24).toString("hex")).toBe("7f0000017f000001")
    expect(header.readUInt16BE(26)).toBe(port)
    expect(header.subarray(28, 36).toString("latin1")).toBe("\u00e0\u0000\u0005alice")
  })
})

describe("pipe", () => {
  it("ends when the target ends, even if standard input is open, with an exit code for the reason", async ({
    box
  }) => {
    const greeter = await startTarget(box, (socket) => socket.end("so long\n"))
    const resetter = await startTarget(box, (socket) =>
      socket.once("data", () => socket.resetAndDestroy())
    )
    const unused = net.createServer().listen(0, "127.0.0.1")
    await once(unused, "listening")
    const { port } = unused.address() as net.AddressInfo
    unused.close()
    const { to } = await startServer(
      box,
      "--forward",
      `hi=${greeter}`,
      "--forward",
      `no=${resetter}`,
      "--forward",
      `unreachable=:${port}`
    )
    const ended = await box.run(["pipe", "--to", to, "--target", "hi"], { stdin: "open" })
    expect([ended.code, ended.stdout.toString(), ended.stderr]).toEqual([0, "so long\n", ""])
    const reset = await box.run(["pipe", "--to", to, "--target", "no"], { stdin: "x" })
    expect([reset.code, reset.stderr]).toEqual([
      5,
      `sealwire: ${to} closed the channel: it failed\n`
    ])
    const refused = await box.run(["pipe", "--to", to, "--target", "unreachable"])
    expect([refused.code, refused.stderr]).toEqual([
      5,
      `sealwire: ${to} cannot connect to its target: connection refused; is the target running?\n`
    ])
    const unknown = await box.run(["pipe", "--to", to, "--target", "other"])
    expect([unknown.code, unknown.stderr]).toEqual([
      8,
      `sealwire: ${to} does not offer "tunnel other"; ask its administrator\n`
    ])
    const closed = await box
      .startOther("bash", [
        "-c",
        'exec "$0" "$@" >&-',
        process.execPath,
        bin,
        "pipe",
        "--to",
        to,
        "--target",
        "hi"
      ])
      .ended()
    expect([closed.code, closed.stderr]).toEqual([
      2,
      "sealwire: standard output is closed, and the data would be lost; name a file or a pipe\n"
    ])
    const several = await box.run(["pipe", "--to", to])
    expect([several.code, several.stderr]).toEqual([
      8,
      `sealwire: ${to} does not offer "tunnel"; the server has no target, or several: choose one with --target NAME\n`
    ])
  })

  it("forwards every byte in both directions, as a pipe and as an inetd socket", async ({
    box
  }) => {
    const target = await startTarget(box, reverser)
    const { to } = await startServer(box, "--forward", `it=${target}`)
    const bytes = randomBytes(3_000_001)
    const piped = await box.run(["pipe", "--to", to], { stdin: bytes })
    expect([piped.code, piped.stdout.equals(Buffer.from(bytes).reverse())]).toEqual([0, true])
    // As inetd starts a program: the connection is standard input and standard output.
    const listener = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle
      box.start(["tunnel", "--listen", "-", "--to", to], { stdio: [fd, fd, "pipe"] })
      socket.destroy()
    })
    await once(listener.listen(0, "127.0.0.1"), "listening")
    box.defer(() => listener.close())
    expect(
      await exchange(`:${(listener.address() as net.AddressInfo).port}`, "through inetd")
    ).toEqual({
      end: "end",
      received: "dteni hguorht"
    })
  })
})

describe("real programs", () => {
  it.runIf(hasPostgres && has("psql"))("psql with a COPY in each direction", async ({ box }) => {
    const { to } = await startServer(box, "--forward", "pg=127.0.0.1:5432")
    const { at } = await startTunnel(box, to)
    const lines = Array.from(
      { length: runs(10_000, 50_000) },
      (_, index) => `${index}\t${randomBytes(48).toString("hex")}`
    ).join("\n")
    box.write("rows.tsv", `${lines}\n`)
    const url = `postgres://root@${at}/postgres`
    const script =
      "CREATE TEMP TABLE t (n int, x text); \\copy t from rows.tsv \n\\copy (select * from t order by n) to back.tsv"
    const { code, stderr } = await box.runOther(
      "psql",
      ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url],
      {
        stdin: `${script}\n`
      }
    )
    expect([code, stderr]).toEqual([0, ""])
    const digest = (name: string) => createHash("sha256").update(box.read(name)).digest("hex")
    expect(digest("back.tsv")).toBe(digest("rows.tsv"))
  })

  it.runIf(has("redis-benchmark") && has("redis-server"))(
    "redis-benchmark with fifty clients",
    async ({ box }) => {
      const redis = box.startOther("redis-server", [
        "--port",
        "0",
        "--unixsocket",
        box.path("redis.sock"),
        "--save",
        "",
        "--appendonly",
        "no"
      ])
      await redis.until("redis", ({ stdout }) =>
        /ready to accept connections/i.test(stdout.toString())
      )
      const { to } = await startServer(box, "--forward", `redis=${box.path("redis.sock")}`)
      const { at } = await startTunnel(box, to)
      const [host = "", port = ""] = at.split(":")
      const { code, stdout } = await box.runOther("redis-benchmark", [
        "-h",
        host,
        "-p",
        port,
        "-c",
        "50",
        "-n",
        String(runs(150, 5000)),
        "-t",
        "set,get",
        "-d",
        "100",
        "--csv"
      ])
      expect(code).toBe(0)
      expect(stdout.toString()).toMatch(/"SET","\d+[\s\S]*"GET","\d+/)
    }
  )

  describe.runIf(has("nginx"))("nginx", () => {
    const startNginx = async (box: Box, servers: string) => {
      const root = process.getuid?.() === 0 ? "user root;" : ""
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (one) => `${one}_temp_path ${box.path(one)};`
      )
      box.write(
        "nginx.conf",
        `${root} daemon off; master_process off; pid ${box.path("pid")}; error_log stderr notice; events { worker_connections 256; }\n` +
          `http { access_log off; keepalive_requests 100000; ${temporary.join(" ")}\n${servers}\n}\n`
      )
      const program = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx"
      const nginx = box.startOther(program, ["-p", box.cwd, "-c", box.path("nginx.conf")])
      await nginx.until(
        "nginx",
        ({ stderr }) => stderr.includes("start worker processes") || stderr.includes("using the")
      )
    }

    /**
     * Sends requests over persistent connections; returns the responses and nginx's connection
     * count.
     */
    const load = async (
      at: net.TcpNetConnectOpts | net.IpcNetConnectOpts,
      requests: number,
      connections: number
    ) => {
      const agent = new Agent({ keepAlive: true, maxSockets: connections })
      const get = () =>
        new Promise<readonly [body: string, connection: string]>((resolve, reject) => {
          const where = "path" in at ? { socketPath: at.path } : { host: at.host, port: at.port }
          request({ ...where, path: "/page", agent }, (response) => {
            let body = ""
            response.on("data", (chunk: Buffer) => (body += chunk.toString()))
            response.on("end", () =>
              resolve([body, `${response.headers["x-connection"]?.toString()}`])
            )
          })
            .on("error", reject)
            .end()
        })
      const start = performance.now()
      const answers = await within(
        Promise.all(Array.from({ length: requests }, get)),
        "all answers",
        60_000
      )
      agent.destroy()
      return {
        bodies: new Set(answers.map(([body]) => body)),
        connections: new Set(answers.map(([, connection]) => connection)).size,
        perSecond: Math.round((requests * 1000) / (performance.now() - start))
      }
    }

    it("under load with persistent connections responds as it does without a tunnel", async ({
      box
    }) => {
      const page = randomBytes(4000).toString("hex")
      const socket = box.path("nginx.sock")
      await startNginx(
        box,
        `server { listen unix:${socket}; location / { add_header X-Connection $connection; default_type text/plain; return 200 ${page.slice(0, 3000)}; } }`
      )
      const { to } = await startServer(box, "--forward", `web=${socket}`)
      const { at } = await startTunnel(box, to)
      const requests = runs(400, 2000)
      const direct = await load({ path: socket }, requests, 8)
      const through = await load(
        { host: "127.0.0.1", port: Number(at.split(":").at(-1)) },
        requests,
        8
      )
      console.info(
        `nginx, 8 connections: ${direct.perSecond} requests per second, through the tunnel ${through.perSecond}`
      )
      expect(direct.bodies).toEqual(new Set([page.slice(0, 3000)]))
      expect(through.bodies).toEqual(direct.bodies)
      expect([direct.connections, through.connections]).toEqual([8, 8])
    })

    it("reads the PROXY header", async ({ box }) => {
      const socket = box.path("nginx.sock")
      await startNginx(
        box,
        `server { listen unix:${socket} proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_addr:$proxy_protocol_server_port"; } }`
      )
      const { to } = await startServer(box, "--forward", `web=${socket}`, "--proxy-protocol", "web")
      const reply = await box.run(["pipe", "--to", to], { stdin: "GET / HTTP/1.0\r\n\r\n" })
      expect(reply.stdout.toString().split("\r\n\r\n")[1]).toBe(`127.0.0.1 ${to}`)
    })
  })

  it.runIf(has("sshd") && has("ssh"))("ssh with pipe as its ProxyCommand", async ({ box }) => {
    for (const name of ["host", "client"])
      expect(
        (await box.runOther("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", box.path(name)]))
          .code
      ).toBe(0)
    const probe = net.createServer().listen(0, "127.0.0.1")
    await once(probe, "listening")
    const { port } = probe.address() as net.AddressInfo
    probe.close()
    box.write(
      "sshd_config",
      `ListenAddress 127.0.0.1:${port}\nHostKey ${box.path("host")}\nAuthorizedKeysFile ${box.path("client.pub")}\nStrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n`
    )
    const sshd = existsSync("/usr/sbin/sshd") ? "/usr/sbin/sshd" : "sshd"
    // As root, sshd needs this folder, which a boot with its service makes.
    if (process.geteuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
    const daemon = box.startOther(sshd, ["-D", "-e", "-f", box.path("sshd_config")])
    await daemon.until("sshd", ({ stderr }) => stderr.includes("Server listening"))
    const { to } = await startServer(box, "--forward", `ssh=127.0.0.1:${port}`)
    box.write("known", `target ${box.read("host.pub").toString()}`)
    const proxy = `${process.execPath} ${bin} pipe --to ${to} --key ${box.path("sealwire.key")}`
    const options = [
      `ProxyCommand=${proxy}`,
      `UserKnownHostsFile=${box.path("known")}`,
      "IdentitiesOnly=yes",
      "BatchMode=yes"
    ]
    const { code, stdout, stderr } = await box.runOther(
      "ssh",
      [
        "-F",
        "none",
        "-i",
        box.path("client"),
        ...options.flatMap((option) => ["-o", option]),
        "target",
        "cat; echo done; exit 7"
      ],
      { stdin: "through the pipe\n" }
    )
    expect([code, stdout.toString(), stderr]).toEqual([7, "through the pipe\ndone\n", ""])
  })
})

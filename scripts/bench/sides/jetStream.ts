// NATS JetStream with a file-backed stream: an acknowledgement for each publication corresponds to
// a receipt for each message. Implements the required part of the client protocol (docs.nats.io,
// "Client Protocol"; PubAck of ADR-1) on a socket, without a package.
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import net from "node:net"
import path from "node:path"
import { missingPrograms, start } from "../programs.ts"
import { secretsFolder } from "../secrets.ts"
import { freePort, listens } from "./tunnel.ts"
import { messageBytes, seconds, type Side } from "../Side.ts"

const { hostname: host, port } = new URL(process.env.NATS_URL ?? "nats://127.0.0.1:4222")
let at = { host, port: Number(port === "" ? 4222 : port) }

/** Returns why there is no NATS server with JetStream. */
export const missingJetStream = (): string | undefined =>
  spawnSync(process.execPath, ["-e", hello, at.host, String(at.port)], { timeout: 3000 }).status ===
  0
    ? undefined
    : `no NATS server with JetStream at ${at.host}:${at.port}`

/** A server that flushes each message before it acknowledges it. */
const configuration = (port: number, folder: string) => `
host: 127.0.0.1
port: ${port}
log_file: "${path.join(folder, "nats.log")}"
jetstream { store_dir: "${folder}", sync_interval: always }
`

/** Returns why no such server can be started. */
export const missingOwnServer = (): string | undefined => {
  const missing = missingPrograms(["nats-server"])
  if (missing !== undefined) return missing
  const file = path.join(secretsFolder(), "nats-check.conf")
  writeFileSync(file, configuration(4222, secretsFolder()))
  const { status, stderr } = spawnSync("nats-server", ["-t", "-c", file], { encoding: "utf8" })
  if (status === 0) return undefined
  const version = spawnSync("nats-server", ["--version"], { encoding: "utf8" }).stdout.trim()
  return /sync_interval/.test(stderr)
    ? `${version} does not have sync_interval; it needs 2.10`
    : `${version} refuses its configuration`
}

/** Starts such a server, with its files on the disk of this folder. */
const startOwnServer = async (): Promise<void> => {
  // Not in /tmp, which may be in memory.
  const folder = mkdtempSync(path.join(process.cwd(), "node_modules/.nats-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  at = { host: "127.0.0.1", port: await freePort() }
  const file = path.join(folder, "nats.conf")
  writeFileSync(file, configuration(at.port, folder))
  start("nats-server", ["-c", file])
  await listens(at.port, "nats-server")
}
const hello =
  "const [h, p] = process.argv.slice(1); const s = require('net').connect(p, h, () => {}); s.on('error', () => process.exit(1)); s.on('data', (d) => process.exit(/jetstream\":true/.test(d) ? 0 : 1))"

const remove =
  "const [h, p, s] = process.argv.slice(1); const c = require('net').connect(p, h); c.write('CONNECT {\"verbose\":false}\\r\\nSUB i 1\\r\\nPUB $JS.API.STREAM.DELETE.' + s + ' i 0\\r\\n\\r\\n'); c.on('data', (d) => /MSG/.test(d) && process.exit())"

/** The limit of unacknowledged messages: 16 batches of 1,000, as for Sealwire. */
const inFlight = 16_000

/** Connects and passes on the text of each message to the inbox of the connection. */
const connect = async (heard: (text: string) => void) => {
  const socket = net.connect(at)
  const inbox = `_INBOX.${randomBytes(8).toString("hex")}`
  let rest = ""
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    rest += chunk
    let from = 0
    for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n", from)) {
      const line = rest.slice(from, end)
      if (line.startsWith("-ERR")) throw new Error(`NATS: ${line}`)
      if (line === "PING") socket.write("PONG\r\n")
      const length = line.startsWith("MSG ") ? Number(line.split(" ").at(-1)) : undefined
      if (length !== undefined && rest.length < end + 2 + length + 2) break
      if (length !== undefined) heard(rest.slice(end + 2, end + 2 + length))
      from = end + 2 + (length === undefined ? 0 : length + 2)
    }
    rest = rest.slice(from)
  })
  await new Promise((done, fail) => socket.once("connect", done).once("error", fail))
  socket
    .setNoDelay(true)
    .write(`CONNECT {"verbose":false,"pedantic":false}\r\nSUB ${inbox}.* 1\r\n`)
  return { socket, inbox }
}

const ask = async (subject: string, body: string): Promise<void> => {
  let answer = (_text: string) => {}
  const answered = new Promise<string>((done) => (answer = done))
  const { socket, inbox } = await connect(answer)
  socket.write(`PUB ${subject} ${inbox}.0 ${body.length}\r\n${body}\r\n`)
  const text = await answered
  socket.end()
  if (text.includes('"error"')) throw new Error(`NATS: ${text}`)
}

const stream = `sealwire-bench-${process.ppid}`

/** The server of NATS_URL, or one of our own. */
export const jetStream = (server: "given" | "own"): Side => ({
  messages: {
    serve: async () => {
      if (server === "own") await startOwnServer()
      await ask(
        `$JS.API.STREAM.CREATE.${stream}`,
        JSON.stringify({ name: stream, subjects: [stream], storage: "file" })
      )
      // An exit handler cannot await an answer: a separate process deletes the stream.
      process.once("exit", () =>
        spawnSync(process.execPath, ["-e", remove, at.host, String(at.port), stream], {
          timeout: 3000
        })
      )
      return at.port
    },
    run: async (port, amount) => {
      at = { host: server === "own" ? "127.0.0.1" : at.host, port }
      let [sent, acknowledged] = [0, 0]
      let finish = () => {}
      const finished = new Promise<void>((done) => (finish = done))
      const { socket, inbox } = await connect((text) => {
        if (!text.includes('"seq"')) throw new Error(`NATS: ${text}`)
        if (++acknowledged === amount) finish()
        else if (sent - acknowledged <= inFlight - 1000) more()
      })
      const publication = (count: number) =>
        `PUB ${stream} ${inbox}.${count} ${messageBytes}\r\n${"x".repeat(messageBytes)}\r\n`
      const more = () => {
        const frames: Array<string> = []
        for (const until = Math.min(amount, sent + 1000); sent < until; sent++)
          frames.push(publication(sent))
        if (frames.length > 0) socket.write(frames.join(""))
      }
      const took = await seconds(async () => {
        for (let batch = 0; batch < inFlight / 1000; batch++) more()
        await finished
      })
      socket.end()
      return { seconds: took }
    }
  }
})

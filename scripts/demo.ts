// The demonstration of `npm start`: server and client in two processes, and the bytes on the wire
// between them. Deletes its files when it ends.
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"

const command = path.resolve(import.meta.dirname, "../dist/sealwire.js")
const folder = mkdtempSync(path.join(tmpdir(), "sealwire-demo-"))
const running = new Set<ChildProcess>()

// Exits silently when the reader does, as in `npm start | head`.
process.stdout.on("error", () => process.exit(141))

const cleanUp = () => {
  for (const child of running) child.kill()
  rmSync(folder, { recursive: true, force: true })
}
process.on("exit", cleanUp)
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => process.exit(signal === "SIGINT" ? 130 : 143))

/** The command ended before the expected event, which is the cause. */
class EndedEarly extends Error {}

/** Runs the command in the folder of the demonstration, and reads its JSON events. */
const run = (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [command, ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"]
  })
  running.add(child)
  child.once("exit", () => running.delete(child))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (wanted: string): Promise<Record<string, string>> => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      const event = JSON.parse(line.value) as Record<string, string>
      if (event.event === wanted) return event
    }
    throw new EndedEarly(`sealwire ${args.join(" ")} ended without "${wanted}"`, { cause: wanted })
  }
  return { child, next }
}

/** The origin's port, or the next free one. */
const freePort = async (port: number): Promise<number> => {
  const probe = net.createServer().listen(port, "127.0.0.1")
  const free = await once(probe, "listening").then(
    () => true,
    () => false
  )
  probe.close()
  if (free) return port
  console.log(`port ${port} is in use; trying ${port + 1}`)
  return freePort(port + 1)
}

const spaced = (hex = "") => hex.replace(/(..)(?=.)/g, "$1 ")

const classic = async (address: string) => {
  console.log(`the origin's system: AES-128-CBC with a fixed key file, over TCP at ${address}\n`)
  const server = run("classic", "serve", "--listen", address, "--once", "--json", "--wire")
  const made = await server.next("key-created")
  console.log(`  server  created ${made.key}, is listening`)
  await server.next("server-listening")
  const client = run("classic", "send", "--to", address, "--json", "--wire")
  const [sent, got] = await Promise.all([
    client.next("message-sent"),
    server.next("message-received")
  ])
  console.log(`  client  sends "Hello Server!" as ${sent.wireBytes} bytes:`)
  console.log(`          ${spaced(sent.wire)}`)
  console.log(`  server  receives:`)
  console.log(`          ${spaced(got.wire)}`)
  console.log(`  server  decrypts them: ${got.text}`)
  if (sent.wire !== got.wire || got.text !== "Hello Server!")
    throw new Error("the two sides disagree")
  const [code] =
    server.child.exitCode === null ? await once(server.child, "exit") : [server.child.exitCode]
  if (code !== 0) throw new Error(`the server exited with ${code}`)
}

/** A proxy that records the bytes in both directions. */
const recordingProxy = async (to: number) => {
  const seen: Array<{ readonly direction: "->" | "<-"; readonly bytes: Buffer }> = []
  const server = net.createServer((near) => {
    const far = net.connect(to, "127.0.0.1")
    near.on("data", (bytes) => seen.push({ direction: "->", bytes }))
    far.on("data", (bytes) => seen.push({ direction: "<-", bytes }))
    near.pipe(far)
    far.pipe(near)
    for (const socket of [near, far]) socket.on("error", () => socket.destroy())
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return { seen, server, port: (server.address() as net.AddressInfo).port }
}

const channel = async (port: number) => {
  console.log(`the channel: Noise with a shared key, over TCP at 127.0.0.1:${port}\n`)
  const server = run("serve", "--listen", `127.0.0.1:${port}`, "--json")
  const made = await server.next("key-created")
  console.log(`  server  created ${made.key}, is listening`)
  await server.next("server-listening")
  const proxy = await recordingProxy(port)
  const client = run("send", "--to", `127.0.0.1:${proxy.port}`, "--json")
  const [delivered, got] = await Promise.all([
    client.next("messages-delivered"),
    server.next("message-received")
  ])
  console.log(`  client  sends "Hello Server!"; an observer sees:`)
  for (const { direction, bytes } of proxy.seen) {
    const start = spaced(bytes.subarray(0, 20).toString("hex"))
    console.log(
      `          ${direction} ${String(bytes.length).padStart(3)} bytes  ${start}${bytes.length > 20 ? " …" : ""}`
    )
  }
  console.log(`  server  decrypts them: ${got.text}`)
  console.log(`  client  received the server's acknowledgement (${delivered.suite})\n`)
  if (got.text !== "Hello Server!" || proxy.seen.some(({ bytes }) => bytes.includes("Hello")))
    throw new Error("the server did not receive the message, or an observer could read it")
  proxy.server.close()
  server.child.kill()
  await once(server.child, "exit")
}

/**
 * Retries with the next port: another program may take one between the check and its use. Returns
 * the port.
 */
const atFreePort = async (
  first: number,
  show: (port: number) => Promise<void>,
  keyFile: string
): Promise<number> => {
  const port = await freePort(first)
  try {
    await show(port)
    return port
  } catch (error) {
    if (!(error instanceof EndedEarly) || error.cause !== "server-listening" || port > first + 20)
      throw error
    console.log(`port ${port} was taken in the meantime; trying ${port + 1}\n`)
    rmSync(path.join(folder, keyFile))
    return atFreePort(port + 1, show, keyFile)
  }
}

try {
  const port = await atFreePort(8080, channel, "sealwire.key")
  await atFreePort(port, (free) => classic(`127.0.0.1:${free}`), "aes_key.bin")
  console.log('\nnext: npm start -- serve   and, in another terminal:   npm start -- send "hello"')
  console.log("      npm start -- --help")
} catch (error) {
  console.error(`sealwire demo: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

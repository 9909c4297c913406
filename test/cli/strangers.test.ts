// What a server says about strangers: one line for each source and reason, with the key that was
// refused, and nothing about connections that are closed without a byte.
import { createConnection } from "node:net"
import { describe, expect } from "vitest"
import { eventsOf, it, type Box } from "./Sealwire.ts"

const serveWith = async (box: Box, ...args: ReadonlyArray<string>) => {
  await box.run(["keygen", "identity", "-o", "./server.key"])
  const { stdout } = await box.run(["pubkey", "--identity", "./server.key"])
  box.write("peers", "# nobody yet\n")
  const flags = ["--identity", "./server.key", "--authorized-peers", "./peers", ...args]
  const server = await box.listen(["serve", "--listen", "127.0.0.1:0", ...flags])
  const serverKey = stdout.toString().trim()
  const send = (...own: ReadonlyArray<string>) =>
    box.run(["send", "--to", server.address, "--peer", serverKey, "--retry", "0", ...own, "text"])
  return { server, send }
}

/** Connects, sends these bytes and closes. */
const touch = (address: string, bytes: string) =>
  new Promise<void>((resolve) => {
    const port = Number(address.split(":").at(-1))
    const socket = createConnection(port, "127.0.0.1", () => socket.end(bytes))
    socket.resume()
    socket.once("close", () => resolve())
    // The server resets what it refuses.
    socket.once("error", () => {})
  })

describe("strangers", () => {
  it("have one line, which names the key and the command that allows it", async ({ box }) => {
    const { server, send } = await serveWith(box)
    await box.run(["keygen", "identity"])
    const key = (await box.run(["pubkey"])).stdout.toString().trim()
    const fingerprint = (await box.run(["fingerprint", key])).stdout.toString().trim().split(" ")[0]
    for (let count = 0; count < 3; count++) expect((await send()).code).toBe(4)
    await touch(server.address, "GET / HTTP/1.1\r\n\r\n".repeat(20))
    await server.until("the refusal", ({ stderr }) => stderr.includes("not the Sealwire protocol"))
    const lines = server.stderr.split("\n").filter((line) => line.includes("refused"))
    expect(lines.map((line) => line.replace(/:\d{4,5}/, ":PORT"))).toEqual([
      `sealwire: warning: refused 127.0.0.1:PORT: its key is not in authorized_peers (${fingerprint}; to allow it: sealwire peers add NAME ${key})`,
      "sealwire: warning: refused 127.0.0.1:PORT: it closed the connection",
      "sealwire: warning: refused 127.0.0.1:PORT: not the Sealwire protocol"
    ])
  })

  it("do not hide each other's keys behind one address", async ({ box }) => {
    const { server, send } = await serveWith(box)
    const keys: Array<string> = []
    for (const name of ["one", "two"]) {
      await box.run(["keygen", "identity", "-o", `./${name}.key`])
      keys.push((await box.run(["pubkey", "--identity", `./${name}.key`])).stdout.toString().trim())
      expect((await send("--identity", `./${name}.key`)).code).toBe(4)
    }
    for (const key of keys)
      expect(server.stderr).toContain(`to allow it: sealwire peers add NAME ${key})`)
  })

  it("have one event, which counts", async ({ box }) => {
    const { server, send } = await serveWith(box, "--json")
    await box.run(["keygen", "identity"])
    for (let count = 0; count < 3; count++) expect((await send()).code).toBe(4)
    const refused = eventsOf(server.stdout).filter(({ event }) => event === "connection-refused")
    // The second is of the client's question for the server's key, when it was refused.
    expect(refused).toMatchObject([
      { reason: "its key is not in authorized_peers", count: 1 },
      { reason: "it closed the connection", count: 1 }
    ])
    expect(refused[0]).toHaveProperty("fingerprint")
  })

  it("that close without a byte are logged at level debug alone", async ({ box }) => {
    const { server } = await serveWith(box)
    for (let count = 0; count < 3; count++) await touch(server.address, "")
    await touch(server.address, "GET / HTTP/1.1\r\n\r\n".repeat(20))
    await server.until("the refusal", ({ stderr }) => stderr.includes("refused"))
    expect(server.stderr.split("\n").filter((line) => line.includes("127.0.0.1:"))).toHaveLength(2)
  })
})

describe("one client", () => {
  it("has as many connections as --peer-connections says", async ({ box }) => {
    const flags = ["--peer-connections", "1", "--log-level", "debug"]
    const server = await box.listen(["serve", "--listen", "127.0.0.1:0", ...flags])
    box.start(["send", "--to", server.address, "--lines"], { stdin: "open" })
    await server.until("the session", ({ stderr }) => stderr.includes("session started"))
    const second = await box.run(["send", "--to", server.address, "--retry", "0", "two"])
    expect([second.code, second.stderr]).toEqual([
      8,
      expect.stringContaining(
        "refused the request: its rules for this key do not allow it, or not now"
      )
    ])
    await server.until("the refusal", ({ stderr }) =>
      stderr.includes(": it already has as many connections as one peer may have: 1")
    )
  })

  it("has a size of memory that is checked", async ({ box }) => {
    const result = await box.run(["serve", "--peer-memory", "10T"])
    expect([result.code, result.stderr]).toEqual([
      2,
      expect.stringContaining('--peer-memory: "10T" is not a size; write bytes: 500K, 10M')
    ])
  })
})

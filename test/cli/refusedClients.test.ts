// What a client says when the other side does not take it: each cause that a client can tell has its
// own advice, and the advice works.
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { describe, expect } from "vitest"
import { it, type Box } from "./Sealwire.ts"

/** A program of another protocol, which answers what it gets with these bytes. */
const answering = async (box: Box, answer: string): Promise<string> => {
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", () => socket.end(answer, "latin1"))
  })
  box.defer(() => new Promise((resolve) => server.close(resolve)))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The commands of a client, without the address and the key. */
const clients: ReadonlyArray<ReadonlyArray<string>> = [
  ["send", "hello"],
  ["send", "--reply", "hello"],
  ["push", "./file"],
  ["pull", "file", "--into", "."],
  ["pipe"],
  ["tunnel", "--listen", "127.0.0.1:0"]
]

describe("a port of another program", () => {
  it("is named as such by each command", async ({ box }) => {
    box.write("file", "content")
    expect((await box.run(["keygen", "-o", "./shared.key"])).code).toBe(0)
    const address = await answering(box, "HTTP/1.1 400 Bad Request\r\n\r\n")
    for (const [name = "", ...args] of clients) {
      const place = [name === "pull" ? "--from" : "--to", address]
      const { code, stderr } = await box.run([name, ...args, ...place, "--key", "./shared.key"])
      expect([name, code, stderr]).toEqual([
        name,
        4,
        `sealwire: ${address} is not a Sealwire server (it answers in HTTP); check the address and the port\n`
      ])
    }
  }, 90_000)
})

describe("a server that refuses an identity", () => {
  /** A server with an identity that authorizes nobody yet, and a client that has pinned it. */
  const start = async (box: Box, ...args: ReadonlyArray<string>) => {
    for (const name of ["server", "client"])
      expect((await box.run(["keygen", "identity", "-o", `./${name}.key`])).code).toBe(0)
    box.write("authorized", "")
    const key = (await box.run(["pubkey", "--identity", "./server.key"])).stdout.toString().trim()
    const server = await box.listen([
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--identity",
      "./server.key",
      "--authorized-peers",
      "./authorized",
      ...args
    ])
    const send = (...more: ReadonlyArray<string>) =>
      box.run(["send", "hi", "--to", server.address, "--identity", "./client.key", ...more])
    return { server, key, send }
  }

  it("makes the client show its key, and the command that authorizes it", async ({ box }) => {
    const { key, send, server } = await start(box)
    const own = (await box.run(["pubkey", "--identity", "./client.key"])).stdout.toString().trim()
    for (const how of [["--peer", key], ["--accept-new"]]) {
      const { code, stderr } = await send(...how)
      expect([how, code]).toEqual([how, 4])
      expect(stderr).toContain(`${server.address} proved its own key and refused ours`)
      expect(stderr).toMatch(/it does not authorize your key SHA256:\S{43}, or not from here/)
      expect(stderr).toContain(`(there: sealwire peers add NAME ${own})`)
      expect(stderr.trimEnd().split("\n").length).toBe(1)
    }
    const advised = /\(there: sealwire (peers add NAME sealwire1\w+)\)/.exec(
      (await send("--peer", key)).stderr
    )?.[1]
    const words = advised?.replace("NAME", "laptop").split(" ") ?? []
    expect((await box.run([...words, "--authorized-peers", "./authorized"])).code).toBe(0)
    // The server follows the file.
    await expect.poll(async () => (await send("--peer", key)).code, { timeout: 10_000 }).toBe(0)
  }, 90_000)

  it("differs from a server of another name", async ({ box }) => {
    const { key, send } = await start(box, "--server-name", "mail")
    for (const how of [["--peer", key], ["--accept-new"]]) {
      const { code, stderr } = await send(...how)
      expect([how, code]).toEqual([how, 4])
      expect(stderr).toContain("probable causes: it has another --server-name\n")
      expect(stderr).not.toContain("peers add")
    }
    expect((await send("--peer", key, "--server-name", "mail")).stderr).toContain("peers add NAME")
  }, 90_000)
})

// Listening sockets that the process inherits: systemd socket activation (sd_listen_fds(3)), and
// plain descriptors.
import { once } from "node:events"
import { linkSync, unlinkSync } from "node:fs"
import net from "node:net"
import { describe, expect } from "vitest"
import { bin, eventsOf, it, listening as untilListening, type Box } from "./Sealwire.ts"

/** A listening socket of the test, and its descriptor. */
const listening = async (box: Box, at: net.ListenOptions) => {
  const server = net.createServer().listen(at)
  await once(server, "listening")
  box.defer(() => server.close())
  return {
    server,
    fd: (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd
  }
}

/** Starts `serve` with these descriptors as 3, 4 … and LISTEN_PID, as systemd does. */
const activated = (
  box: Box,
  listen: string,
  fds: ReadonlyArray<number>,
  env: Readonly<Record<string, string>>,
  pid = "$$"
) =>
  box.startOther(
    "bash",
    [
      "-c",
      `LISTEN_PID=${pid} exec "$0" "$@"`,
      process.execPath,
      bin,
      "serve",
      "--json",
      "--listen",
      listen
    ],
    { env: { LISTEN_FDS: String(fds.length), ...env }, stdio: ["ignore", "pipe", "pipe", ...fds] }
  )

describe("an inherited socket", () => {
  it("named by systemd is served, TCP and Unix, with the connections that arrived before the server", async ({
    box
  }) => {
    expect((await box.run(["keygen"])).code).toBe(0)
    for (const name of ["mail", "local"] as const) {
      const tcp = await listening(box, { host: "127.0.0.1", port: 0 })
      const unix = await listening(box, { path: box.path(`${name}.socket`) })
      const { port } = tcp.server.address() as net.AddressInfo
      const to = name === "mail" ? `127.0.0.1:${port}` : box.path("given.socket")
      const server = activated(box, `systemd:${name}`, [tcp.fd, unix.fd], {
        LISTEN_FDNAMES: "mail:local"
      })
      // Closing removes the file of a Unix socket; its hard link stays.
      linkSync(box.path(`${name}.socket`), box.path("given.socket"))
      for (const { server: mine } of [tcp, unix]) mine.close()
      const sent = await box.run(["send", "--to", to, name])
      expect([name, sent.code, sent.stderr]).toEqual([name, 0, ""])
      expect(
        eventsOf(server.stdout).find(({ event }) => event === "message-received")
      ).toMatchObject({
        text: name
      })
      server.kill("SIGTERM")
      expect(await server.exited()).toBe(0)
      unlinkSync(box.path("given.socket"))
    }
  })

  it("is served by its descriptor", async ({ box }) => {
    const { server: mine, fd } = await listening(box, { host: "127.0.0.1", port: 0 })
    expect((await box.run(["keygen"])).code).toBe(0)
    const server = box.start(["serve", "--json", "--listen", "fd:3"], {
      stdio: ["ignore", "pipe", "pipe", fd]
    })
    const { port } = mine.address() as net.AddressInfo
    // From here on only the server holds it.
    mine.close()
    await untilListening(server)
    expect((await box.run(["send", "--to", `127.0.0.1:${port}`])).code).toBe(0)
  })

  it("that is missing, has another name, is not a socket or is for another process is reported in one line", async ({
    box
  }) => {
    const { fd } = await listening(box, { host: "127.0.0.1", port: 0 })
    const names = { LISTEN_FDNAMES: "mail" }
    const outcomeOf = async (running: ReturnType<typeof activated>) => {
      const { code, stdout } = await running.ended()
      return [code, eventsOf(stdout).length, running.stderr.trim()]
    }
    const refused = (listen: string, detail: string) =>
      JSON.stringify({
        event: "error",
        code: "ListenFailed",
        message: `cannot listen at ${listen}: ${detail}`,
        exit: 2
      })
    expect((await box.run(["keygen"])).code).toBe(0)
    expect(await outcomeOf(activated(box, "systemd:web", [fd], names))).toEqual([
      2,
      0,
      refused("systemd:web", "systemd passed no socket of that name; it passed mail")
    ])
    expect(await outcomeOf(activated(box, "systemd:mail", [fd], names, "1"))).toEqual([
      2,
      0,
      refused(
        "systemd:mail",
        "systemd passed no sockets to this process; is it started by a .socket unit?"
      )
    ])
    expect((await outcomeOf(activated(box, "fd:9", [fd], names)))[0]).toBe(2)
    const to = await box.run(["send", "--to", "systemd:mail"])
    expect([to.code, to.stderr]).toEqual([
      2,
      "sealwire: --to: an inherited socket can only listen; write host:port or the path of a socket; see: sealwire send --help\n"
    ])
  })
})

// The page of metrics: promtool, the checker of Prometheus, accepts it, and it counts what happens.
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "vitest"
import { metrics } from "../../src/services/builtin/index.ts"
import { it, type Box } from "./Sealwire.ts"

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0

const freePort = async (): Promise<number> => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const pageOf = async (port: number): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/metrics`)).text()

/** The samples of a page, by name and labels. */
const samplesOf = (page: string): ReadonlyMap<string, number> =>
  new Map(
    page
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const at = line.lastIndexOf(" ")
        return [line.slice(0, at), Number(line.slice(at + 1))] as const
      })
  )

/** A server with every service, and a tunnel to it; returns their pages after some work. */
const pagesOf = async (box: Box) => {
  // Metrics are those of a process.
  box.useProcesses("serve")
  mkdirSync(box.path("files"))
  const [serverPort, tunnelPort] = [await freePort(), await freePort()]
  const server = await box.listen([
    ..."serve --listen 127.0.0.1:0 --inbox ./inbox.db --files ./files --forward t=127.0.0.1:9".split(
      " "
    ),
    "--metrics",
    `127.0.0.1:${serverPort}`
  ])
  const tunnel = box.start(
    [
      ..."tunnel --json --listen 127.0.0.1:0 --metrics".split(" "),
      `127.0.0.1:${tunnelPort}`,
      "--to",
      server.address
    ],
    { process: true }
  )
  await tunnel.until("the tunnel", ({ stdout }) => stdout.includes("tunnel-listening"))
  expect((await box.run(["send", "--to", server.address, "one", "two"])).code).toBe(0)
  box.write("file", "content")
  expect((await box.run(["push", "./file", "--to", server.address])).code).toBe(0)
  // The target refuses: a failed session.
  expect((await box.run(["pipe", "--to", server.address])).code).toBe(5)
  await sleep(100)
  return [await pageOf(serverPort), await pageOf(tunnelPort)] as const
}

/** The same pages for both tests. */
let pages: ReturnType<typeof pagesOf> | undefined

it.skipIf(!hasPromtool)(
  "promtool accepts the metrics of a server and of a tunnel",
  async ({ box }) => {
    const both = await (pages ??= pagesOf(box))
    for (const page of both) {
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
        input: page
      })
      expect([status, stdout.toString(), stderr.toString()]).toEqual([0, "", ""])
    }
    // The checker finds what is wrong.
    const wrong = both[0].replaceAll("sealwire_messages_total", "sealwire_messages")
    expect(spawnSync("promtool", ["check", "metrics"], { input: wrong }).status).not.toBe(0)
  }
)

it("the metrics count what was done, in seconds and cumulative buckets", async ({ box }) => {
  const [server, tunnel] = await (pages ??= pagesOf(box))
  const samples = samplesOf(server)
  for (const { name } of [metrics.server.handshake, metrics.message.receipt]) {
    const buckets = [...samples].filter(([sample]) => sample.startsWith(`${name}_bucket{`))
    const counts = buckets.map(([, count]) => count)
    expect(buckets.length).toBeGreaterThan(8)
    expect(counts).toEqual(counts.toSorted((one, other) => one - other))
    expect([name, counts.at(-1)]).toEqual([name, samples.get(`${name}_count`)])
    expect(buckets.at(-1)?.[0]).toBe(`${name}_bucket{le="+Inf"}`)
    expect(samples.get(`${name}_sum`)).toBeGreaterThan(0)
  }
  // send, push, pipe, and the channels of the tunnel.
  expect(samples.get("sealwire_handshake_seconds_count")).toBeGreaterThanOrEqual(4)
  expect(samples.get("sealwire_receipt_seconds_count")).toBeGreaterThanOrEqual(1)
  expect(samples.get("sealwire_messages_total")).toBe(2)
  expect(samples.get("sealwire_files_stored_total")).toBe(1)
  expect(server).toMatch(/\nsealwire_build_info\{version="\d+\.\d+\.\d+[^"]*",node="\d[^"]*"\} 1\n/)
  expect(samplesOf(tunnel).get('sealwire_up{reason="ready"}')).toBe(1)
})

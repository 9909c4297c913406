// A balancer forwards the first connections to a dead server: they are accepted and closed without
// a byte.
import { randomBytes } from "node:crypto"
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net"
import { readFileSync } from "node:fs"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { eventsOf, it, type Box } from "./Sealwire.ts"

const giveKey = (box: Box, name = "sealwire.key") =>
  box.write(name, KeyText.encode(SharedKey, new Secret(randomBytes(32))))

const atFirstByte = (near: Socket) => near.once("data", () => near.resetAndDestroy())

const failures: Readonly<Record<string, (near: Socket) => unknown>> = {
  "is reset at once": (near) => near.resetAndDestroy(),
  "is closed at once": (near) => near.end(),
  "is reset at the first byte": atFirstByte,
  "is closed at the first byte": (near) => near.once("data", () => near.end())
}

/** Drops the first connections and forwards the rest to a server. */
const balancer = async (box: Box, fail: (near: Socket) => unknown, dead: number, to: string) => {
  let came = 0
  const server = createServer((near) => {
    near.on("error", () => {})
    if (came++ < dead) return void fail(near)
    const far = createConnection({ path: box.path(to) })
    far.on("error", () => near.destroy())
    near.on("close", () => far.destroy())
    far.on("close", () => near.destroy())
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  box.defer(() => server.close())
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get came() {
      return came
    }
  }
}

const serve = async (box: Box, ...args: ReadonlyArray<string>) => {
  giveKey(box)
  return box.listen(["serve", "--listen", "unix:./s.sock", "--json", ...args])
}

describe("a first connection to a dead server", () => {
  it.for(Object.entries(failures))("%s: is retried with --retry", async ([, fail], { box }) => {
    const server = await serve(box)
    const balanced = await balancer(box, fail, 3, "s.sock")
    const { code, stderr } = await box.run([
      "send",
      "after all",
      "--to",
      balanced.address,
      "--retry",
      "1m"
    ])
    expect([code, balanced.came]).toEqual([0, 4])
    expect(stderr.split("\n").filter((line) => /; retrying in \d\.\d s$/.test(line)).length).toBe(3)
    expect(
      eventsOf(server.stdout).filter(({ event }) => event === "message-received")
    ).toMatchObject([{ text: "after all" }])
  })

  it("is retried by push, too", async ({ box }) => {
    await serve(box, "--files", ".")
    box.write("plan.txt", "the plan")
    const balanced = await balancer(box, (near) => near.resetAndDestroy(), 2, "s.sock")
    const { code } = await box.run([
      "push",
      "plan.txt",
      "--as",
      "copy.txt",
      "--to",
      balanced.address,
      "--retry",
      "1m"
    ])
    expect([code, balanced.came]).toEqual([0, 3])
    expect(readFileSync(box.path("copy.txt"), "utf8")).toBe("the plan")
  })

  it("does not end a tunnel that is starting", async ({ box }) => {
    await serve(box, "--forward", "echo=127.0.0.1:9")
    const balanced = await balancer(box, atFirstByte, 1, "s.sock")
    const tunnel = box.start(["tunnel", "--listen", "unix:./t.sock", "--to", balanced.address])
    await tunnel.until("the tunnel", ({ stderr }) => stderr.includes("forwarding unix:"))
    await tunnel.until("the server, again", ({ stderr }) => stderr.includes("re-established"))
    expect(balanced.came).toBeGreaterThan(1)
  })

  it("ends the command without --retry, as a failed handshake does", async ({ box }) => {
    giveKey(box)
    const balanced = await balancer(box, atFirstByte, 9, "nowhere")
    const { code, stderr } = await box.run(["send", "x", "--to", balanced.address])
    expect([code, balanced.came]).toEqual([5, 1])
    expect(stderr).toBe(
      `sealwire: ${balanced.address} closed the connection sooner than a server that refuses a client (it closed the connection); ` +
        "it may be stopping or full, or a proxy without its server; try again\n"
    )
  })

  it("ends the command at the deadline when no server responds", async ({ box }) => {
    giveKey(box)
    const balanced = await balancer(box, atFirstByte, Infinity, "nowhere")
    const { code, stderr } = await box.run(["send", "x", "--to", balanced.address, "--retry", "1s"])
    expect(code).toBe(5)
    expect(stderr).toMatch(/closed the connection sooner than a server that refuses[^\n]*\n$/)
    expect(balanced.came).toBeGreaterThan(1)
  })

  it("differs from a server that refuses the key, which ends the command at once", async ({
    box
  }) => {
    await serve(box)
    giveKey(box, "other.key")
    const balanced = await balancer(box, (near) => near.resetAndDestroy(), 0, "s.sock")
    const { code } = await box.run([
      "send",
      "x",
      "--key",
      "./other.key",
      "--to",
      balanced.address,
      "--retry",
      "1h"
    ])
    expect([code, balanced.came]).toEqual([4, 1])
  })
})

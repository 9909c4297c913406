// An inbox on a full disk: what fills it with messages leaves room to work through them, and what
// fills it with other files is named, with the space that is missing.
import { rmSync, writeFileSync } from "node:fs"
import { expect } from "vitest"
import { eventsOf, it, type Box, type Server } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

const inbox = ["--inbox", "./disk/inbox.db"]
const text = "x".repeat(30_000)
const advice = /message refused: \.\/disk\/inbox\.db: the disk is full: free [\d,]+ KiB on it/

/** Sends messages until one is refused, and returns the number of those that were not. */
const fill = async (box: Box, server: Server): Promise<number> => {
  for (let sent = 0; ; sent++) {
    const { code, stderr } = await box.run(["send", text, "--to", server.address, "--retry", "0"])
    if (code === 0) continue
    expect([code, stderr]).toEqual([5, expect.stringContaining("try again later")])
    return sent
  }
}

/** Waits until messages are older than a second. */
const old = () => new Promise((resolve) => setTimeout(resolve, 1100))

const serve = (box: Box) => box.listen(["serve", "--listen", "127.0.0.1:0", ...inbox])

const pending = async (box: Box): Promise<number> =>
  eventsOf((await box.run(["inbox", "list", ...inbox, "--json"])).stdout).length

it.skipIf(!canMount).for([
  ["take --ack", ["take", "--ack", "--count", "100"]],
  ["take --exec", ["take", "--exec", "cat >/dev/null"]],
  ["prune", ["prune", "--unread", "--older", "1s"]]
] as const)(
  "an inbox that has filled its disk is emptied by inbox %s, and filled again",
  async ([, command], { box, skip }) => {
    if (smallDisk(box, "2m") === undefined) return skip("no file system can be mounted here")
    const server = await serve(box)
    const count = await fill(box, server)
    expect(count).toBeGreaterThan(10)
    expect(server.stderr).toMatch(advice)
    await old()
    const emptied = await box.run(["inbox", ...command, ...inbox])
    expect([emptied.code, emptied.stderr]).toEqual([0, expect.not.stringContaining("full")])
    expect(await pending(box)).toBe(0)
    expect(await fill(box, server)).toBeGreaterThan(10)
  }
)

it.skipIf(!canMount)(
  "an inbox whose disk others have filled changes nothing, and says how much space is missing",
  async ({ box, skip }) => {
    const disk = smallDisk(box, "2m")
    if (disk === undefined) return skip("no file system can be mounted here")
    const server = await serve(box)
    expect((await box.run(["send", text, "--to", server.address])).code).toBe(0)
    server.kill("SIGTERM")
    await server.ended()
    expect(() => writeFileSync(`${disk}/ballast`, Buffer.alloc(3_000_000))).toThrow("ENOSPC")
    await old()
    for (const command of [
      ["take", "--ack"],
      ["take", "--exec", "true"],
      ["prune", "--unread", "--older", "1s"]
    ]) {
      const { code, stdout, stderr } = await box.run(["inbox", ...command, ...inbox])
      expect([command, code, stdout.length]).toEqual([command, 5, 0])
      expect(stderr).toMatch(
        /^sealwire: inbox unavailable: \.\/disk\/inbox\.db: the disk is full: free \d+ KiB on it; try again later\n$/
      )
    }
    rmSync(`${disk}/ballast`)
    expect(await pending(box)).toBe(1)
    expect((await box.run(["inbox", "take", "--ack", ...inbox])).stdout.toString()).toBe(text)
  }
)

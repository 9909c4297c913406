// Large files, many files, and kills at fifty points: every file is stored, and few bytes are sent twice.
import { createHash, randomBytes } from "node:crypto"
import {
  createReadStream,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import path from "node:path"
import { pipeline } from "node:stream/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { eventsOf, it, type Box } from "../cli/Sealwire.ts"

const MiB = 1024 * 1024
const minutes = 60_000

const serve = async (box: Box, port = 0) => {
  mkdirSync(box.path("store"), { recursive: true })
  const server = box.start(["serve", "--listen", `127.0.0.1:${port}`, "--files", "./store"])
  const address = await server.until(
    "the listening line",
    ({ stderr }) => /listening on (\S+) /.exec(stderr)?.[1]
  )
  return Object.assign(server, { address, port: Number(address.split(":").at(-1)) })
}

const hash = async (file: string): Promise<string> => {
  const digest = createHash("sha256")
  await pipeline(createReadStream(file, { highWaterMark: MiB }), digest)
  return digest.digest("hex")
}

const partialBytes = (folder: string): number =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".part"))
    .reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0)

describe("a transfer", () => {
  it.each(["client", "server"])(
    "of 1 GiB whose %s is killed at fifty points sends at most 64 MiB twice per kill",
    { timeout: 15 * minutes },
    async (side) => {
      const { Box } = await import("../cli/Sealwire.ts")
      const box = new Box()
      box.useProcesses()
      try {
        const fd = openSync(box.path("big"), "w")
        const piece = randomBytes(MiB)
        for (let index = 0; index < 1024; index++) {
          piece.writeUInt32BE(index)
          writeSync(fd, piece)
        }
        closeSync(fd)
        const wanted = await hash(box.path("big"))
        let server = await serve(box)
        const points = Array.from({ length: 50 }, () => Math.random() * 1000 * MiB).sort(
          (a, b) => a - b
        )
        for (const point of points) {
          const push = box.start(["push", "big", "--to", server.address, "--retry", "0"])
          while (partialBytes(box.path("store")) < point && push.alive) await sleep(1)
          const killed = side === "client" ? push : server
          killed.kill("SIGKILL")
          await killed.exited()
          await push.exited(20_000)
          if (side === "server") server = await serve(box, server.port)
        }
        const there = partialBytes(box.path("store"))
        const last = await box
          .start(["push", "big", "--to", server.address, "--json"])
          .ended(2 * minutes)
        expect(last.code).toBe(0)
        expect(Number(eventsOf(last.stdout).at(-1)?.transferredBytes)).toBeLessThanOrEqual(
          1024 * MiB - there + 64 * MiB
        )
        expect(await hash(box.path("store/big"))).toBe(wanted)
        expect(readdirSync(box.path("store"))).toEqual(["big"])
      } finally {
        await box.cleanUp()
      }
    }
  )

  it("of a sparse file of 8 GiB stays sparse", { timeout: 5 * minutes }, async ({ box }) => {
    writeFileSync(box.path("sparse"), "beginning")
    truncateSync(box.path("sparse"), 8192 * MiB)
    const server = await serve(box)
    const ended = await box
      .start(["push", "sparse", "--to", server.address, "--json"])
      .ended(4 * minutes)
    expect(ended.code).toBe(0)
    expect(Number(eventsOf(ended.stdout).at(-1)?.transferredBytes)).toBeLessThanOrEqual(MiB)
    const { size, blocks } = statSync(box.path("store/sparse"))
    expect([size, blocks * 512 < 16 * MiB]).toEqual([8192 * MiB, true])
  })

  it(
    "of 100,000 small files stores them, and a second one sends nothing",
    { timeout: 10 * minutes },
    async ({ box }) => {
      for (let outer = 0; outer < 100; outer++) {
        mkdirSync(box.path(`many/${outer}`), { recursive: true })
        for (let inner = 0; inner < 1000; inner++)
          writeFileSync(box.path(`many/${outer}/${inner}`), `${outer}/${inner}`)
      }
      const server = await serve(box)
      const push = ["push", "many", "--to", server.address]
      expect(await box.start(push).ended(5 * minutes)).toMatchObject({ code: 0 })
      expect(readdirSync(box.path("store"), { recursive: true })).toHaveLength(100_101)
      expect((await box.start(push).ended(5 * minutes)).stderr).toContain(
        "pushed 0 files (0 bytes)"
      )
      rmSync(box.path("store"), { recursive: true })
    }
  )
})

// Two servers on one folder in two network namespaces, as two containers on one volume, and peers
// that freeze or vanish in the middle of a push: one session at a time writes a file.
import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import * as Names from "../../src/services/transfer/Names.ts"
import { bin, eventsOf, it, listening, within, type Box, type Ended } from "../cli/Sealwire.ts"

const canUnshare = spawnSync("unshare", ["--net", "true"]).status === 0
const MiB = 1024 * 1024

const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex")

/** Starts a server of the folder `store` in a network namespace of its own, at a Unix socket. */
const serve = async (box: Box, name: string) =>
  listening(
    box.startOther("unshare", [
      "--net",
      process.execPath,
      bin,
      "serve",
      "--listen",
      `unix:./${name}.sock`,
      "--files",
      "./store"
    ])
  )

const push = (box: Box, address: string, file: string, ...more: ReadonlyArray<string>) =>
  box.startOther(process.execPath, [bin, "push", file, "--to", address, "--json", ...more])

const partialFiles = (box: Box) =>
  readdirSync(box.path("store")).filter((name) => name.endsWith(".part") && !Names.isLock(name))

const partialBytes = (box: Box) =>
  partialFiles(box).reduce((sum, name) => {
    const stats = statSync(path.join(box.path("store"), name), { throwIfNoEntry: false })
    return sum + (stats?.size ?? 0)
  }, 0)

const reached = (box: Box, bytes: number) =>
  within(
    (async () => {
      while (partialBytes(box) < bytes) await sleep(1)
    })(),
    `${bytes} bytes`
  )

/** Writes a file without zeros, and returns its hash. */
const writeRandom = (box: Box, name: string, size: number): string => {
  const bytes = randomBytes(size).map((byte) => byte | 1)
  mkdirSync(path.dirname(box.path(name)), { recursive: true })
  writeFileSync(box.path(name), bytes)
  return hash(Buffer.from(bytes))
}

const stored = (box: Box, name: string) => hash(readFileSync(box.path(`store/${name}`)))

const outcomesOf = ({ stdout }: Ended) =>
  eventsOf(stdout).flatMap(({ event, outcome }) =>
    event === "file-completed" || event === "entry-omitted" ? [outcome] : []
  )

describe.skipIf(!canUnshare)("two servers in two network namespaces", () => {
  const sizes = [1000, 100_000, 3 * MiB, 9 * MiB, 40 * MiB]

  it("store one file that is pushed to both at once, and both pushes succeed", async ({ box }) => {
    mkdirSync(box.path("store"))
    const servers = [await serve(box, "one"), await serve(box, "two")]
    for (const more of [[], ["--skip"], ["--rename"]])
      for (const size of sizes) {
        const wanted = writeRandom(box, "file", size)
        const ended = await Promise.all(
          [0, 1, 0, 1].map((at) => push(box, servers[at]?.address ?? "", "file", ...more).ended())
        )
        for (const each of ended) {
          expect([size, more, each.code, each.stderr]).toEqual([size, more, 0, ""])
          expect(["stored", "unchanged", "skipped"]).toContain(outcomesOf(each)[0])
        }
        expect(ended.filter((each) => outcomesOf(each)[0] === "stored")).toHaveLength(1)
        expect([size, stored(box, "file")]).toEqual([size, wanted])
        expect(readdirSync(box.path("store"))).toEqual(["file"])
        rmSync(box.path("store/file"))
      }
  })

  it("store one of two files of one name, and refuse the other", async ({ box }) => {
    mkdirSync(box.path("store"))
    const servers = [await serve(box, "one"), await serve(box, "two")]
    for (const size of sizes) {
      const hashes = ["a/file", "b/file"].map((name) => writeRandom(box, name, size))
      const ended = await Promise.all(
        ["a/file", "b/file"].map((name, at) => push(box, servers[at]?.address ?? "", name).ended())
      )
      const codes = ended.map(({ code }) => code)
      expect([size, codes.toSorted()]).toEqual([size, [0, 2]])
      expect(stored(box, "file")).toBe(hashes[codes.indexOf(0)])
      expect(ended.map((each) => outcomesOf(each)[0]).toSorted()).toEqual(["exists", "stored"])
      expect(readdirSync(box.path("store"))).toEqual(["file"])
      rmSync(box.path("store/file"))
    }
  })

  it("store both of two files of one name with --rename", async ({ box }) => {
    mkdirSync(box.path("store"))
    const servers = [await serve(box, "one"), await serve(box, "two")]
    for (const size of sizes) {
      const hashes = ["a/file", "b/file"].map((name) => writeRandom(box, name, size))
      const ended = await Promise.all(
        ["a/file", "b/file"].map((name, at) =>
          push(box, servers[at]?.address ?? "", name, "--rename").ended()
        )
      )
      expect(ended.map(({ code }) => code)).toEqual([0, 0])
      expect(["file", "file (1)"].map((name) => stored(box, name)).toSorted()).toEqual(
        hashes.toSorted()
      )
      expect(readdirSync(box.path("store")).toSorted()).toEqual(["file", "file (1)"])
      for (const name of ["file", "file (1)"]) rmSync(box.path(`store/${name}`))
    }
  })

  it("one of which is killed: the other continues with what it has left", async ({ box }) => {
    mkdirSync(box.path("store"))
    const [one, two] = [await serve(box, "one"), await serve(box, "two")]
    const wanted = writeRandom(box, "file", 64 * MiB)
    const first = push(box, one.address, "file", "--limit", "40M", "--retry", "0")
    await reached(box, 24 * MiB)
    // It waits for the first, which is alive.
    const second = push(box, two.address, "file")
    await sleep(500)
    expect([second.alive, partialFiles(box).length]).toEqual([true, 1])
    await one.crash()
    expect((await first.ended()).code).not.toBe(0)
    const ended = await second.ended()
    expect([ended.code, stored(box, "file")]).toEqual([0, wanted])
    expect(Number(eventsOf(ended.stdout).at(-1)?.transferredBytes)).toBeLessThan(48 * MiB)
    expect(readdirSync(box.path("store"))).toEqual(["file"])
  })
})

describe("a push whose client", () => {
  const setUp = async (box: Box) => {
    mkdirSync(box.path("store"))
    box.useProcesses()
    const server = await box.listen([
      "serve",
      "--listen",
      "unix:./server.sock",
      "--files",
      "./store"
    ])
    return { server, wanted: writeRandom(box, "file", 64 * MiB) }
  }

  it("freezes gives way to a newer one, and finds its file stored when it wakes", async ({
    box
  }) => {
    const { server, wanted } = await setUp(box)
    const frozen = push(box, server.address, "file", "--limit", "20M")
    await reached(box, 24 * MiB)
    frozen.kill("SIGSTOP")
    const ended = await push(box, server.address, "file").ended()
    expect([ended.code, outcomesOf(ended), stored(box, "file")]).toEqual([0, ["stored"], wanted])
    expect(Number(eventsOf(ended.stdout).at(-1)?.transferredBytes)).toBeLessThan(48 * MiB)
    frozen.kill("SIGCONT")
    const woken = await frozen.ended()
    expect([woken.code, outcomesOf(woken)]).toEqual([0, ["unchanged"]])
    expect(readdirSync(box.path("store"))).toEqual(["file"])
  })

  it("is slow keeps its file; a newer one waits and finds it stored", async ({ box }) => {
    const { server, wanted } = await setUp(box)
    const slow = push(box, server.address, "file", "--limit", "4M")
    await reached(box, MiB)
    // Longer than a dead peer is tolerated, and than the retries of a client last.
    const newer = push(box, server.address, "file", "--retry", "0")
    expect((await slow.ended()).code).toBe(0)
    const ended = await newer.ended()
    expect([ended.code, outcomesOf(ended), stored(box, "file")]).toEqual([0, ["unchanged"], wanted])
  })
})

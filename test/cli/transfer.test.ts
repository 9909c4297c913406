// The commands push and pull: their output, the files they store, and that a kill loses nothing.
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { runs } from "../fixtures/sample.ts"
import { bin, eventsOf, it, within, type Box, type Running } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

const MiB = 1024 * 1024
const kept = "complete files and 8 MiB blocks of larger ones are kept: transfer again to resume"
const hasScript = existsSync("/usr/bin/script")

/** Starts a server with --files, on a free port or the given one. */
const serve = async (
  box: Box,
  { port = 0, folder = "./store", more = [] as ReadonlyArray<string> } = {}
) => {
  mkdirSync(box.path(folder), { recursive: true })
  return box.listen(["serve", "--listen", `127.0.0.1:${port}`, "--files", folder, ...more])
}

const escaped = (text: string) => text.replace(/[()|.]/g, "\\$&")

const hash = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex")

/** Writes a file of this many MiB, no two of which are equal. */
const writeLarge = (at: string, size: number): void => {
  const piece = randomBytes(MiB)
  const fd = openSync(at, "w")
  for (let index = 0; index < size; index++) {
    piece.writeUInt32BE(index, 0)
    writeSync(fd, piece)
  }
  closeSync(fd)
}

/** Returns the number of bytes in partial files. */
const partialBytes = (folder: string): number =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".part"))
    .reduce(
      (sum, name) =>
        sum + (statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
      0
    )

const partialReached = async (folder: string, bytes: number, running: Running): Promise<void> =>
  within(
    (async () => {
      while (partialBytes(folder) < bytes && running.alive) await sleep(1)
    })(),
    `${bytes} bytes`
  )

describe("push and pull", () => {
  it("report what was transferred and what was skipped", async ({ box }) => {
    const server = await serve(box)
    mkdirSync(box.path("docs/empty"), { recursive: true })
    box.write("docs/a.txt", "hello")
    box.write("docs/\u202egpj.exe", "x")
    symlinkSync("a.txt", box.path("docs/link"))
    const to = ["--to", server.address]
    expect(await box.run(["push", "docs", ...to])).toEqual({
      code: 0,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: warning: docs/link: skipped: symbolic link; to send it, use --symlinks follow or --symlinks keep\n" +
        `sealwire: pushed 2 files (6 bytes) to ${server.address}\n`
    })
    expect(box.read("store/docs/a.txt").toString()).toBe("hello")
    expect(existsSync(box.path("store/docs/empty"))).toBe(true)
    await server.until("the line of the server", ({ stderr }) => /: stored /.test(stderr))

    box.write("docs/a.txt", "hallo")
    expect(await box.run(["push", "./docs/a.txt", ...to, "--as", "docs"])).toMatchObject({
      code: 2
    })
    expect(await box.run(["push", "docs", ...to])).toMatchObject({
      code: 2,
      stderr:
        "sealwire: warning: docs/link: skipped: symbolic link; to send it, use --symlinks follow or --symlinks keep\n" +
        "sealwire: warning: docs/a.txt: already exists with different content; use --overwrite, --rename or --skip\n" +
        `sealwire: pushed 0 files (0 bytes) to ${server.address}; 1 file already up to date\n` +
        "sealwire: 1 of 2 files failed: docs/a.txt: already exists with different content; use --overwrite, --rename or --skip\n"
    })
    expect(await box.run(["push", "docs", ...to, "--skip"])).toMatchObject({ code: 0 })
    expect(await box.run(["push", "docs", ...to, "--overwrite"])).toMatchObject({
      code: 8,
      stderr:
        "sealwire: warning: docs/link: skipped: symbolic link; to send it, use --symlinks follow or --symlinks keep\n" +
        `sealwire: permission denied by ${server.address}; your line in its authorized_peers must allow it: "access" to read or write, "overwrite" to replace files\n`
    })
    const dry = await box.run(["push", "docs", ...to, "--dry-run", "--symlinks", "keep"])
    expect(dry.stdout.toString()).toBe(
      "create         folder  docs\n" +
        "exists        5 bytes  docs/a.txt\n" +
        "create         folder  docs/empty\n" +
        "create           link  docs/link\n" +
        "unchanged      1 byte  docs/\\u202egpj.exe\n"
    )
    expect(dry.code).toBe(0)
    mkdirSync(box.path("bad"))
    box.write("bad/a\\b", "x")
    for (const [more, line] of [
      [["--dry-run"], "1 file would fail"],
      [[], "1 of 1 file failed"]
    ] as const)
      expect(await box.run(["push", "bad", ...to, ...more])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`sealwire: ${line}: bad/a`)
      })

    const json = await box.run([
      "pull",
      "docs",
      "--from",
      server.address,
      "--into",
      ".",
      "--rename",
      "--json"
    ])
    expect(eventsOf(json.stdout)).toEqual([
      { event: "transfer-planned", files: 2, folders: 2, links: 0, bytes: 6 },
      { event: "file-completed", path: "docs/\u202egpj.exe", bytes: 1, outcome: "unchanged" },
      {
        event: "file-completed",
        path: "docs/a.txt",
        bytes: 5,
        outcome: "renamed",
        as: "docs/a (1).txt"
      },
      {
        event: "transfer-ended",
        address: server.address,
        files: 1,
        bytes: 5,
        transferredBytes: 5,
        unchanged: 1,
        skipped: 0
      }
    ])
    expect(box.read("docs/a (1).txt").toString()).toBe("hello")
  })

  it("a dry run with --rename names the file with the same content", async ({ box }) => {
    const server = await serve(box)
    const to = ["--to", server.address, "--rename"]
    mkdirSync(box.path("store/docs"))
    box.write("store/docs/a.txt", "hello")
    mkdirSync(box.path("docs"))
    box.write("docs/a.txt", "hallo")
    expect(await box.run(["push", "docs", ...to])).toMatchObject({ code: 0 })
    expect(box.read("store/docs/a (1).txt").toString()).toBe("hallo")
    expect((await box.run(["push", "docs", ...to, "--dry-run"])).stdout.toString()).toBe(
      "create         folder  docs\nunchanged     5 bytes  docs/a.txt (docs/a (1).txt)\n"
    )
    expect(eventsOf((await box.run(["push", "docs", ...to, "--json"])).stdout)).toContainEqual({
      event: "file-completed",
      path: "docs/a.txt",
      bytes: 5,
      outcome: "unchanged",
      as: "docs/a (1).txt"
    })
  })

  it("the same transfers at once all succeed, and store once", async ({ box }) => {
    const server = await serve(box)
    mkdirSync(box.path("docs"))
    box.write("docs/a.txt", "hello")
    box.write("docs/empty", "")
    writeLarge(box.path("docs/big"), 12)
    mkdirSync(box.path("back"))
    for (const more of [[], ["--rename"]]) {
      const commands = [
        ["push", "docs", "--to", server.address, ...more],
        ["pull", "docs", "--from", server.address, "--into", "back", ...more]
      ]
      for (const command of commands) {
        const ended = await Promise.all(
          [true, false].map((process) => box.start(command, { process }).ended())
        )
        for (const { code } of ended) expect([command, code]).toEqual([command, 0])
      }
      for (const folder of ["store/docs", "back/docs"]) {
        expect(readdirSync(box.path(folder)).toSorted()).toEqual(["a.txt", "big", "empty"])
        expect(hash(box.path(`${folder}/big`))).toBe(hash(box.path("docs/big")))
        rmSync(box.path(folder), { recursive: true })
      }
    }
  })

  it("a requested path that is not received is an error that names it", async ({ box }) => {
    const server = await serve(box)
    const from = ["--from", server.address]
    mkdirSync(box.path("store/docs"))
    box.write("store/docs/a.txt", "hello")
    box.write("store/.hidden", "x")
    symlinkSync("a.txt", box.path("store/docs/link"))
    for (const [name, why] of [
      [
        "docs/link",
        "link: skipped: symbolic link; to send it, use --symlinks follow or --symlinks keep"
      ],
      ["gone", "gone: not found"]
    ] as const)
      expect(await box.run(["pull", "docs/a.txt", name, ...from, "--overwrite"])).toEqual({
        code: 2,
        stdout: Buffer.alloc(0),
        stderr: expect.stringMatching(
          new RegExp(
            `^sealwire: warning: ${escaped(why)}\nsealwire: pulled [01] files? .*\n.*1 of 2 files failed: ${escaped(why)}\n$`
          )
        ) as unknown
      })
    expect(await box.run(["pull", ".", ...from])).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: the server chooses the names for .; give the folder that receives them: --into DIR; see: sealwire pull --help\n"
    })
    mkdirSync(box.path("all"))
    expect(await box.run(["pull", ".", ...from, "--into", "all"])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("sealwire: available: .hidden, docs/\n") as unknown
    })
    expect(readdirSync(box.path("all")).toSorted()).toEqual([".hidden", "docs"])
  })

  it("two paths that get one name here are refused, or one of them is reported", async ({
    box
  }) => {
    const server = await serve(box)
    const from = ["--from", server.address]
    for (const folder of ["a", "b"]) {
      mkdirSync(box.path(`store/${folder}`))
      box.write(`store/${folder}/x`, folder)
    }
    mkdirSync(box.path("here"))
    const into = ["--into", "here"]
    expect(await box.run(["pull", "a/x", "b/x", ...from, ...into])).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: b/x: has the same name here as a/x; pull each into its own folder: --into DIR\n"
    })
    expect(readdirSync(box.path("here"))).toEqual([])
    expect(await box.run(["pull", "a/x", "./a/x", ...from, ...into])).toMatchObject({ code: 0 })
    expect(box.read("here/x").toString()).toBe("a")
    // The server chooses the other names.
    mkdirSync(box.path("all"))
    box.write("store/x", "top")
    const all = await box.run(["pull", ".", "a/x", ...from, "--into", "all"])
    expect(all).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /1 of 4 files failed: a\/x: another file of this transfer has this name\n$/
      ) as unknown
    })
    expect(box.read("all/x").toString()).toBe("top")
    mkdirSync(box.path("other"))
    box.write("other/x", "other")
    expect(
      await box.run(["push", "here/x", "other/x", "--to", server.address, "--overwrite"])
    ).toMatchObject({
      code: 2,
      stderr: "sealwire: other/x: has the same name on the server as here/x; push them one by one\n"
    })
  })

  it("accept standard input, --as and --limit", async ({ box }) => {
    const server = await serve(box)
    const to = ["--to", server.address]
    expect(
      await box.run(["push", "-", "--as", "in.bin", ...to], { stdin: randomBytes(300_000) })
    ).toMatchObject({ code: 0 })
    expect(statSync(box.path("store/in.bin")).size).toBe(300_000)
    expect(
      await box.run(["push", "store/in.bin", "--as", "other", "--limit", "1M", ...to])
    ).toMatchObject({ code: 0 })
    expect(hash(box.path("store/other"))).toBe(hash(box.path("store/in.bin")))
    const rejected: ReadonlyArray<readonly [ReadonlyArray<string>, number, string]> = [
      [["push", "-", ...to], 2, "standard input needs a name on the server: --as NAME"],
      [["push", "a", "b", "--as", "c", ...to], 2, "--as names a single path; give one path"],
      [["push", "nowhere", ...to], 2, `${box.path("nowhere")}: no such file or folder`],
      [["push", "store", "--skip", "--rename", ...to], 2, "--rename and --skip exclude each other"],
      [
        ["push", "store", "--limit", "fast", ...to],
        2,
        'limit: "fast" is not a rate; write bytes per second: 500K, 10M; see: sealwire push --help'
      ],
      [
        ["push", "store", "--symlinks", "eat", ...to],
        2,
        'symlinks: "eat" is not one of skip, follow, keep; see: sealwire push --help'
      ],
      [["pull", "../x", "--from", server.address], 2, '../x: cannot be requested: a name is ".."'],
      [
        ["pull", "nothing", "--from", server.address],
        2,
        `sealwire: nothing: not found on ${server.address}\n`
      ],
      [
        ["pull", "in.bin", "--from", server.address, "--into", "nodir"],
        2,
        "sealwire: nodir: no such folder; create it first\n"
      ]
    ]
    await Promise.all(
      rejected.map(async ([args, code, line]) => {
        const ended = await box.run(args)
        expect(ended).toMatchObject({ code })
        expect(ended.stderr).toContain(line)
      })
    )
    expect(
      await box.run(["serve", "--files", "./nowhere", "--listen", "127.0.0.1:0"])
    ).toMatchObject({
      code: 2,
      stderr: "sealwire: ./nowhere: no such folder; create it first\n"
    })
  })

  it.skipIf(process.platform !== "linux")(
    "a named path that cannot be sent is an error",
    async ({ box }) => {
      const server = await serve(box)
      const to = ["--to", server.address]
      box.write("a", "a")
      symlinkSync("a", box.path("link"))
      execFileSync("mkfifo", [box.path("fifo")])
      const rejected: ReadonlyArray<readonly [string, string]> = [
        ["link", "is a symbolic link; give its target, or --symlinks follow or keep"],
        [
          "fifo",
          "is neither a file nor a folder; send its bytes as standard input: push - --as NAME"
        ],
        [
          "/dev/zero",
          "is neither a file nor a folder; send its bytes as standard input: push - --as NAME"
        ]
      ]
      await Promise.all(
        rejected.map(async ([name, clause]) =>
          expect(await box.run(["push", name, "a", ...to])).toMatchObject({
            code: 2,
            stderr: `sealwire: ${path.resolve(box.path("."), name)}: ${clause}\n`
          })
        )
      )
      expect(readdirSync(box.path("store"))).toEqual([])
      // Their stated size is 0.
      expect(await box.run(["push", "/proc/version", "a", ...to])).toMatchObject({
        code: 2,
        stderr:
          "sealwire: /proc/version: has content, but its stated size is 0; send it as standard input: push - --as version < /proc/version\n"
      })
      expect(readdirSync(box.path("store"))).toEqual([])
      const kernel = await box.listen(["serve", "--listen", "127.0.0.1:0", "--files", "/proc/sys"])
      const pull = await box.run(["pull", "kernel/ostype", "--from", kernel.address])
      expect([pull.code, pull.stderr]).toEqual([
        2,
        expect.stringContaining(
          "ostype: cannot be read, or has content beyond its stated size, as files of /proc do\n"
        )
      ])
      expect(existsSync(box.path("ostype"))).toBe(false)
      expect(await box.run(["push", "a", ...to])).toMatchObject({ code: 0 })
    }
  )

  it("a stopped server closes with a reason, and the transfer can be resumed", async ({ box }) => {
    const server = await serve(box)
    writeLarge(box.path("big"), 16)
    const push = box.start(["push", "big", "--to", server.address, "--limit", "4M", "--retry", "0"])
    await partialReached(box.path("store"), 2 * MiB, push)
    server.kill("SIGINT")
    const ended = await push.ended()
    expect(ended).toMatchObject({
      code: 7,
      stderr: `sealwire: ${server.address} closed the channel: it is shutting down; complete files and 8 MiB blocks of larger ones are kept: transfer again to resume\n`
    })
    const { stderr } = await server.ended()
    expect(stderr).not.toContain("is shutting down")
  })

  it("a terminated server exits in time, and the push resumes with the next one", async ({
    box
  }) => {
    const server = await serve(box)
    writeLarge(box.path("big"), 24)
    const push = box.start(["push", "big", "--to", server.address, "--limit", "12M", "--json"])
    await partialReached(box.path("store"), 12 * MiB, push)
    server.kill("SIGTERM")
    expect(await server.ended()).toMatchObject({ code: 0 })
    expect(readdirSync(box.path("store")).filter((name) => !name.endsWith(".part"))).toEqual([])
    await serve(box, { port: server.port })
    const ended = await push.ended()
    expect(ended.code).toBe(0)
    expect(readdirSync(box.path("store"))).toEqual(["big"])
    expect(hash(box.path("store/big"))).toBe(hash(box.path("big")))
    const [{ transferredBytes = 0 } = {}] = eventsOf(ended.stdout).filter(
      ({ event }) => event === "transfer-ended"
    ) as ReadonlyArray<{
      transferredBytes?: number
    }>
    // In that session one block was there already.
    expect(transferredBytes).toBeLessThanOrEqual(16 * MiB)
  })

  it.skipIf(!hasScript)("show progress, rate and remaining time on a terminal", async ({ box }) => {
    const server = await serve(box)
    mkdirSync(box.path("docs"))
    writeLarge(box.path("docs/big.bin"), 6)
    const command = `${process.execPath} ${bin} push docs --to ${server.address} --limit 3M`
    const { code, stdout } = await box
      .startOther("script", ["-qec", command, "/dev/null"], { env: { TERM: "xterm" } })
      .ended(20_000)
    expect(code).toBe(0)
    const drawn = stdout.toString().split("\r\u001b[K")
    // Before the plan is known the line says what is awaited.
    const isAwaiting = (line: string) => line.startsWith("waiting for ") || line === ""
    const lines = drawn.slice(1, -1).filter((line) => !isAwaiting(line))
    expect(lines.length).toBeGreaterThan(1)
    for (const line of lines)
      expect(line).toMatch(
        /^\d{1,3} %  [01]\/1 files  \S+ (bytes|[KM]iB) of 6\.0 MiB  \S+ (bytes?|[KM]iB)\/s(, \d+ s left|, \d+:\d\d min left)?  docs\/big\.bin$/
      )
    const shares = lines.map((line) => Number(/^\d+/.exec(line)?.[0]))
    expect(shares).toEqual(shares.toSorted((one, other) => one - other))
    // At the end the summary replaces the progress line.
    expect(drawn.at(-1)).toBe(`sealwire: pushed 1 file (6.0 MiB) to ${server.address}\r\n`)
  })

  it("fail if the server has no --files", async ({ box }) => {
    const server = box.start(["serve", "--listen", "127.0.0.1:0"])
    const address = await server.until(
      "the listening line",
      ({ stderr }) => /listening on (\S+) /.exec(stderr)?.[1]
    )
    box.write("a", "a")
    expect(await box.run(["push", "a", "--to", address])).toMatchObject({
      code: 8,
      stderr: `sealwire: ${address} does not offer "file"; ask its administrator\n`
    })
  })
})

describe("a kill during a transfer", () => {
  it("of the client: the next push resumes, and the hash is equal", async ({ box }) => {
    const size = runs(48, 96)
    writeLarge(box.path("big"), size)
    const server = await serve(box)
    const to = ["push", "big", "--to", server.address, "--json"]
    for (const part of [1 / 12, 1 / 4 + Math.random() / 5, 5 / 8 + Math.random() / 5]) {
      const push = box.start(to, { process: true })
      await partialReached(box.path("store"), part * size * MiB, push)
      await push.crash()
      expect(existsSync(box.path("store/big"))).toBe(false)
    }
    const received = partialBytes(box.path("store"))
    const last = await box.start(to).ended()
    const done = eventsOf(last.stdout).find(({ event }) => event === "transfer-ended")
    expect({ code: last.code, stderr: last.stderr, ...done }).toMatchObject({ code: 0, files: 1 })
    expect(Number(done?.transferredBytes)).toBeLessThanOrEqual(size * MiB - received + 16 * MiB)
    expect(hash(box.path("store/big"))).toBe(hash(box.path("big")))
    expect(readdirSync(box.path("store"))).toEqual(["big"])
  })

  it("of the server: the waiting client resumes with the next one", async ({ box }) => {
    box.useProcesses("serve")
    const size = runs(48, 96)
    writeLarge(box.path("big"), size)
    let server = await serve(box)
    const push = box.start(["push", "big", "--to", server.address, "--json", "--retry", "20s"])
    const { port } = server
    let resent = 0
    for (const part of [1 / 5 + Math.random() / 5, 1 / 2 + Math.random() / 5]) {
      await partialReached(box.path("store"), part * size * MiB, push)
      resent += 64 * MiB
      await server.crash()
      server = await serve(box, { port })
    }
    const ended = await push.ended()
    expect(ended.code).toBe(0)
    expect(
      eventsOf(ended.stdout).filter(({ event }) => event === "retry-scheduled").length
    ).toBeGreaterThan(0)
    expect(Number(eventsOf(ended.stdout).at(-1)?.transferredBytes)).toBeLessThanOrEqual(
      size * MiB + resent
    )
    expect(hash(box.path("store/big"))).toBe(hash(box.path("big")))
    expect(readdirSync(box.path("store"))).toEqual(["big"])

    // The same for a pull.
    mkdirSync(box.path("back"))
    const pull = box.start(["pull", "big", "--from", server.address, "--into", "back"], {
      process: true
    })
    await partialReached(box.path("back"), (size / 4) * MiB, pull)
    await pull.crash()
    expect(
      await box.start(["pull", "big", "--from", server.address, "--into", "back"]).ended()
    ).toMatchObject({ code: 0 })
    expect(hash(box.path("back/big"))).toBe(hash(box.path("big")))
  })
})

it.skipIf(!canMount)(
  "a full disk keeps what arrived, is reported on both sides, and the transfer resumes with more room",
  async ({ box, skip }) => {
    if (smallDisk(box, "30m") === undefined) return skip("no file system can be mounted here")
    writeLarge(box.path("big"), 26)
    writeFileSync(box.path("disk/ballast"), randomBytes(9 * MiB))
    const server = await serve(box, { folder: "./disk" })
    expect(await box.run(["push", "big", "--to", server.address])).toMatchObject({
      code: 7,
      stderr: `sealwire: no space left on the disk of ${server.address}; complete files and 8 MiB blocks of larger ones are kept: transfer again to resume\n`
    })
    await server.until("the line of the server", ({ stderr }) =>
      /no space left on the disk; complete files and 8 MiB blocks of larger ones are kept/.test(
        stderr
      )
    )
    expect(partialBytes(box.path("disk"))).toBeGreaterThan(8 * MiB)
    rmSync(box.path("disk/ballast"))
    const ended = await box.run(["push", "big", "--to", server.address, "--json"])
    expect(Number(eventsOf(ended.stdout).at(-1)?.transferredBytes)).toBeLessThanOrEqual(18 * MiB)
    expect(hash(box.path("disk/big"))).toBe(hash(box.path("big")))

    // The same for a full disk of the client.
    rmSync(box.path("disk/big"))
    writeFileSync(box.path("disk/ballast"), randomBytes(9 * MiB))
    const source = await serve(box, { folder: "./source" })
    writeLarge(box.path("source/big"), 26)
    const pull = await box.run(["pull", "big", "--from", source.address, "--into", "./disk"])
    expect(pull).toMatchObject({ code: 7 })
    expect(pull.stderr.split("\n").at(-2)).toBe(
      "sealwire: big: no space left on the disk; complete files and 8 MiB blocks of larger ones are kept: transfer again to resume"
    )
  }
)

it.skipIf(!canMount)(
  "a full disk keeps the small files that are complete, and more room brings the rest",
  async ({ box, skip }) => {
    const disk = smallDisk(box, "1m")
    if (disk === undefined) return skip("no file system can be mounted here")
    const resize = (size: string) =>
      execFileSync("mount", ["-o", `remount,size=${size}`, "tmpfs", disk])
    const names = Array.from({ length: 100 }, (_, index) => `${index}`)
    const content = (name: string) => Buffer.alloc(20_000, name)
    const complete = () => {
      const found = names.filter((name) => existsSync(`${disk}/many/${name}`))
      for (const name of found)
        expect(Buffer.compare(box.read(`disk/many/${name}`), content(name))).toBe(0)
      return found
    }
    for (const folder of ["many", "source/many"]) mkdirSync(box.path(folder), { recursive: true })
    for (const name of names)
      for (const folder of ["many", "source/many"])
        writeFileSync(box.path(`${folder}/${name}`), content(name))

    const server = await serve(box, { folder: "./disk" })
    const source = await serve(box, { folder: "./source" })
    const push = ["push", "many", "--to", server.address, "--json"]
    const pull = ["pull", "many", "--from", source.address, "--into", "./disk", "--json"]
    for (const command of [push, pull]) {
      const full = await box.run(command)
      expect(full).toMatchObject({ code: 7 })
      expect(full.stderr).toContain(`; ${kept}`)
      const stored = complete()
      // About 40 files of 5 pages each.
      expect(stored.length).toBeGreaterThan(20)
      const count = (stdout: Buffer, outcome: string) =>
        eventsOf(stdout).filter((event) => event.outcome === outcome).length
      expect(count(full.stdout, "stored")).toBe(stored.length)
      resize("10m")
      const rest = await box.run(command)
      expect(rest).toMatchObject({ code: 0 })
      expect(count(rest.stdout, "unchanged")).toBe(stored.length)
      expect(complete()).toEqual(names)
      rmSync(`${disk}/many`, { recursive: true })
      resize("1m")
    }
    // What a command buffers for itself is not kept.
    mkdirSync(`${disk}/tmp`)
    expect(
      await box.run(["push", "-", "--as", "in", "--to", source.address], {
        stdin: randomBytes(2 * MiB),
        env: { TMPDIR: `${disk}/tmp` }
      })
    ).toMatchObject({
      code: 7,
      stderr: `sealwire: standard input, buffered in ${disk}/tmp (TMPDIR): no space left on the disk\n`
    })
    expect(readdirSync(`${disk}/tmp`)).toEqual([])
  }
)

// A power cut after every system call: whatever was confirmed is whole, and no name ever has a part
// of a file. strace records what a command does; the model of test/durability/PowerCut.ts loses what
// was not flushed. SEALWIRE_TEST_SEED repeats the losses of a run.
import { randomBytes, randomInt } from "node:crypto"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { suiteNamed } from "../../src/channel/Suite.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { InboxMessages } from "../../src/services/inbox/Inbox.ts"
import * as SqliteInbox from "../../src/services/inbox/SqliteInbox.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { tcp } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { bin, eventsOf, it, listening, type Box } from "../cli/Sealwire.ts"
import { decisions, Disk, type Files } from "../durability/PowerCut.ts"
import { hasStrace, Traced, type Step } from "../durability/Trace.ts"

const MiB = 1024 * 1024
const seed = Number(process.env.SEALWIRE_TEST_SEED ?? randomInt(1_000_000))
const samples = 4

/** What must be there: the content of a file, or that there is a folder or link. */
type Wanted = Buffer | "there"

/** Cuts the power after every step, and calls `check` with what is left. */
const cutEverywhere = async (
  disk: Disk,
  steps: ReadonlyArray<Step>,
  check: (files: Files, step: Step, cut: number) => void | Promise<void>
): Promise<void> => {
  expect(steps.length).toBeGreaterThan(5)
  for (const [index, step] of steps.entries()) {
    disk.apply(step)
    for (const isKept of decisions(seed + index, samples))
      await check(disk.cut(isKept), step, index)
  }
}

/** Fails unless the files have what is wanted, and no other content than the ones that are allowed. */
class Checker {
  readonly wanted = new Map<string, Wanted>()
  readonly allowed = new Map<string, Array<Buffer>>()
  /** Pairs that were found to be equal: the model uses one buffer for one content. */
  readonly #equal = new WeakMap<Buffer, Set<Buffer>>()

  allow(name: string, content: Buffer): void {
    this.allowed.set(name, [...(this.allowed.get(name) ?? []), content])
  }

  #isEqual(one: Buffer, other: Buffer): boolean {
    const known = this.#equal.get(one) ?? new Set()
    this.#equal.set(one, known)
    if (!known.has(other) && Buffer.compare(one, other) === 0) known.add(other)
    return known.has(other)
  }

  check(files: Files, where: string): void {
    for (const [name, wanted] of this.wanted) {
      const found = files.get(name)
      if (found === undefined) throw new Error(`${name} was confirmed and is lost, ${where}`)
      if (wanted !== "there" && !(found instanceof Buffer && this.#isEqual(found, wanted)))
        throw new Error(`${name} was confirmed and is not whole, ${where}`)
    }
    for (const [name, found] of files) {
      if (!(found instanceof Buffer) || name.endsWith(".part")) continue
      if (this.allowed.get(name)?.some((content) => this.#isEqual(found, content)) !== true)
        throw new Error(`${name} has ${found.length} bytes that nobody has written so, ${where}`)
    }
  }
}

const where = (step: Step, cut: number) =>
  `cut ${cut} of seed ${seed}: ${JSON.stringify(step, (key, value: unknown) => (key === "bytes" ? "…" : value))}`

/** Makes a tree of every size class with other content each time, and returns its files. */
const makeTree = (top: string, small: number): ReadonlyMap<string, Wanted> => {
  const files = new Map<string, Wanted>()
  const write = (name: string, size: number) => {
    const content = randomBytes(size)
    writeFileSync(path.join(top, name), content)
    files.set(name, content)
  }
  mkdirSync(path.join(top, "sub"), { recursive: true })
  for (let index = 0; index < small; index++) write(`sub/${index}`, 100 + index)
  write("empty", 0)
  write("medium", 100_000)
  write("large", 8 * MiB + 100_000)
  symlinkSync("medium", path.join(top, "link"))
  for (const name of ["sub", "link"]) files.set(name, "there")
  return files
}

const within = (top: string, files: ReadonlyMap<string, Wanted>): ReadonlyMap<string, Wanted> =>
  new Map([
    [top, "there"],
    ...[...files].map(([name, content]) => [path.join(top, name), content] as const)
  ])

const allowAll = (checker: Checker, files: ReadonlyMap<string, Wanted>): void => {
  for (const [name, content] of files) if (content !== "there") checker.allow(name, content)
}

describe.skipIf(!hasStrace)("after a power cut (needs strace)", () => {
  it("a server has every file of which a receipt was sent", async ({ box }) => {
    mkdirSync(box.path("store"))
    const disk = new Disk(box.path("store"))
    const traced = new Traced(box, "store", [
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--files",
      "./store",
      "--json"
    ])
    const { address } = await listening(traced.running)
    const push = async (name: string, ...more: ReadonlyArray<string>) =>
      box
        .startOther(process.execPath, [
          bin,
          "push",
          name,
          "--to",
          address,
          "--symlinks",
          "keep",
          ...more
        ])
        .ended()
    const checker = new Checker()
    /** What the end of a client confirms. */
    const confirmed: Array<{ readonly time: number; readonly files: ReadonlyMap<string, Wanted> }> =
      []
    const one = within("one", makeTree(box.path("one"), 40))
    allowAll(checker, one)
    expect(await push("one")).toMatchObject({ code: 0 })
    confirmed.push({ time: Date.now() / 1000, files: one })
    // Two at once: one of them confirms what the other has stored.
    const two = within("two", makeTree(box.path("two"), 10))
    allowAll(checker, two)
    const both = ["two", "two"].map(async (name) => {
      expect(await push(name)).toMatchObject({ code: 0 })
      confirmed.push({ time: Date.now() / 1000, files: two })
    })
    await Promise.all(both)
    // The same names again, with other content.
    rmSync(box.path("two"), { recursive: true })
    const again = within("two", makeTree(box.path("two"), 5))
    // The empty file is the same.
    const isTaken = (content: Wanted) => content !== "there" && content.length > 0
    const renamed = new Map(
      [...again].map(([name, content]) => [isTaken(content) ? `${name} (1)` : name, content])
    )
    allowAll(checker, renamed)
    expect(await push("two", "--rename")).toMatchObject({ code: 0 })
    confirmed.push({ time: Date.now() / 1000, files: renamed })
    traced.running.kill("SIGTERM")
    expect(await traced.running.ended()).toMatchObject({ code: 0 })

    const all = new Map(confirmed.flatMap(({ files }) => [...files]))
    const said = new Set<string>()
    await cutEverywhere(disk, await traced.steps(), (files, step, cut) => {
      const { begins } = step
      // The server reports files after it has sent their receipts.
      if (begins?.kind === "said")
        for (const event of eventsOf(begins.text))
          for (const { path: name } of (event.files ?? []) as unknown as ReadonlyArray<{
            path: string
          }>) {
            said.add(name)
            checker.wanted.set(name, all.get(name) as Wanted)
          }
      for (const { time, files: wanted } of confirmed)
        if (time <= step.time)
          for (const [name, content] of wanted) checker.wanted.set(name, content)
      checker.check(files, where(step, cut))
    })
    expect(said.size).toBeGreaterThan(55)
    for (const [name, content] of all) checker.wanted.set(name, content)
    checker.check(
      disk.cut(() => false),
      "at the end"
    )
  })

  it("a client has every file that it has reported, and all of them when it ends", async ({
    box
  }) => {
    const top = makeTree(box.path("store/top"), 40)
    mkdirSync(box.path("here/top"), { recursive: true })
    const checker = new Checker()
    const old = randomBytes(5000)
    writeFileSync(box.path("here/top/medium"), old)
    checker.allow("top/medium", old)
    const server = await box.listen(["serve", "--listen", "127.0.0.1:0", "--files", "./store"])
    const disk = new Disk(box.path("here"))
    const traced = new Traced(box, "here", [
      "pull",
      "top",
      "--from",
      server.address,
      "--into",
      "here",
      "--json",
      "--overwrite",
      "--symlinks",
      "keep"
    ])
    expect(await traced.running.ended()).toMatchObject({ code: 0 })
    const all = within("top", top)
    allowAll(checker, all)
    const said = new Set<string>()
    await cutEverywhere(disk, await traced.steps(), (files, step, cut) => {
      if (step.begins?.kind === "said")
        for (const { event, path: name } of eventsOf(step.begins.text)) {
          if (event !== "file-completed") continue
          said.add(String(name))
          checker.wanted.set(String(name), all.get(String(name)) as Wanted)
        }
      checker.check(files, where(step, cut))
    })
    expect(said.size).toBe(43)
    for (const [name, content] of all) checker.wanted.set(name, content)
    checker.check(
      disk.cut(() => false),
      "at the end"
    )
  })

  /**
   * Runs a command that changes files of one folder: before its end each has its old or its new
   * content, after it the new one. `check` sees the contents before and after, by name.
   */
  const changing = async (
    box: Box,
    args: ReadonlyArray<string>,
    check: (files: Files, before: Files, after: Files) => void = () => {}
  ) => {
    const disk = new Disk(box.path("own"))
    const before = disk.cut(() => true)
    const traced = new Traced(box, "own", args)
    const ended = await traced.running.ended()
    expect(ended).toMatchObject({ code: 0 })
    const after = new Disk(box.path("own")).cut(() => true)
    const isTemporary = (name: string) => !before.has(name) && !after.has(name)
    await cutEverywhere(disk, await traced.steps(), (files, step, cut) => {
      const checker = new Checker()
      for (const [name, content] of [...before, ...after])
        if (content instanceof Buffer) checker.allow(name, content)
      for (const [name, content] of before)
        if (after.has(name) && content instanceof Buffer && !files.has(name))
          throw new Error(`${name} is lost, ${where(step, cut)}`)
      const own = new Map([...files].filter(([name]) => !isTemporary(name)))
      checker.check(own, where(step, cut))
      check(own, before, after)
    })
    // The command has ended: what it has done is there.
    const left = disk.cut(() => false)
    for (const [name, content] of after) expect([name, left.get(name)]).toEqual([name, content])
    return ended
  }

  it(
    "keys are the old or the new ones, and none is lost",
    { timeout: 300_000 },
    async ({ box }) => {
      mkdirSync(box.path("own"))
      await changing(box, ["keygen", "-o", "own/shared.key"])
      await changing(box, ["keygen", "identity", "-o", "own/id.key"])
      await changing(box, ["keys", "rotate", "--begin", "--identity", "own/id.key"])
      /** The keys that are anywhere in the files. */
      const keysIn = (files: Files) =>
        new Set(
          [...files.values()].flatMap((found) =>
            found instanceof Buffer ? [found.toString("hex")] : []
          )
        )
      await changing(
        box,
        ["keys", "rotate", "--switch", "--identity", "own/id.key"],
        (files, before) => {
          expect(files.has("id.key")).toBe(true)
          for (const key of keysIn(before)) expect(keysIn(files).has(key)).toBe(true)
        }
      )
      await changing(box, [
        "peers",
        "add",
        "alice",
        await publicKey(box, "own/id.key"),
        "--authorized-peers",
        "own/peers"
      ])
      await changing(box, ["peers", "rename", "alice", "bob", "--authorized-peers", "own/peers"])
    }
  )

  it("an encrypted file is there as a whole or not at all", async ({ box }) => {
    mkdirSync(box.path("own"))
    writeFileSync(box.path("plain"), randomBytes(3 * MiB))
    expect(await box.run(["keygen", "file-key", "-o", "file.key"])).toMatchObject({ code: 0 })
    const encrypt = ["encrypt", "plain", "--file-key", "file.key", "-o", "own/sealed"]
    await changing(box, encrypt)
    writeFileSync(box.path("plain"), randomBytes(2 * MiB))
    await changing(box, [...encrypt, "--overwrite"])
    cpSync(box.path("own/sealed"), box.path("sealed"))
    await changing(box, ["decrypt", "sealed", "--file-key", "file.key", "-o", "own/plain"])
  })

  it("an inbox has every message that was acknowledged", { timeout: 600_000 }, async ({ box }) => {
    mkdirSync(box.path("own"))
    const psk = new Secret(randomBytes(32))
    box.write("sealwire.key", KeyText.encode(SharedKey, psk))
    const disk = new Disk(box.path("own"))
    const traced = new Traced(box, "own", [
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--inbox",
      "./own/inbox.db",
      "--json"
    ])
    const { port } = await listening(traced.running)
    const acknowledged: Array<{ readonly text: string; readonly time: number }> = []
    await Effect.gen(function* () {
      const keys = { suite: suiteNamed("NNpsk0"), serverName: "", psk }
      const client = yield* MessageClient.connect({ address: tcp("127.0.0.1", port), keys })
      for (let count = 0; count < 30; count++) {
        const text = `message ${count} ${"x".repeat(count * 500)}`
        yield* client.send([Buffer.from(text)])
        acknowledged.push({ text, time: Date.now() / 1000 })
      }
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise)
    traced.running.kill("SIGTERM")
    await traced.running.ended()
    const sent = new Set(acknowledged.map(({ text }) => text))
    let cuts = 0
    const check = async (files: Files, wanted: ReadonlyArray<string>, at: string) => {
      const found = await textsIn(files)
      for (const text of found) expect([at, sent.has(text)]).toEqual([at, true])
      expect([at, new Set(found).size]).toEqual([at, found.length])
      for (const text of wanted) expect([at, found.includes(text)]).toEqual([at, true])
      cuts++
    }
    const steps = await traced.steps()
    // Each cut opens a database: at every third step, and after each flush.
    await cutEverywhere(disk, steps, async (files, step, cut) => {
      if (cut % 3 !== 0 && step.ends?.kind !== "sync") return
      const wanted = acknowledged.flatMap(({ text, time }) => (time <= step.time ? [text] : []))
      if (files.has("inbox.db") || wanted.length > 0) await check(files, wanted, where(step, cut))
    })
    await check(
      disk.cut(() => false),
      [...sent],
      "at the end"
    )
    expect(cuts).toBeGreaterThan(100)
  })
})

const publicKey = async (box: Box, file: string): Promise<string> =>
  (await box.run(["pubkey", "--identity", file])).stdout.toString().trim()

/** Opens the inbox that a power cut has left, and returns the texts in it. */
const textsIn = async (files: Files): Promise<ReadonlyArray<string>> => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-cut-"))
  try {
    for (const [name, content] of files)
      // The index of the log is in shared memory, which a power cut loses.
      if (content instanceof Buffer && !name.endsWith("-shm"))
        writeFileSync(path.join(folder, name), content, { mode: 0o600 })
    return await Effect.flatMap(InboxMessages, (messages) =>
      messages.list({ limit: 1000, textBytes: 100_000 })
    ).pipe(
      Effect.map((found) => found.map(({ text }) => Buffer.from(text).toString())),
      Effect.provide(SqliteInbox.layer(path.join(folder, "inbox.db"))),
      Effect.runPromise
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

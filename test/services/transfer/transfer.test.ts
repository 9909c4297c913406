// Transfers between a client and a server, over channels in memory and over TCP.
import { runs, sample, sampled } from "../../fixtures/sample.ts"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { limits } from "../../../src/services/transfer/limits.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import { Quotas } from "../../../src/services/transfer/Quotas.ts"
import { Transport } from "../../../src/transports/index.ts"
import { withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import {
  cutAfter,
  partialFilesIn,
  writeTree,
  pullPaths,
  pushPaths,
  snapshot,
  serveFiles,
  TransferRecord,
  type Tree
} from "./Transfers.ts"
import { scopedFolder } from "../../fixtures/folder.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024

/** Valid names in any Unicode form, up to 255 bytes. */
const names = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: FastCheck.constantFrom(
      "é",
      "e\u0301",
      "Å",
      "A\u030a",
      "ﬁ",
      "ß",
      "\u202egpj.exe",
      " ",
      "a ",
      "-rf",
      "~",
      "…",
      "*",
      "a:b",
      "con"
    )
  },
  {
    weight: 1,
    arbitrary: FastCheck.integer({ min: 1, max: 63 }).map((count) => "🜁".repeat(count) + "abc")
  },
  { weight: 1, arbitrary: FastCheck.constant("n".repeat(255)) }
).filter((name) => Names.nameProblem(name) === undefined)

const contents = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.uint8Array({ maxLength: 300 }) },
  {
    weight: 1,
    arbitrary: FastCheck.constantFrom(0, 1, 65_536, 65_537, MiB - 1, MiB, MiB + 1).map((size) =>
      randomBytes(size)
    )
  }
)

const { tree } = FastCheck.letrec<{ readonly tree: Tree }>((tie) => ({
  tree: FastCheck.dictionary(
    names,
    FastCheck.oneof({ maxDepth: 3, withCrossShrink: true }, contents, contents, tie("tree")),
    {
      maxKeys: 6
    }
  )
}))

describe("a tree of files", () => {
  it.scopedLive.prop(
    "is stored unchanged by a push, and pulled back unchanged",
    { tree },
    ({ tree }) =>
      Effect.gen(function* () {
        const [local, remote, back] = [
          yield* scopedFolder,
          yield* scopedFolder,
          yield* scopedFolder
        ]
        writeTree(path.join(local, "top"), tree)
        const { address } = yield* serveFiles(remote)
        yield* pushPaths(address, [path.join(local, "top")])
        expect(snapshot(remote)).toEqual(snapshot(local))
        yield* pullPaths(address, ["top"], back)
        expect(snapshot(back)).toEqual(snapshot(local))
        // A second push transfers nothing.
        const record = yield* pushPaths(address, [path.join(local, "top")])
        expect(record.transferredBytes).toBe(0)
        for (const outcome of record.byPath.values()) expect(["same", "stored"]).toContain(outcome)
        expect(partialFilesIn(remote)).toEqual([])
      }).pipe(Effect.scoped, memory),
    { fastCheck: { numRuns: runs(4, 25) }, timeout: 60_000 }
  )

  const big = (): Tree => ({
    "one.bin": randomBytes(9 * MiB + 5),
    "exactly one block": randomBytes(8 * MiB),
    more: { "two.bin": randomBytes(17 * MiB), "small.txt": Buffer.from("small") },
    sparse: Buffer.concat([Buffer.alloc(10 * MiB), Buffer.from("data"), Buffer.alloc(3 * MiB)]),
    zeros: Buffer.alloc(2 * MiB)
  })

  it.scopedLive("with large files is pushed over TCP without its zeros", () =>
    Effect.gen(function* () {
      const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
      writeTree(path.join(local, "top"), big())
      const { address, stored, events } = yield* serveFiles(remote)
      const record = yield* pushPaths(address, [path.join(local, "top")])
      expect(snapshot(remote)).toEqual(snapshot(local))
      expect(record.transferredBytes).toBeLessThan(37 * MiB)
      expect(stored.toSorted()).toEqual(
        [
          "top/exactly one block",
          "top/more/small.txt",
          "top/more/two.bin",
          "top/one.bin",
          "top/sparse",
          "top/zeros"
        ].toSorted()
      )
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.at(-1)).toMatchObject({
        service: "file",
        counted: { files: 6 },
        error: undefined
      })
    }).pipe(Effect.provide(Transport.layerNet))
  )

  const pushWithCuts = (tree: Tree, stride: number) =>
    Effect.gen(function* () {
      const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
      writeTree(path.join(local, "top"), tree)
      const all = new Set(snapshot(local))
      const { address, events } = yield* serveFiles(remote)
      let travelled = 0
      let cuts = 0
      for (let steps = 1; ; steps += stride) {
        const record = new TransferRecord()
        const ended = yield* Effect.either(
          pushPaths(address, [path.join(local, "top")], {
            record,
            wrap: (channel) => cutAfter(channel, steps)
          })
        )
        travelled += record.transferredBytes
        for (const line of snapshot(remote))
          if (line.startsWith("file ")) expect(all).toContain(line)
        // A session that the server has not ended yet may still hold the partial file.
        if (ended._tag === "Right" && ![...record.byPath.values()].includes("busy")) break
        cuts++
        // The server detects the cut later, and releases its partial files then.
        const count = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
        yield* waitUntil(
          "the end of the session",
          () => count("SessionStarted") === count("SessionEnded")
        )
      }
      expect(snapshot(remote)).toEqual(snapshot(local))
      expect(partialFilesIn(remote).filter((name) => !/-0/.test(name))).toEqual([])
      return { travelled, cuts }
    }).pipe(memory)

  it.scopedLive(
    "is complete after a cut at every step, and no name ever has an incomplete file",
    () =>
      Effect.gen(function* () {
        const small = Object.fromEntries(
          Array.from({ length: 30 }, (_, index) => [`${index}`, randomBytes(index * 5000)])
        )
        const { cuts } = yield* pushWithCuts(
          { ...small, empty: {}, "two pieces": randomBytes(MiB + 1) },
          runs(3, 1)
        )
        expect(cuts).toBeGreaterThan(runs(1, 6))
      })
  )

  it.scopedLive("with large files is resumed after each of many cuts", () =>
    Effect.gen(function* () {
      const { travelled, cuts } = yield* pushWithCuts(
        { "one.bin": randomBytes(26 * MiB + 5), "two.bin": randomBytes(9 * MiB) },
        10
      )
      expect(cuts).toBeGreaterThan(2)
      // Each cut costs at most one incomplete block, and the data in flight.
      expect(travelled).toBeLessThan((35 + cuts * 12) * MiB)
    })
  )
})

const bytesOf = (at: string) => readFileSync(at).toString()

/** Two folders, one of them served with these rules for the client. */
const setUp = (rules: Parameters<typeof serveFiles>[1] = { overwrite: true }) =>
  Effect.gen(function* () {
    const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
    const served = yield* serveFiles(remote, rules)
    const write = (name: string, text: string) => {
      writeFileSync(path.join(local, name), text)
      return path.join(local, name)
    }
    return { local, remote, write, ...served }
  })

describe("a push to a name that is taken", () => {
  it.scopedLive.each([
    ["refuse", "exists", "old!", undefined],
    ["skip", "skipped", "old!", undefined],
    ["rename", "a (1).txt", "old!", "new"],
    ["overwrite", "stored", "new", undefined]
  ] as const)("follows the policy %s", ([policy, outcome, content, numbered]) =>
    Effect.gen(function* () {
      const { address, remote, write } = yield* setUp()
      const file = write("a.txt", "new")
      writeFileSync(path.join(remote, "a.txt"), "old!")
      const { outcomes } = yield* pushPaths(address, [file], { policy })
      expect(outcomes).toEqual({ "a.txt": outcome })
      expect(bytesOf(path.join(remote, "a.txt"))).toBe(content)
      expect(existsSync(path.join(remote, "a (1).txt"))).toBe(numbered !== undefined)
      if (numbered !== undefined) expect(bytesOf(path.join(remote, "a (1).txt"))).toBe(numbered)
      // Files with the same content are complete under every policy.
      const again = yield* pushPaths(address, [file], { policy })
      expect(again.outcomes["a.txt"]).toBe(
        policy === "rename" || policy === "overwrite" ? "same" : outcome
      )
      expect(partialFilesIn(remote)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("refuses a file of the same length, and accepts one with the same content", () =>
    Effect.gen(function* () {
      const { address, remote, write } = yield* setUp()
      writeFileSync(path.join(remote, "a"), "abc")
      writeFileSync(path.join(remote, "b"), "abc")
      const record = yield* pushPaths(address, [write("a", "xyz"), write("b", "abc")])
      expect(record.outcomes).toEqual({ a: "exists", b: "same" })
      expect(bytesOf(path.join(remote, "a"))).toBe("abc")
    }).pipe(memory)
  )

  it.scopedLive("refuses a folder, a link and a FIFO, and neither opens nor follows them", () =>
    Effect.gen(function* () {
      const { local, address, remote, write } = yield* setUp()
      mkdirSync(path.join(remote, "folder"))
      writeFileSync(path.join(local, "secret"), "secret")
      symlinkSync(path.join(local, "secret"), path.join(remote, "link"))
      symlinkSync(local, path.join(remote, "linked folder"))
      execFileSync("mkfifo", [path.join(remote, "fifo")])
      mkdirSync(path.join(local, "linked folder"))
      writeFileSync(path.join(local, "linked folder/x"), "x")
      const paths = [
        write("fifo", "new"),
        write("folder", "new"),
        write("link", "new"),
        path.join(local, "linked folder")
      ]
      const record = yield* pushPaths(address, paths, { policy: "refuse" })
      expect(record.outcomes).toEqual({
        fifo: "exists",
        folder: "exists",
        link: "exists",
        "linked folder": "exists",
        "linked folder/x": "exists"
      })
      const over = yield* pushPaths(address, paths, { policy: "overwrite" })
      // The file replaces the link itself and not its target.
      expect(over.outcomes).toMatchObject({ fifo: "exists", folder: "exists", link: "stored" })
      expect(bytesOf(path.join(local, "secret"))).toBe("secret")
      expect(existsSync(path.join(local, "x"))).toBe(false)
    }).pipe(memory)
  )

  it.scopedLive("does not overwrite a file that appeared after the answer", () =>
    Effect.gen(function* () {
      const { address, remote, write } = yield* setUp()
      const file = write("a", "mine")
      let steps = 0
      const record = yield* pushPaths(address, [file], {
        // After the answer and before the file.
        wrap: (channel) => ({
          ...channel,
          read: Effect.tap(channel.read, () => {
            if (steps++ === 0) writeFileSync(path.join(remote, "a"), "theirs")
          })
        })
      })
      expect(record.outcomes).toEqual({ a: "exists" })
      expect(bytesOf(path.join(remote, "a"))).toBe("theirs")
      expect(partialFilesIn(remote)).toEqual([])
    }).pipe(memory)
  )
})

describe("the rules of a peer", () => {
  it.scopedLive("confine it to its own folder", () =>
    Effect.gen(function* () {
      const { address, remote, local, write } = yield* setUp({ folder: "peers/alice" })
      writeFileSync(path.join(remote, "others"), "of others")
      yield* pushPaths(address, [write("a", "mine")])
      expect(bytesOf(path.join(remote, "peers/alice/a"))).toBe("mine")
      expect(yield* Effect.flip(pullPaths(address, ["others"], local))).toMatchObject({
        _tag: "TransferStopped",
        reason: "notFound"
      })
      const back = yield* scopedFolder
      yield* pullPaths(address, [""], back)
      expect(snapshot(back)).toEqual(snapshot(path.join(remote, "peers/alice")))
    }).pipe(memory)
  )

  it.scopedLive.each([
    ["overwriting", {}, "overwrite", "push"],
    ["writing", { access: ["read"] as const }, "refuse", "push"],
    ["reading", { access: ["write"] as const }, "refuse", "pull"]
  ] as const)("forbid %s", ([, rules, policy, way]) =>
    Effect.gen(function* () {
      const { address, remote, local, write, events } = yield* setUp(rules)
      writeFileSync(path.join(remote, "there"), "there")
      const request =
        way === "push"
          ? pushPaths(address, [write("a", "a")], { policy })
          : pullPaths(address, ["there"], local)
      expect(
        yield* Effect.flip(request as Effect.Effect<unknown, unknown, Transport>)
      ).toMatchObject({
        _tag: "TransferStopped",
        reason: "forbidden"
      })
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.at(-1)).toMatchObject({ error: { _tag: "RefusedByRules", peer: "alice" } })
      expect(snapshot(remote)).toHaveLength(1)
    }).pipe(memory)
  )

  const entryCost = limits.entryBytes

  it.scopedLive("limit the bytes in its folder", () =>
    Effect.gen(function* () {
      const { address, remote, write } = yield* setUp({ fileQuota: 3 * entryCost + 1000 })
      writeFileSync(path.join(remote, "before"), Buffer.alloc(400))
      const record = yield* pushPaths(address, [
        write("a", "x".repeat(500)),
        write("b", "x".repeat(101)),
        write("c", "x".repeat(100))
      ])
      expect(record.outcomes).toEqual({ a: "stored", b: "quota", c: "stored" })
      const again = yield* pushPaths(address, [write("d", "x")])
      expect(again.outcomes).toEqual({ d: "quota" })
    }).pipe(memory)
  )

  it.scopedLive("count empty files, folders and links too", () =>
    Effect.gen(function* () {
      const { address, local, write } = yield* setUp({ fileQuota: 3 * entryCost + 100 })
      writeTree(path.join(local, "top"), {
        a: Buffer.alloc(0),
        link: "a",
        sub: { inside: Buffer.alloc(0) }
      })
      const record = yield* pushPaths(address, [path.join(local, "top"), write("zero", "")], {
        links: "keep"
      })
      expect(record.outcomes).toEqual({
        top: "stored",
        "top/a": "stored",
        "top/link": "stored",
        "top/sub": "quota",
        "top/sub/inside": "quota",
        zero: "quota"
      })
    }).pipe(memory)
  )

  it.scopedLive("count replaced files once, and accept unchanged ones in a full folder", () =>
    Effect.gen(function* () {
      const { address, remote, write } = yield* setUp({
        fileQuota: entryCost + 500,
        overwrite: true
      })
      yield* pushPaths(address, [write("a", "x".repeat(500))])
      for (const policy of ["refuse", "rename", "overwrite"] as const)
        expect((yield* pushPaths(address, [path.join(remote, "a")], { policy })).outcomes).toEqual({
          a: "same"
        })
      expect(
        (yield* pushPaths(address, [write("a", "y".repeat(500))], { policy: "overwrite" })).outcomes
      ).toEqual({ a: "stored" })
      expect(
        (yield* pushPaths(address, [write("a", "z".repeat(501))], { policy: "overwrite" })).outcomes
      ).toEqual({ a: "quota" })
    }).pipe(memory)
  )

  it.scopedLive("replace large files one after the other where all do not fit at once", () =>
    Effect.gen(function* () {
      const size = 100 * 1024
      const { address, remote, write } = yield* setUp({
        fileQuota: 5 * (entryCost + size),
        overwrite: true
      })
      const names = ["a", "b", "c", "d"]
      for (const name of names) writeFileSync(path.join(remote, name), "x".repeat(size))
      const paths = names.map((name) => write(name, name.repeat(size)))
      const record = yield* pushPaths(address, paths, { policy: "overwrite" })
      expect(record.outcomes).toEqual({ a: "stored", b: "stored", c: "stored", d: "stored" })
      // Without room for a second one, none is replaced.
      writeFileSync(path.join(remote, "e"), "x".repeat(size))
      const more = paths.map((file, index) => {
        writeFileSync(file, `${index}`.repeat(size))
        return file
      })
      const full = yield* pushPaths(address, more, { policy: "overwrite" })
      expect(new Set(Object.values(full.outcomes))).not.toContain("stored")
      expect(bytesOf(path.join(remote, "a"))).toBe("a".repeat(size))
    }).pipe(memory)
  )

  it.scopedLive("share the quota between concurrent sessions", () =>
    Effect.gen(function* () {
      const top = yield* scopedFolder
      for (let index = 0; index < 600; index++) writeFileSync(path.join(top, `${index}`), "x")
      const quotas = new Quotas()
      const enter = Effect.gen(function* () {
        const folders = new SafeDirectories(top)
        yield* Effect.addFinalizer(() => Effect.sync(() => folders.close()))
        return yield* quotas.open(folders, 600 * (entryCost + 1) + 100)
      })
      // The first is interrupted while it counts; another counts instead.
      const first = yield* Effect.fork(enter)
      const others = yield* Effect.fork(
        Effect.all(
          ["a", "b", "c"].map(() => Effect.map(enter, (quota) => quota.add(60))),
          { concurrency: 3 }
        )
      )
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      expect(yield* Fiber.join(others)).toEqual([true, false, false])
    })
  )

  it.scopedLive("slow a transfer down to its bytes per minute, in both directions", () =>
    Effect.gen(function* () {
      const perMinute = 600 * 1024
      const { address, write, local, remote } = yield* setUp({ bytesPerMinute: perMinute })
      const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.map(Effect.timed(effect), ([elapsed]) => Duration.toMillis(elapsed))
      // The allowance of a minute passes at once; what exceeds it waits: 15 KiB for 1.5 s.
      const begun = performance.now()
      const pushed = yield* timed(
        pushPaths(address, [write("a", "x".repeat(perMinute + 15 * 1024))])
      )
      expect(pushed).toBeGreaterThan(1400)
      writeFileSync(path.join(remote, "b"), "y".repeat(15 * 1024))
      yield* pullPaths(address, ["b"], local)
      // Time that passed between the two counts for the second.
      expect(performance.now() - begun).toBeGreaterThan(2900)
      expect(readFileSync(path.join(local, "b"), "utf8")).toBe("y".repeat(15 * 1024))
    }).pipe(memory)
  )

  it.scopedLive("count the bytes of manifests, in both directions", () =>
    Effect.gen(function* () {
      const perMinute = 60 * 1024
      const { address, write, local, remote } = yield* setUp({ bytesPerMinute: perMinute })
      const seconds = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.map(Effect.timed(effect), ([elapsed]) => Duration.toSeconds(elapsed))
      // 230 entries of 271 bytes are the allowance of a minute and 0.8 s; ten are 2.6 s.
      const name = (index: number) => String(index).padStart(250, "0")
      const sent = Array.from({ length: 230 }, (_, index) => write(name(index), ""))
      const pushed = yield* seconds(pushPaths(address, sent, { dry: true }))
      expect(pushed).toBeGreaterThan(0.5)
      for (let index = 0; index < 10; index++) writeFileSync(path.join(remote, name(index)), "")
      const pulled = yield* seconds(pullPaths(address, [""], local, { dry: true }))
      expect(pushed + pulled).toBeGreaterThan(3)
    }).pipe(memory)
  )

  it.scopedLive("never allow a client of the shared key to overwrite", () =>
    Effect.gen(function* () {
      const { address, write } = yield* setUp(undefined)
      expect(
        yield* Effect.flip(
          pushPaths(address, [write("a", "a")], { policy: "overwrite", suite: "NNpsk0" })
        )
      ).toMatchObject({
        reason: "forbidden"
      })
      expect((yield* pushPaths(address, [write("a", "a")], { suite: "NNpsk0" })).outcomes).toEqual({
        a: "stored"
      })
    }).pipe(memory)
  )
})

describe("symbolic links", () => {
  const linked = Effect.gen(function* () {
    const { local, ...rest } = yield* setUp()
    writeTree(path.join(local, "top"), {
      file: Buffer.from("file"),
      inside: "file",
      sub: { up: "../file", out: "../../x", far: "../../../x" },
      absolute: "/etc/hostname",
      sly: "inside/../../x",
      loop: "."
    })
    return { local, ...rest }
  })

  it.scopedLive("are skipped and reported", () =>
    Effect.gen(function* () {
      const { local, address, remote } = yield* linked
      const record = yield* pushPaths(address, [path.join(local, "top")])
      expect(record.leftOut.toSorted()).toEqual(
        ["absolute", "inside", "loop", "sly", "sub/far", "sub/out", "sub/up"].map(
          (name) => `link top/${name}`
        )
      )
      expect(Object.keys(record.outcomes).toSorted()).toEqual(["top", "top/file", "top/sub"])
      expect(snapshot(remote, { links: true }).filter((line) => line.startsWith("link"))).toEqual(
        []
      )
    }).pipe(memory)
  )

  it.scopedLive("are kept if they stay inside the folder", () =>
    Effect.gen(function* () {
      const { local, address, remote } = yield* linked
      const record = yield* pushPaths(address, [path.join(local, "top")], { links: "keep" })
      expect(record.leftOut.toSorted()).toEqual(
        ["absolute", "sly", "sub/far"].map((name) => `outside top/${name}`)
      )
      expect(snapshot(remote).filter((line) => line.startsWith("link"))).toEqual([
        "link top/inside file",
        "link top/loop .",
        "link top/sub/out ../../x",
        "link top/sub/up ../file"
      ])
      const back = yield* scopedFolder
      yield* pullPaths(address, ["top"], back, { links: "keep" })
      expect(snapshot(back)).toEqual(snapshot(remote))
    }).pipe(memory)
  )

  it.scopedLive("are followed anywhere by a push, and by a server only inside its folder", () =>
    Effect.gen(function* () {
      const { local, address, remote } = yield* linked
      writeFileSync(path.join(local, "x"), "outside")
      const record = yield* pushPaths(address, [path.join(local, "top")], { links: "follow" })
      expect(bytesOf(path.join(remote, "top/sub/out"))).toBe("outside")
      expect(bytesOf(path.join(remote, "top/inside"))).toBe("file")
      // A link to an enclosing folder would be followed without end.
      expect(record.leftOut).toContain("link top/loop")
      symlinkSync(path.join(local, "x"), path.join(remote, "top/escape"))
      symlinkSync("../file", path.join(remote, "top/sub/in"))
      const back = yield* scopedFolder
      const pull = yield* pullPaths(address, ["top"], back, { links: "follow" })
      expect(pull.leftOut).toEqual(["outside top/escape"])
      expect(bytesOf(path.join(back, "top/sub/in"))).toBe("file")
    }).pipe(memory)
  )
})

describe("resuming", () => {
  const big = randomBytes(20 * MiB)

  interface SetUp {
    readonly address: Parameters<typeof pushPaths>[0]
    readonly remote: string
    readonly events: ReadonlyArray<{ readonly _tag: string }>
  }

  /** Pushes until this many bytes are sent and all but the last MiB written, then cuts. */
  const interruptedPush = ({ address, remote, events }: SetUp, file: string, bytes: number) =>
    Effect.gen(function* () {
      const record = new TransferRecord()
      const cut = yield* Deferred.make<void>()
      const written = () =>
        partialFilesIn(remote).reduce(
          (sum, name) => sum + statSync(path.join(remote, name)).size,
          0
        )
      const push = pushPaths(address, [file], {
        record,
        wrap: (channel) => ({
          ...channel,
          write: (piece) =>
            record.transferredBytes < bytes
              ? channel.write(piece)
              : waitUntil("the other disk", () => written() >= bytes - MiB).pipe(
                  Effect.orDie,
                  Effect.zipRight(Deferred.succeed(cut, undefined)),
                  Effect.zipRight(Effect.never)
                )
        })
      })
      yield* withTimeout("the cut", Effect.raceFirst(push, Deferred.await(cut)))
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
    })

  it.scopedLive("sends only the missing blocks", () =>
    Effect.gen(function* () {
      const place = yield* setUp()
      const { local, address, remote } = place
      const file = path.join(local, "big")
      writeFileSync(file, big)
      yield* interruptedPush(place, file, 18 * MiB)
      expect(existsSync(path.join(remote, "big"))).toBe(false)
      expect(partialFilesIn(remote)).toHaveLength(1)
      const record = yield* pushPaths(address, [file])
      expect(record.reusedBytes).toBe(16 * MiB)
      expect(record.transferredBytes).toBe(4 * MiB)
      expect(snapshot(remote)).toEqual(snapshot(local))
    }).pipe(memory)
  )

  const spoilt = [
    ["with other content", (part: string) => writeFileSync(part, randomBytes(17 * MiB)), 20],
    [
      "with a fault in its second block",
      (part: string) => {
        const bytes = readFileSync(part)
        bytes[9 * MiB] = (bytes[9 * MiB] as number) ^ 1
        writeFileSync(part, bytes)
      },
      12
    ],
    ["that is too long", (part: string) => appendFileSync(part, Buffer.alloc(9 * MiB)), 20],
    ["that lost its end", (part: string) => truncateSync(part, 9 * MiB), 12],
    ["that is empty", (part: string) => truncateSync(part, 0), 20]
  ] as const
  it.scopedLive.each(sample(spoilt, 3))(sampled("verifies a partial file %s"), ([, spoil, sent]) =>
    Effect.gen(function* () {
      const place = yield* setUp()
      const { local, address, remote } = place
      const file = path.join(local, "big")
      writeFileSync(file, big)
      yield* interruptedPush(place, file, 18 * MiB)
      spoil(path.join(remote, partialFilesIn(remote)[0] as string))
      const record = yield* pushPaths(address, [file])
      expect(record.transferredBytes).toBe(sent * MiB)
      expect(snapshot(remote)).toEqual(snapshot(local))
    }).pipe(memory)
  )

  it.scopedLive("starts again and removes the partial file if the source has changed", () =>
    Effect.gen(function* () {
      const place = yield* setUp()
      const { local, address, remote } = place
      const file = path.join(local, "big")
      writeFileSync(file, big)
      yield* interruptedPush(place, file, 18 * MiB)
      const other = Buffer.concat([big.subarray(0, 9 * MiB), randomBytes(11 * MiB)])
      writeFileSync(file, other)
      utimesSync(file, 2e9, 2e9)
      yield* pushPaths(address, [file])
      expect(snapshot(remote)).toEqual(snapshot(local))
      expect(partialFilesIn(remote)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("discards a file whose source changes while it is read", () =>
    Effect.gen(function* () {
      const { local, address, remote } = yield* setUp()
      const file = path.join(local, "big")
      writeFileSync(file, big)
      const record = new TransferRecord()
      let changed = false
      yield* pushPaths(address, [file], {
        record,
        wrap: (channel) => ({
          ...channel,
          write: (piece) => {
            if (record.transferredBytes > 5 * MiB && !changed) {
              changed = true
              appendFileSync(file, "more")
            }
            return channel.write(piece)
          }
        })
      })
      expect(record.outcomes).toEqual({ big: "changed" })
      expect(snapshot(remote)).toEqual([])
      expect(partialFilesIn(remote)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("a dry run lists the actions and changes nothing", () =>
    Effect.gen(function* () {
      const { local, remote, address } = yield* setUp()
      writeTree(path.join(local, "top"), {
        new: Buffer.from("new"),
        same: Buffer.from("same"),
        other: Buffer.from("mine"),
        sub: { deep: Buffer.from("x") }
      })
      mkdirSync(path.join(remote, "top"))
      writeFileSync(path.join(remote, "top/same"), "same")
      writeFileSync(path.join(remote, "top/other"), "them")
      const before = snapshot(remote, { partials: true })
      const record = yield* pushPaths(address, [path.join(local, "top")], { dry: true })
      expect(record.outcomes).toEqual({
        top: "made",
        "top/new": "dry",
        "top/same": "same",
        "top/other": "other",
        "top/sub": "made",
        "top/sub/deep": "dry"
      })
      expect(snapshot(remote, { partials: true })).toEqual(before)
      const pull = yield* pullPaths(address, ["top"], yield* scopedFolder, { dry: true })
      expect(pull.outcomes).toEqual({ top: "made", "top/same": "dry", "top/other": "dry" })
    }).pipe(memory)
  )
})

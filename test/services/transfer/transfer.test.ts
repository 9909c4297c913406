// Files and folders from client to server and back, over channels in memory and over TCP: what arrives is what was sent.
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
  folder,
  partsIn,
  plant,
  pulled,
  pushed,
  seen,
  serving,
  Told,
  type Tree
} from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024

/** Names as they come: any Unicode form, up to 255 bytes. */
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

describe("a tree", () => {
  it.scopedLive.prop(
    "comes out at the server as it was, and back at the client",
    { tree },
    ({ tree }) =>
      Effect.gen(function* () {
        const [here, there, back] = [yield* folder, yield* folder, yield* folder]
        plant(path.join(here, "top"), tree)
        const { address } = yield* serving(there)
        yield* pushed(address, [path.join(here, "top")])
        expect(seen(there)).toEqual(seen(here))
        yield* pulled(address, ["top"], back)
        expect(seen(back)).toEqual(seen(here))
        // Again: nothing travels.
        const told = yield* pushed(address, [path.join(here, "top")])
        expect(told.came).toBe(0)
        for (const fate of told.fates.values()) expect(["same", "stored"]).toContain(fate)
        expect(partsIn(there)).toEqual([])
      }).pipe(Effect.scoped, memory),
    { fastCheck: { numRuns: 25 }, timeout: 60_000 }
  )

  const big = (): Tree => ({
    "one.bin": randomBytes(9 * MiB + 5),
    "exactly one block": randomBytes(8 * MiB),
    more: { "two.bin": randomBytes(17 * MiB), "small.txt": Buffer.from("small") },
    sparse: Buffer.concat([Buffer.alloc(10 * MiB), Buffer.from("data"), Buffer.alloc(3 * MiB)]),
    zeros: Buffer.alloc(2 * MiB)
  })

  it.scopedLive("of large files goes over TCP, and zeros cost nothing", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* folder, yield* folder]
      plant(path.join(here, "top"), big())
      const { address, stored, events } = yield* serving(there)
      const told = yield* pushed(address, [path.join(here, "top")])
      expect(seen(there)).toEqual(seen(here))
      expect(told.came).toBeLessThan(37 * MiB)
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

  const cutAgainAndAgain = (tree: Tree, stride: number) =>
    Effect.gen(function* () {
      const [here, there] = [yield* folder, yield* folder]
      plant(path.join(here, "top"), tree)
      const all = new Set(seen(here))
      const { address, events } = yield* serving(there)
      let travelled = 0
      let cuts = 0
      for (let steps = 1; ; steps += stride) {
        const told = new Told()
        const ended = yield* Effect.either(
          pushed(address, [path.join(here, "top")], {
            told,
            wrap: (channel) => cutAfter(channel, steps)
          })
        )
        travelled += told.came
        for (const line of seen(there)) if (line.startsWith("file ")) expect(all).toContain(line)
        // A session whose end the server has not seen yet may still have the file.
        if (ended._tag === "Right" && ![...told.fates.values()].includes("busy")) break
        cuts++
        // The server sees the cut at its own time, and lets go of what it has in hand.
        const count = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
        yield* waitUntil(
          "the end of the session",
          () => count("SessionStarted") === count("SessionEnded")
        )
      }
      expect(seen(there)).toEqual(seen(here))
      expect(partsIn(there).filter((name) => !/-0/.test(name))).toEqual([])
      return { travelled, cuts }
    }).pipe(memory)

  it.scopedLive("that is cut off at every step ends whole, and no name ever has half a file", () =>
    Effect.gen(function* () {
      const small = Object.fromEntries(
        Array.from({ length: 30 }, (_, index) => [`${index}`, randomBytes(index * 5000)])
      )
      const { cuts } = yield* cutAgainAndAgain(
        { ...small, empty: {}, "two pieces": randomBytes(MiB + 1) },
        1
      )
      expect(cuts).toBeGreaterThan(6)
    })
  )

  it.scopedLive("of large files that is cut off again and again goes on where it was", () =>
    Effect.gen(function* () {
      const { travelled, cuts } = yield* cutAgainAndAgain(
        { "one.bin": randomBytes(26 * MiB + 5), "two.bin": randomBytes(9 * MiB) },
        10
      )
      expect(cuts).toBeGreaterThan(2)
      // Of each cut at most an unfinished block, and what was under way.
      expect(travelled).toBeLessThan((35 + cuts * 12) * MiB)
    })
  )
})

const bytesOf = (at: string) => readFileSync(at).toString()

/** A server that lets its one client do what these rules say, and two folders. */
const two = (rules: Parameters<typeof serving>[1] = { overwrite: true }) =>
  Effect.gen(function* () {
    const [here, there] = [yield* folder, yield* folder]
    const served = yield* serving(there, rules)
    const write = (name: string, text: string) => {
      writeFileSync(path.join(here, name), text)
      return path.join(here, name)
    }
    return { here, there, write, ...served }
  })

describe("a name that is taken", () => {
  it.scopedLive.each([
    ["refuse", "exists", "old!", undefined],
    ["skip", "skipped", "old!", undefined],
    ["rename", "a (1).txt", "old!", "new"],
    ["overwrite", "stored", "new", undefined]
  ] as const)("%s", ([policy, fate, now, beside]) =>
    Effect.gen(function* () {
      const { address, there, write } = yield* two()
      const file = write("a.txt", "new")
      writeFileSync(path.join(there, "a.txt"), "old!")
      const { words } = yield* pushed(address, [file], { policy })
      expect(words).toEqual({ "a.txt": fate })
      expect(bytesOf(path.join(there, "a.txt"))).toBe(now)
      expect(existsSync(path.join(there, "a (1).txt"))).toBe(beside !== undefined)
      if (beside !== undefined) expect(bytesOf(path.join(there, "a (1).txt"))).toBe(beside)
      // And again: what is there with the same bytes is done, whatever the policy.
      const again = yield* pushed(address, [file], { policy })
      expect(again.words["a.txt"]).toBe(
        policy === "rename" || policy === "overwrite" ? "same" : fate
      )
      expect(partsIn(there)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive(
    "by a file of the same length is refused too, and by the same bytes it is done",
    () =>
      Effect.gen(function* () {
        const { address, there, write } = yield* two()
        writeFileSync(path.join(there, "a"), "abc")
        writeFileSync(path.join(there, "b"), "abc")
        const told = yield* pushed(address, [write("a", "xyz"), write("b", "abc")])
        expect(told.words).toEqual({ a: "exists", b: "same" })
        expect(bytesOf(path.join(there, "a"))).toBe("abc")
      }).pipe(memory)
  )

  it.scopedLive(
    "by a folder, a link, a FIFO is refused, and none of them is opened or followed",
    () =>
      Effect.gen(function* () {
        const { here, address, there, write } = yield* two()
        mkdirSync(path.join(there, "folder"))
        writeFileSync(path.join(here, "secret"), "secret")
        symlinkSync(path.join(here, "secret"), path.join(there, "link"))
        symlinkSync(here, path.join(there, "linked folder"))
        execFileSync("mkfifo", [path.join(there, "fifo")])
        mkdirSync(path.join(here, "linked folder"))
        writeFileSync(path.join(here, "linked folder/x"), "x")
        const paths = [
          write("fifo", "new"),
          write("folder", "new"),
          write("link", "new"),
          path.join(here, "linked folder")
        ]
        const told = yield* pushed(address, paths, { policy: "refuse" })
        expect(told.words).toEqual({
          fifo: "exists",
          folder: "exists",
          link: "exists",
          "linked folder": "exists",
          "linked folder/x": "exists"
        })
        const over = yield* pushed(address, paths, { policy: "overwrite" })
        // The link itself gives way to the file; what it led to is untouched.
        expect(over.words).toMatchObject({ fifo: "exists", folder: "exists", link: "stored" })
        expect(bytesOf(path.join(here, "secret"))).toBe("secret")
        expect(existsSync(path.join(here, "x"))).toBe(false)
      }).pipe(memory)
  )

  it.scopedLive("meanwhile, by somebody else, is not overwritten", () =>
    Effect.gen(function* () {
      const { address, there, write } = yield* two()
      const file = write("a", "mine")
      let steps = 0
      const told = yield* pushed(address, [file], {
        // Between the answer and the file.
        wrap: (channel) => ({
          ...channel,
          read: Effect.tap(channel.read, () => {
            if (steps++ === 0) writeFileSync(path.join(there, "a"), "theirs")
          })
        })
      })
      expect(told.words).toEqual({ a: "exists" })
      expect(bytesOf(path.join(there, "a"))).toBe("theirs")
      expect(partsIn(there)).toEqual([])
    }).pipe(memory)
  )
})

describe("what a line allows", () => {
  it.scopedLive("its own folder, and nothing beside it", () =>
    Effect.gen(function* () {
      const { address, there, here, write } = yield* two({ folder: "peers/alice" })
      writeFileSync(path.join(there, "others"), "of others")
      yield* pushed(address, [write("a", "mine")])
      expect(bytesOf(path.join(there, "peers/alice/a"))).toBe("mine")
      expect(yield* Effect.flip(pulled(address, ["others"], here))).toMatchObject({
        _tag: "TransferStopped",
        reason: "none"
      })
      const back = yield* folder
      yield* pulled(address, [""], back)
      expect(seen(back)).toEqual(seen(path.join(there, "peers/alice")))
    }).pipe(memory)
  )

  it.scopedLive.each([
    ["no overwriting", {}, "overwrite", "push"],
    ["no writing", { access: ["read"] as const }, "refuse", "push"],
    ["no reading", { access: ["write"] as const }, "refuse", "pull"]
  ] as const)("%s", ([, rules, policy, way]) =>
    Effect.gen(function* () {
      const { address, there, here, write, events } = yield* two(rules)
      writeFileSync(path.join(there, "there"), "there")
      const asked =
        way === "push"
          ? pushed(address, [write("a", "a")], { policy })
          : pulled(address, ["there"], here)
      expect(yield* Effect.flip(asked as Effect.Effect<unknown, unknown, Transport>)).toMatchObject(
        {
          _tag: "TransferStopped",
          reason: "access"
        }
      )
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.at(-1)).toMatchObject({ error: { _tag: "RefusedByRules", peer: "alice" } })
      expect(seen(there)).toHaveLength(1)
    }).pipe(memory)
  )

  const each = limits.entryBytes

  it.scopedLive("so many bytes and no more, counted with what is there", () =>
    Effect.gen(function* () {
      const { address, there, write } = yield* two({ fileQuota: 3 * each + 1000 })
      writeFileSync(path.join(there, "before"), Buffer.alloc(400))
      const told = yield* pushed(address, [
        write("a", "x".repeat(500)),
        write("b", "x".repeat(101)),
        write("c", "x".repeat(100))
      ])
      expect(told.words).toEqual({ a: "stored", b: "quota", c: "stored" })
      const again = yield* pushed(address, [write("d", "x")])
      expect(again.words).toEqual({ d: "quota" })
    }).pipe(memory)
  )

  it.scopedLive("what has no bytes counts, too", () =>
    Effect.gen(function* () {
      const { address, here, write } = yield* two({ fileQuota: 3 * each + 100 })
      plant(path.join(here, "top"), {
        a: Buffer.alloc(0),
        link: "a",
        sub: { inside: Buffer.alloc(0) }
      })
      const told = yield* pushed(address, [path.join(here, "top"), write("zero", "")], {
        links: "keep"
      })
      expect(told.words).toEqual({
        top: "stored",
        "top/a": "stored",
        "top/link": "stored",
        "top/sub": "quota",
        "top/sub/inside": "quota",
        zero: "quota"
      })
    }).pipe(memory)
  )

  it.scopedLive(
    "what is replaced makes room, what is there unchanged is not refused, and nothing is paid twice",
    () =>
      Effect.gen(function* () {
        const { address, there, write } = yield* two({ fileQuota: each + 500, overwrite: true })
        yield* pushed(address, [write("a", "x".repeat(500))])
        for (const policy of ["refuse", "rename", "overwrite"] as const)
          expect((yield* pushed(address, [path.join(there, "a")], { policy })).words).toEqual({
            a: "same"
          })
        expect(
          (yield* pushed(address, [write("a", "y".repeat(500))], { policy: "overwrite" })).words
        ).toEqual({ a: "stored" })
        expect(
          (yield* pushed(address, [write("a", "z".repeat(501))], { policy: "overwrite" })).words
        ).toEqual({ a: "quota" })
      }).pipe(memory)
  )

  it.scopedLive("sessions at the same time share it", () =>
    Effect.gen(function* () {
      const top = yield* folder
      for (let index = 0; index < 600; index++) writeFileSync(path.join(top, `${index}`), "x")
      const quotas = new Quotas()
      const enter = Effect.gen(function* () {
        const folders = new SafeDirectories(top)
        yield* Effect.addFinalizer(() => Effect.sync(() => folders.close()))
        return yield* quotas.enter(folders, 600 * (each + 1) + 100)
      })
      // The first is interrupted while it counts: another does it in its place.
      const first = yield* Effect.fork(enter)
      const others = yield* Effect.fork(
        Effect.all(
          ["a", "b", "c"].map((name) => Effect.map(enter, (quota) => quota.reserve(name, 60, 0))),
          { concurrency: 3 }
        )
      )
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      expect(yield* Fiber.join(others)).toEqual([true, false, false])
    })
  )

  it.scopedLive("nobody overwrites with a shared key alone", () =>
    Effect.gen(function* () {
      const { address, write } = yield* two(undefined)
      expect(
        yield* Effect.flip(
          pushed(address, [write("a", "a")], { policy: "overwrite", suite: "NNpsk0" })
        )
      ).toMatchObject({
        reason: "access"
      })
      expect((yield* pushed(address, [write("a", "a")], { suite: "NNpsk0" })).words).toEqual({
        a: "stored"
      })
    }).pipe(memory)
  )
})

describe("symbolic links", () => {
  const linked = Effect.gen(function* () {
    const { here, ...rest } = yield* two()
    plant(path.join(here, "top"), {
      file: Buffer.from("file"),
      inside: "file",
      sub: { up: "../file", out: "../../x", far: "../../../x" },
      absolute: "/etc/hostname",
      sly: "inside/../../x",
      loop: "."
    })
    return { here, ...rest }
  })

  it.scopedLive("are skipped, and said", () =>
    Effect.gen(function* () {
      const { here, address, there } = yield* linked
      const told = yield* pushed(address, [path.join(here, "top")])
      expect(told.leftOut.toSorted()).toEqual(
        ["absolute", "inside", "loop", "sly", "sub/far", "sub/out", "sub/up"].map(
          (name) => `link top/${name}`
        )
      )
      expect(Object.keys(told.words).toSorted()).toEqual(["top", "top/file", "top/sub"])
      expect(seen(there, { links: true }).filter((line) => line.startsWith("link"))).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("are kept where they stay inside", () =>
    Effect.gen(function* () {
      const { here, address, there } = yield* linked
      const told = yield* pushed(address, [path.join(here, "top")], { links: "keep" })
      expect(told.leftOut.toSorted()).toEqual(
        ["absolute", "sly", "sub/far"].map((name) => `outside top/${name}`)
      )
      expect(seen(there).filter((line) => line.startsWith("link"))).toEqual([
        "link top/inside file",
        "link top/loop .",
        "link top/sub/out ../../x",
        "link top/sub/up ../file"
      ])
      const back = yield* folder
      yield* pulled(address, ["top"], back, { links: "keep" })
      expect(seen(back)).toEqual(seen(there))
    }).pipe(memory)
  )

  it.scopedLive(
    "are followed by the user's own word, and by a server inside of its folder alone",
    () =>
      Effect.gen(function* () {
        const { here, address, there } = yield* linked
        writeFileSync(path.join(here, "x"), "outside")
        const told = yield* pushed(address, [path.join(here, "top")], { links: "follow" })
        expect(bytesOf(path.join(there, "top/sub/out"))).toBe("outside")
        expect(bytesOf(path.join(there, "top/inside"))).toBe("file")
        // A link to a folder that it lies in would never end.
        expect(told.leftOut).toContain("link top/loop")
        symlinkSync(path.join(here, "x"), path.join(there, "top/escape"))
        symlinkSync("../file", path.join(there, "top/sub/in"))
        const back = yield* folder
        const pull = yield* pulled(address, ["top"], back, { links: "follow" })
        expect(pull.leftOut).toEqual(["outside top/escape"])
        expect(bytesOf(path.join(back, "top/sub/in"))).toBe("file")
      }).pipe(memory)
  )
})

describe("going on", () => {
  const big = randomBytes(20 * MiB)

  interface Place {
    readonly address: Parameters<typeof pushed>[0]
    readonly there: string
    readonly events: ReadonlyArray<{ readonly _tag: string }>
  }

  /** A push that is cut when so many bytes have gone and are on the other disk, but for the last MiB. */
  const broken = ({ address, there, events }: Place, file: string, bytes: number) =>
    Effect.gen(function* () {
      const told = new Told()
      const cut = yield* Deferred.make<void>()
      const written = () =>
        partsIn(there).reduce((sum, name) => sum + statSync(path.join(there, name)).size, 0)
      const push = pushed(address, [file], {
        told,
        wrap: (channel) => ({
          ...channel,
          write: (piece) =>
            told.came < bytes
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

  it.scopedLive("sends what is missing, and no more", () =>
    Effect.gen(function* () {
      const place = yield* two()
      const { here, address, there } = place
      const file = path.join(here, "big")
      writeFileSync(file, big)
      yield* broken(place, file, 18 * MiB)
      expect(existsSync(path.join(there, "big"))).toBe(false)
      expect(partsIn(there)).toHaveLength(1)
      const told = yield* pushed(address, [file])
      expect(told.kept).toBe(16 * MiB)
      expect(told.came).toBe(4 * MiB)
      expect(seen(there)).toEqual(seen(here))
    }).pipe(memory)
  )

  it.scopedLive.each([
    [
      "an unfinished file with other bytes in it",
      (part: string) => writeFileSync(part, randomBytes(17 * MiB)),
      20
    ],
    [
      "one with a fault in its second block",
      (part: string) => {
        const bytes = readFileSync(part)
        bytes[9 * MiB] = (bytes[9 * MiB] as number) ^ 1
        writeFileSync(part, bytes)
      },
      12
    ],
    ["one that is too long", (part: string) => appendFileSync(part, Buffer.alloc(9 * MiB)), 20],
    ["one that lost its end", (part: string) => truncateSync(part, 9 * MiB), 12],
    ["one that lost everything", (part: string) => truncateSync(part, 0), 20]
  ] as const)("%s is never believed", ([, spoil, sent]) =>
    Effect.gen(function* () {
      const place = yield* two()
      const { here, address, there } = place
      const file = path.join(here, "big")
      writeFileSync(file, big)
      yield* broken(place, file, 18 * MiB)
      spoil(path.join(there, partsIn(there)[0] as string))
      const told = yield* pushed(address, [file])
      expect(told.came).toBe(sent * MiB)
      expect(seen(there)).toEqual(seen(here))
    }).pipe(memory)
  )

  it.scopedLive("with another source begins anew, and the old one's unfinished file goes", () =>
    Effect.gen(function* () {
      const place = yield* two()
      const { here, address, there } = place
      const file = path.join(here, "big")
      writeFileSync(file, big)
      yield* broken(place, file, 18 * MiB)
      const other = Buffer.concat([big.subarray(0, 9 * MiB), randomBytes(11 * MiB)])
      writeFileSync(file, other)
      utimesSync(file, 2e9, 2e9)
      yield* pushed(address, [file])
      expect(seen(there)).toEqual(seen(here))
      expect(partsIn(there)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("a source that changes while it is read is thrown away, and said", () =>
    Effect.gen(function* () {
      const { here, address, there } = yield* two()
      const file = path.join(here, "big")
      writeFileSync(file, big)
      const told = new Told()
      let changed = false
      yield* pushed(address, [file], {
        told,
        wrap: (channel) => ({
          ...channel,
          write: (piece) => {
            if (told.came > 5 * MiB && !changed) {
              changed = true
              appendFileSync(file, "more")
            }
            return channel.write(piece)
          }
        })
      })
      expect(told.words).toEqual({ big: "changed" })
      expect(seen(there)).toEqual([])
      expect(partsIn(there)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("is for one session at a time; another is told so", () =>
    Effect.gen(function* () {
      const { here, address, there } = yield* two()
      const file = path.join(here, "big")
      writeFileSync(file, big)
      const gate = yield* Deferred.make<void>()
      const told = new Told()
      const first = yield* Effect.fork(
        pushed(address, [file], {
          told,
          wrap: (channel) => ({
            ...channel,
            write: (piece) =>
              told.came > 2 * MiB
                ? Effect.zipRight(Deferred.await(gate), channel.write(piece))
                : channel.write(piece)
          })
        })
      )
      yield* waitUntil(
        "the first is under way",
        () => partsIn(there).length === 1 && told.came > 2 * MiB
      )
      expect((yield* pushed(address, [file])).words).toEqual({ big: "busy" })
      yield* Deferred.succeed(gate, undefined)
      yield* withTimeout("the first", Fiber.join(first))
      expect(seen(there)).toEqual(seen(here))
    }).pipe(memory)
  )

  it.scopedLive("a trial run says what would be, and changes nothing", () =>
    Effect.gen(function* () {
      const { here, there, address } = yield* two()
      plant(path.join(here, "top"), {
        new: Buffer.from("new"),
        same: Buffer.from("same"),
        other: Buffer.from("mine"),
        sub: { deep: Buffer.from("x") }
      })
      mkdirSync(path.join(there, "top"))
      writeFileSync(path.join(there, "top/same"), "same")
      writeFileSync(path.join(there, "top/other"), "them")
      const before = seen(there, { parts: true })
      const told = yield* pushed(address, [path.join(here, "top")], { dry: true })
      expect(told.words).toEqual({
        top: "made",
        "top/new": "dry",
        "top/same": "same",
        "top/other": "other",
        "top/sub": "made",
        "top/sub/deep": "dry"
      })
      expect(seen(there, { parts: true })).toEqual(before)
      const pull = yield* pulled(address, ["top"], yield* folder, { dry: true })
      expect(pull.words).toEqual({ top: "made", "top/same": "dry", "top/other": "dry" })
    }).pipe(memory)
  )
})

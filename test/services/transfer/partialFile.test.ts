// Partial files without a session: how they are created, locked, committed and removed, and what
// happens when somebody else touches them meanwhile.
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import files from "node:fs"
import net from "node:net"
import path from "node:path"
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { buildSync } from "esbuild"
import { limits, protocolLimits } from "../../../src/services/transfer/limits.ts"
import type { Entry } from "../../../src/services/transfer/Manifest.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import * as PartialFile from "../../../src/services/transfer/PartialFile.ts"
import { holderOf, lock } from "../../../src/services/transfer/PartialFileLock.ts"
import { costOf } from "../../../src/services/transfer/Quotas.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { withReplaced } from "../../testing/builtins.ts"
import { folderOfEachTest, sharedFolder } from "../../fixtures/folder.ts"

const canUnshare = spawnSync("unshare", ["--net", "true"]).status === 0

const folder = folderOfEachTest()
let directories: SafeDirectories
beforeEach(() => {
  directories = new SafeDirectories(folder())
})
afterEach(() => directories.close())
const at = (name: string) => path.join(folder(), name)

const tag = "0123abcd"
const size = protocolLimits.blockBytes + 1
const entry: Entry = {
  kind: "file",
  path: SafePath.root.localChild("big"),
  size,
  mode: 0o640,
  mtime: 1_700_000_000_000_001
}
const partialName = PartialFile.resumableName("big", tag, entry)
const openResumable = Effect.suspend(() =>
  PartialFile.openResumable(directories.root, "big", tag, entry)
)
/** Opens the partial file; fails if another session has it. */
const opened = Effect.flatMap(openResumable, (partial) =>
  typeof partial === "string" ? Effect.dieMessage(partial) : Effect.succeed(partial)
)

describe("a new partial file", () => {
  it("has a name of its own, mode 0600, and is never one that was there before", () => {
    const partial = PartialFile.create(directories.root, "small", tag)
    expect(Names.parsePartialName(partial.partialName)).toMatchObject({
      name: "small",
      peer: tag,
      kind: "0"
    })
    expect(statSync(at(partial.partialName)).mode & 0o777).toBe(0o600)
    const other = PartialFile.create(directories.root, "small", tag)
    expect(other.partialName).not.toBe(partial.partialName)
    for (const each of [partial, other]) each.discard()
    expect(readdirSync(folder())).toEqual([])
    expect(directories.root.pins).toBe(0)
  })

  it.effect("is not a file or link that somebody placed there", () =>
    Effect.gen(function* () {
      writeFileSync(at("victim"), "precious")
      const place = (put: (name: string) => void) =>
        withReplaced(
          files,
          "openSync",
          (open) =>
            (name, ...rest) => {
              if (String(name).endsWith(".part")) put(String(name))
              return open(name, ...rest)
            },
          Effect.try(() => PartialFile.create(directories.root, "small", tag))
        )
      for (const put of [
        (name: string) => symlinkSync(at("victim"), name),
        (name: string) => writeFileSync(name, "planted")
      ]) {
        expect((yield* Effect.flip(place(put))).cause).toMatchObject({ code: "EEXIST" })
        for (const name of readdirSync(folder())) if (name !== "victim") unlinkSync(at(name))
      }
      expect(readFileSync(at("victim"), "utf8")).toBe("precious")
    })
  )
})

describe("a resumable partial file", () => {
  it.effect("is found again, with its content, by its source only", () =>
    Effect.gen(function* () {
      const partial = yield* opened
      PartialFile.writeSmall(partial, Buffer.from("beginning"))
      partial.keepOrDiscard()
      const again = yield* opened
      expect([again.length, again.partialName]).toEqual([9, partial.partialName])
      again.release()
      for (const other of [
        { ...entry, size: size + 1 },
        { ...entry, mtime: entry.mtime + 1 },
        { ...entry, path: SafePath.root.localChild("bag") }
      ])
        expect(PartialFile.resumableName("big", tag, other)).not.toBe(partial.partialName)
      expect(PartialFile.resumableName("big", "0123abce", entry)).not.toBe(partial.partialName)
      expect(directories.root.pins).toBe(0)
    })
  )

  it.effect("is locked by one session; the next one gets it after the release", () =>
    Effect.gen(function* () {
      const first = yield* opened
      expect(yield* openResumable).toBe("held")
      first.release()
      const second = yield* opened
      second.release()
      const third = yield* opened
      third.discard()
      expect(readdirSync(folder())).toEqual([])
    })
  )

  it.effect("that is empty is discarded, not kept", () =>
    Effect.gen(function* () {
      const partial = yield* opened
      partial.keepOrDiscard()
      partial.keepOrDiscard()
      expect(readdirSync(folder())).toEqual([])
      expect(directories.root.pins).toBe(0)
    })
  )

  it.effect("that another session has replaced is not removed", () =>
    Effect.gen(function* () {
      for (const end of ["discard", "keepOrDiscard"] as const) {
        const partial = yield* opened
        PartialFile.writeSmall(partial, Buffer.from("mine"))
        unlinkSync(at(partialName))
        writeFileSync(at(partialName), "of another session", { mode: 0o600 })
        partial[end]()
        expect(readFileSync(at(partialName), "utf8")).toBe("of another session")
        unlinkSync(at(partialName))
      }
      expect(readdirSync(folder())).toEqual([])
    })
  )

  it.effect("that is longer than its source starts again", () =>
    Effect.gen(function* () {
      writeFileSync(at(partialName), Buffer.alloc(size + 1), { mode: 0o600 })
      const partial = yield* opened
      expect(partial.length).toBe(0)
      partial.discard()
    })
  )

  it.effect("that is a link, a FIFO or a folder is not touched", () =>
    Effect.gen(function* () {
      writeFileSync(at("victim"), "precious", { mode: 0o600 })
      symlinkSync(at("victim"), at(partialName))
      expect((yield* Effect.flip(openResumable)).code).toBe("ELOOP")
      unlinkSync(at(partialName))
      execFileSync("mkfifo", [at(partialName)])
      expect(yield* openResumable).toBe("unusable")
      expect(readFileSync(at("victim"), "utf8")).toBe("precious")
    })
  )

  it.effect("that has another name too, as after a kill during its commit, gives up its own", () =>
    Effect.gen(function* () {
      writeFileSync(at("big"), "complete", { mode: 0o600 })
      linkSync(at("big"), at(partialName))
      expect(yield* openResumable).toBe("held")
      const partial = yield* opened
      PartialFile.writeSmall(partial, Buffer.from("another"))
      expect([partial.costBefore, readFileSync(at("big"), "utf8")]).toEqual([0, "complete"])
      partial.discard()
    })
  )

  it.effect("that belongs to another user is not touched", (context) =>
    Effect.gen(function* () {
      if (process.getuid?.() !== 0) return context.skip("only root can give a file away")
      writeFileSync(at(partialName), "theirs", { mode: 0o666 })
      chownSync(at(partialName), 65534, 65534)
      expect(yield* openResumable).toBe("unusable")
      expect(readFileSync(at(partialName), "utf8")).toBe("theirs")
    })
  )

  it.effect("that is replaced between open and lock is not used", () =>
    Effect.gen(function* () {
      writeFileSync(at(partialName), "mine", { mode: 0o600 })
      let isReplaced = false
      const replaced = withReplaced(
        files,
        "openSync",
        (open) =>
          (...args) => {
            const fd = open(...args)
            if (isReplaced) return fd
            isReplaced = true
            renameSync(at(partialName), at("taken"))
            writeFileSync(at(partialName), "of another session", { mode: 0o600 })
            return fd
          },
        openResumable
      )
      expect(yield* replaced).toBe("held")
      expect(readFileSync(at(partialName), "utf8")).toBe("of another session")
      // The lock was given back.
      const partial = yield* opened
      partial.discard()
    })
  )
})

/** What bind(2) answers on a file system without sockets. */
const noSockets = Object.assign(new Error("no sockets"), { code: "EPERM" })

describe("the lock of a partial file", () => {
  const id = { dev: 7, ino: 8 }
  const locked = Effect.suspend(() => lock(directories.root, id))
  const locks = () => readdirSync(folder()).filter((name) => Names.isLock(name))

  it.live("keeps its holder while another session of this process tries to take it", () =>
    Effect.gen(function* () {
      const holder = { progress: () => 0, probe: () => {}, end: Effect.void }
      const unlock = yield* lock(directories.root, id, holder)
      expect(yield* locked).toBeUndefined()
      expect(holderOf(id)).toBe(holder)
      unlock?.()
      expect(holderOf(id)).toBeUndefined()
    })
  )

  /** The path of the entry of a session on another machine. */
  const foreign = (kind: "2" | "3", random = "0") =>
    at(Names.partialName("lock-8", "01234567", kind, random.repeat(15)))
  /** Makes an entry old enough to count as stale, unless it can be asked. */
  const makeOld = (entry: string) => {
    const past = Date.now() / 1000 - limits.lockStaleMillis / 1000 - 1
    utimesSync(entry, past, past)
  }

  // Bundled once: tsx would translate the imports in each process.
  const holder = path.join(sharedFolder(), "holder.mjs")
  beforeAll(() => {
    buildSync({
      entryPoints: [path.join(import.meta.dirname, "LockHolder.ts")],
      outfile: holder,
      bundle: true,
      platform: "node",
      format: "esm"
    })
  })

  /** A process that holds the lock, with this program before it. */
  const otherProcess = (...before: ReadonlyArray<string>) =>
    Effect.promise(async () => {
      const [program = "", ...args] = [...before, process.execPath, holder, folder()]
      const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
      const [said] = (await once(child.stdout, "data")) as [Buffer]
      expect(said.toString()).toBe("locked\n")
      return {
        stop: () => child.kill("SIGSTOP"),
        kill: async () => {
          child.kill("SIGKILL")
          await once(child, "exit")
        }
      }
    })

  it.effect("excludes other sessions of this process, until it is released", () =>
    Effect.gen(function* () {
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      expect(yield* locked).toBeUndefined()
      expect(locks()).toHaveLength(1)
      expect(statSync(at(locks()[0] ?? "")).mode & 0o777).toBe(0o600)
      unlock?.()
      expect(readdirSync(folder())).toEqual([])
      const second = yield* locked
      expect(typeof second).toBe("function")
      second?.()
    })
  )

  it.live("excludes other processes, until they have ended, also by SIGKILL", () =>
    Effect.gen(function* () {
      const { kill } = yield* otherProcess()
      expect(yield* locked).toBeUndefined()
      expect(locks()).toHaveLength(1)
      yield* Effect.promise(kill)
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      expect(locks()).toHaveLength(1)
      unlock?.()
      expect(readdirSync(folder())).toEqual([])
    })
  )

  it.live.skipIf(!canUnshare)("excludes processes in another network namespace", () =>
    Effect.gen(function* () {
      const { kill } = yield* otherProcess("unshare", "--net")
      expect(yield* locked).toBeUndefined()
      yield* Effect.promise(kill)
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      unlock?.()
    })
  )

  it.live("excludes sessions that cannot be asked while their lock is marked as in use", () =>
    Effect.gen(function* () {
      const other = foreign("2")
      // Of another kernel: of a file system without sockets, and of one with them.
      const makeSocket = Effect.promise(async () => {
        const server = net.createServer().listen(at("socket"))
        await once(server, "listening")
        renameSync(at("socket"), other)
        server.close()
      })
      for (const make of [Effect.sync(() => writeFileSync(other, "")), makeSocket]) {
        yield* make
        expect(yield* locked).toBeUndefined()
        expect(existsSync(other)).toBe(true)
        makeOld(other)
        const unlock = yield* locked
        expect(typeof unlock).toBe("function")
        expect(existsSync(other)).toBe(false)
        unlock?.()
      }
    })
  )

  it.live("is marked as in use while it is held", () =>
    Effect.gen(function* () {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] })
      const unlock = yield* locked
      const [name = ""] = locks()
      makeOld(at(name))
      const before = Date.now()
      vi.advanceTimersByTime(limits.lockBeatMillis)
      expect(statSync(at(name)).mtimeMs).toBeGreaterThan(before - 1000)
      unlock?.()
      expect(vi.getTimerCount()).toBe(0)
    }).pipe(Effect.ensuring(Effect.sync(() => vi.useRealTimers())))
  )

  it.live.skipIf(process.platform !== "linux")(
    "excludes a process that is stopped, even when no more can ask it",
    () =>
      Effect.gen(function* () {
        const { stop, kill } = yield* otherProcess()
        stop()
        const entry = at(locks()[0] ?? "")
        makeOld(entry)
        expect(yield* locked).toBeUndefined()
        // Fills the queue of its socket.
        const codes = new Set<string>()
        const sockets = Array.from({ length: 600 }, () => net.connect(entry))
        yield* Effect.promise(() =>
          Promise.all(
            sockets.map((socket) =>
              once(socket, "connect").catch(({ code }: NodeJS.ErrnoException) =>
                codes.add(code ?? "")
              )
            )
          )
        )
        expect([...codes]).toEqual(["EAGAIN"])
        expect(yield* locked).toBeUndefined()
        for (const socket of sockets) socket.destroy()
        yield* Effect.promise(kill)
        const unlock = yield* locked
        expect(typeof unlock).toBe("function")
        unlock?.()
      })
  )

  it.live("is had at a later attempt, when the other session ends meanwhile", () =>
    Effect.gen(function* () {
      writeFileSync(foreign("2"), "")
      let attempts = 0
      const unlock = yield* withReplaced(
        files,
        "renameSync",
        (rename) => (from, to) => {
          if (++attempts === 2) unlinkSync(foreign("2"))
          rename(from, to)
        },
        locked
      )
      expect([typeof unlock, attempts]).toEqual(["function", 2])
      unlock?.()
    })
  )

  it.live("is not kept by a session that is only about to ask for it", () =>
    Effect.gen(function* () {
      writeFileSync(foreign("3"), "")
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      unlock?.()
    })
  )

  const failing = (): never => {
    throw Object.assign(new Error("too many open files"), { code: "EMFILE" })
  }
  it.live("leaves nothing behind when the folder cannot be listed", () =>
    Effect.gen(function* () {
      const failed = withReplaced(files, "opendirSync", () => failing, Effect.flip(locked))
      expect((yield* failed).code).toBe("EMFILE")
      expect(readdirSync(folder())).toEqual([])
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      unlock?.()
    })
  )

  it.live("of a session that has ended is removed with what else is left, and no other", () =>
    Effect.gen(function* () {
      const [ended, used, making, madeNever] = [
        foreign("2", "0"),
        foreign("2", "1"),
        foreign("3", "2"),
        foreign("3", "3")
      ] as const
      for (const each of [ended, used, making, madeNever]) writeFileSync(each, "")
      for (const each of [ended, madeNever]) makeOld(each)
      writeFileSync(at("file"), "")
      makeOld(at("file"))
      yield* PartialFile.removeLeftovers(directories.root, readdirSync(folder()), tag)
      expect(readdirSync(folder()).toSorted()).toEqual(
        ["file", path.basename(used), path.basename(making)].toSorted()
      )
    })
  )

  it.live.skipIf(process.getuid?.() !== 0)("is not held by what another user puts there", () =>
    Effect.gen(function* () {
      const planted = at(Names.partialName("lock-8", "01234567", "2", "0".repeat(15)))
      writeFileSync(planted, "")
      chownSync(planted, 65534, 65534)
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      unlock?.()
    })
  )

  it.live("is a file where there can be no socket", () =>
    Effect.gen(function* () {
      const unlock = yield* withReplaced(
        net.Server.prototype,
        "listen",
        () =>
          function (this: net.Server) {
            queueMicrotask(() => this.emit("error", noSockets))
            return this
          },
        locked
      )
      expect(statSync(at(locks()[0] ?? "")).isFile()).toBe(true)
      unlock?.()
      expect(readdirSync(folder())).toEqual([])
    })
  )

  it.live("goes to at most one of many that want it at once", () =>
    Effect.gen(function* () {
      const kills = yield* Effect.all(
        Array.from({ length: 3 }, () =>
          Effect.promise(async () => {
            const child = spawn(process.execPath, [holder, folder()], {
              stdio: ["ignore", "pipe", "inherit"]
            })
            const [said] = (await once(child.stdout, "data")) as [Buffer]
            return { child, said: said.toString() }
          })
        ),
        { concurrency: "unbounded" }
      )
      expect(kills.filter(({ said }) => said === "locked\n").length).toBeLessThanOrEqual(1)
      for (const { child } of kills) child.kill("SIGKILL")
      yield* Effect.promise(() =>
        Promise.all(
          kills.map(({ child }) => child.exitCode ?? child.signalCode ?? once(child, "exit"))
        )
      )
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      unlock?.()
    })
  )
})

describe("a partial file that another session writes", () => {
  it.effect("is not removed for another version of the source", () =>
    Effect.gen(function* () {
      const writing = yield* opened
      const newer = { ...entry, mtime: entry.mtime + 1 }
      const remove = PartialFile.removeOtherVersions(
        directories.root,
        [writing.partialName],
        "big",
        tag,
        newer
      )
      yield* remove
      expect(existsSync(at(writing.partialName))).toBe(true)
      writing.release()
      yield* remove
      expect(existsSync(at(writing.partialName))).toBe(false)
    })
  )

  it.live("is not removed if it was begun again while the earlier one was being locked", () =>
    Effect.gen(function* () {
      const other = PartialFile.resumableName("big", tag, { ...entry, mtime: 1 })
      writeFileSync(at(other), "earlier", { mode: 0o600 })
      const removing = Effect.runPromise(
        PartialFile.removeOtherVersions(directories.root, [other], "big", tag, entry)
      )
      // The earlier one stays beside it, so that its inode is not used again.
      renameSync(at(other), at("finished"))
      writeFileSync(at(other), "begun again", { mode: 0o600 })
      yield* Effect.promise(() => removing)
      expect(readFileSync(at(other), "utf8")).toBe("begun again")
    })
  )
})

describe("commit", () => {
  const written = (text: string) => {
    const partial = PartialFile.create(directories.root, "file", tag)
    PartialFile.writeSmall(partial, Buffer.from(text))
    return partial
  }

  it("never replaces a file, unless it may; nothing is left beside it", () => {
    const first = written("first")
    first.commit("file", false)
    first.release()
    expect(readdirSync(folder())).toEqual(["file"])
    const second = written("second")
    expect(() => second.commit("file", false)).toThrow("EEXIST")
    expect(readFileSync(at("file"), "utf8")).toBe("first")
    second.commit("file", true)
    second.release()
    expect(readFileSync(at("file"), "utf8")).toBe("second")
    expect(readdirSync(folder())).toEqual(["file"])
  })

  it("replaces a link itself, not the file that it leads to", () => {
    writeFileSync(at("victim"), "precious")
    symlinkSync("victim", at("file"))
    const partial = written("new")
    expect(() => partial.commit("file", false)).toThrow("EEXIST")
    partial.commit("file", true)
    partial.release()
    expect(readFileSync(at("victim"), "utf8")).toBe("precious")
    expect(readFileSync(at("file"), "utf8")).toBe("new")
  })

  it.effect("of a partial file that another session has replaced fails", () =>
    Effect.gen(function* () {
      for (const overwrite of [false, true]) {
        const partial = yield* opened
        PartialFile.writeSmall(partial, Buffer.from("mine"))
        unlinkSync(at(partialName))
        writeFileSync(at(partialName), "of another session")
        expect(() => partial.commit("big", overwrite)).toThrow("the partial file was replaced")
        partial.release()
        expect(existsSync(at("big"))).toBe(false)
        unlinkSync(at(partialName))
      }
    })
  )

  it("sets size, mode and time", () => {
    const partial = written("abc")
    partial.applyAttributes({ ...entry, size: 10 })
    partial.commit("file", false)
    const stats = fstatSync(partial.fd, { bigint: true })
    expect([stats.size, stats.mode & 0o777n, stats.mtimeNs / 1000n]).toEqual([
      10n,
      0o640n,
      BigInt(entry.mtime)
    ])
    partial.truncate(2)
    expect(partial.length).toBe(2)
    partial.truncate(5)
    expect(partial.length).toBe(2)
    partial.release()
  })
})

describe("the quota", () => {
  /** The costs with which the reservation of a partial file is settled. */
  const settledBy = (partial: PartialFile.PartialFile, use: () => void): ReadonlyArray<number> => {
    const settled: Array<number> = []
    partial.charge = {
      settle: (cost) => settled.push(cost),
      cancel: () => {},
      recount: () => true
    }
    use()
    partial.release()
    return settled
  }

  it.effect("is charged what stays: nothing, the part that was kept, or the file", () =>
    Effect.gen(function* () {
      const discarded = yield* opened
      expect(discarded.costBefore).toBe(0)
      expect(settledBy(discarded, () => discarded.discard())).toEqual([0])
      const kept = yield* opened
      PartialFile.writeSmall(kept, Buffer.from("beginning"))
      expect(settledBy(kept, () => kept.keepOrDiscard())).toEqual([costOf(9)])
      const complete = yield* opened
      expect(complete.costBefore).toBe(costOf(9))
      expect(settledBy(complete, () => complete.commit("file", false))).toEqual([costOf(9)])
    })
  )

  it("is charged the difference from what was replaced", () => {
    writeFileSync(at("file"), "1234567")
    const partial = PartialFile.create(directories.root, "file", tag)
    PartialFile.writeSmall(partial, Buffer.from("12345"))
    expect(settledBy(partial, () => partial.commit("file", true))).toEqual([costOf(5) - costOf(7)])
  })
})

describe("what is left of earlier sessions", () => {
  const old = (name: string) => {
    writeFileSync(at(name), "half")
    return name
  }
  const random = (peer: string, kind: "0" | "1") =>
    old(Names.partialName("big", peer, kind, "0123456789abcde"))
  /** Runs as if it were this much later: the time of a change cannot be set. */
  const later = async (millis: number, use: () => Promise<void>) => {
    const { now } = Date
    Date.now = () => now() + millis
    try {
      await use()
    } finally {
      Date.now = now
    }
  }

  it("is removed when it is of this peer, cannot be resumed, and is old", async () => {
    const mine = random(tag, "0")
    const kept = [random("ffffffff", "0"), random(tag, "1"), old("big"), old("x.part")]
    const remove = () =>
      Effect.runPromise(PartialFile.removeLeftovers(directories.root, readdirSync(folder()), tag))
    await later(limits.leftoverMillis - 10_000, remove)
    expect(readdirSync(folder()).toSorted()).toEqual([...kept, mine].toSorted())
    await later(limits.leftoverMillis + 10_000, remove)
    expect(readdirSync(folder()).toSorted()).toEqual(kept.toSorted())
  })

  it("is not removed while this process writes it", async () => {
    const partial = PartialFile.create(directories.root, "small", tag)
    const names = [partial.partialName]
    const remove = () =>
      later(limits.leftoverMillis + 10_000, () =>
        Effect.runPromise(PartialFile.removeLeftovers(directories.root, names, tag))
      )
    await remove()
    expect(readdirSync(folder())).toEqual(names)
    partial.release()
    await remove()
    expect(readdirSync(folder())).toEqual([])
  })

  it("of other versions of a source is removed, and nothing else", async () => {
    const current = old(partialName)
    const earlier = [
      old(PartialFile.resumableName("big", tag, { ...entry, size: size + 5 })),
      old(PartialFile.resumableName("big", tag, { ...entry, mtime: 1 }))
    ]
    const kept = [
      current,
      old(PartialFile.resumableName("big", "ffffffff", { ...entry, mtime: 1 })),
      old(PartialFile.resumableName("bag", tag, { ...entry, mtime: 1 })),
      random(tag, "0")
    ]
    await Effect.runPromise(
      PartialFile.removeOtherVersions(directories.root, readdirSync(folder()), "big", tag, entry)
    )
    expect(earlier.filter((name) => existsSync(at(name)))).toEqual([])
    expect(readdirSync(folder()).toSorted()).toEqual(kept.toSorted())
  })
})

it("an existing file is opened only if it is one, and without waiting", () => {
  writeFileSync(at("file"), "text")
  symlinkSync("file", at("link"))
  execFileSync("mkfifo", [at("fifo")])
  const { root } = directories
  const fd = PartialFile.openExisting(root, "file")
  expect(typeof fd).toBe("number")
  if (fd !== undefined) closeSync(fd)
  expect(() => PartialFile.openExisting(root, "link")).toThrow("ELOOP")
  // A writer that keeps the FIFO open, so that a wrong flag fails the test instead of blocking it.
  const writer = openSync(at("fifo"), constants.O_RDWR)
  const flags: Array<number> = []
  const seen = withReplaced(
    files,
    "openSync",
    (open) =>
      (name, how, ...rest) => {
        flags.push(Number(how))
        return open(name, how, ...rest)
      },
    Effect.sync(() => PartialFile.openExisting(root, "fifo"))
  )
  expect(Effect.runSync(seen)).toBeUndefined()
  closeSync(writer)
  const wanted = constants.O_NOFOLLOW | constants.O_NONBLOCK
  expect(flags.map((each) => each & wanted)).toEqual([wanted])
})

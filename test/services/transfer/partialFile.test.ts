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
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { limits, protocolLimits } from "../../../src/services/transfer/limits.ts"
import type { Entry } from "../../../src/services/transfer/Manifest.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import * as PartialFile from "../../../src/services/transfer/PartialFile.ts"
import { lock } from "../../../src/services/transfer/PartialFileLock.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { withReplaced } from "../../testing/builtins.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

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
  partial === undefined ? Effect.dieMessage("busy") : Effect.succeed(partial)
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
      expect(yield* openResumable).toBeUndefined()
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

  it.effect("that is longer than its source starts again", () =>
    Effect.gen(function* () {
      writeFileSync(at(partialName), Buffer.alloc(size + 1), { mode: 0o600 })
      const partial = yield* opened
      expect(partial.length).toBe(0)
      partial.discard()
    })
  )

  it.effect("that is a link, a FIFO, a folder, or has another name too is not touched", () =>
    Effect.gen(function* () {
      writeFileSync(at("victim"), "precious", { mode: 0o600 })
      symlinkSync(at("victim"), at(partialName))
      expect((yield* Effect.flip(openResumable)).code).toBe("ELOOP")
      unlinkSync(at(partialName))
      linkSync(at("victim"), at(partialName))
      expect(yield* openResumable).toBeUndefined()
      unlinkSync(at(partialName))
      execFileSync("mkfifo", [at(partialName)])
      expect(yield* openResumable).toBeUndefined()
      expect(readFileSync(at("victim"), "utf8")).toBe("precious")
    })
  )

  it.effect("that belongs to another user is not touched", (context) =>
    Effect.gen(function* () {
      if (process.getuid?.() !== 0) return context.skip("only root can give a file away")
      writeFileSync(at(partialName), "theirs", { mode: 0o666 })
      chownSync(at(partialName), 65534, 65534)
      expect(yield* openResumable).toBeUndefined()
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
      expect(yield* replaced).toBeUndefined()
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

  /** A process that holds the lock, with this program before it; returns a function that kills it. */
  const otherProcess = (...before: ReadonlyArray<string>) =>
    Effect.promise(async () => {
      const [program = "", ...args] = [
        ...before,
        process.execPath,
        "--import",
        "tsx",
        path.join(import.meta.dirname, "LockHolder.ts"),
        folder()
      ]
      const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
      const [said] = (await once(child.stdout, "data")) as [Buffer]
      expect(said.toString()).toBe("locked\n")
      return async () => {
        child.kill("SIGKILL")
        await once(child, "exit")
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
      const kill = yield* otherProcess()
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
      const kill = yield* otherProcess("unshare", "--net")
      expect(yield* locked).toBeUndefined()
      yield* Effect.promise(kill)
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      unlock?.()
    })
  )

  it.live("excludes sessions that cannot be asked while their lock is marked as in use", () =>
    Effect.gen(function* () {
      // Of another kernel, and of a file system without sockets.
      const foreign = at(Names.partialName("lock-8", "01234567", "2", "0".repeat(15)))
      writeFileSync(foreign, "")
      expect(yield* locked).toBeUndefined()
      expect(existsSync(foreign)).toBe(true)
      const past = Date.now() / 1000 - limits.lockStaleMillis / 1000 - 1
      utimesSync(foreign, past, past)
      const unlock = yield* locked
      expect(typeof unlock).toBe("function")
      expect(existsSync(foreign)).toBe(false)
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
            const child = spawn(
              process.execPath,
              ["--import", "tsx", path.join(import.meta.dirname, "LockHolder.ts"), folder()],
              { stdio: ["ignore", "pipe", "inherit"] }
            )
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

// The files, folders and links that are sent, and how they are opened.
import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import files from "node:fs"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { FileWalker } from "../../../src/services/transfer/FileWalker.ts"
import { memoryOf } from "../../../src/services/transfer/Manifest.ts"
import type { LinkPolicy } from "../../../src/services/transfer/Messages.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { waitUntil } from "../../../src/testing/steps.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()
let directories: SafeDirectories
beforeEach(() => {
  mkdirSync(path.join(folder(), "top"))
  directories = new SafeDirectories(path.join(folder(), "top"))
})
afterEach(() => directories.close())
const at = (name: string) => path.join(folder(), "top", name)

/** Walks the whole folder as a server does, which follows links only inside it. */
const walk = (links: LinkPolicy, isServed = true) =>
  Effect.gen(function* () {
    const walker = new FileWalker(links, isServed ? directories : undefined)
    yield* walker.add(directories, SafePath.root, SafePath.root)
    const sources = walker.sorted() ?? []
    return {
      sources,
      sent: sources.map(({ entry }) => `${entry.kind} ${entry.path.text}`),
      leftOut: walker.leftOut.map(({ reason, path: omitted }) => `${reason} ${omitted}`).toSorted(),
      close: () => walker.close()
    }
  })

describe("a walk", () => {
  it.effect("leaves out what is neither file nor folder, without opening it", () =>
    Effect.gen(function* () {
      writeFileSync(at("file"), "text")
      execFileSync("mkfifo", [at("fifo")])
      expect(yield* walk("skip")).toMatchObject({
        sent: ["file file"],
        leftOut: ["special fifo"]
      })
    })
  )

  it.effect("leaves out a name that is not UTF-8, and a link to one", () =>
    Effect.gen(function* () {
      writeFileSync(Buffer.concat([Buffer.from(at("na")), Buffer.of(0xff)]), "text")
      symlinkSync(Buffer.of(0xff), at("link"))
      expect(yield* walk("keep")).toMatchObject({
        sent: [],
        leftOut: ["name link", "name na\\xff"]
      })
    })
  )

  it.effect("never sends the locks of sessions, nor reports them", () =>
    Effect.gen(function* () {
      for (const kind of ["2", "3"] as const)
        writeFileSync(at(Names.partialName("lock-8", "01234567", kind, "0".repeat(15))), "")
      expect(yield* walk("skip")).toMatchObject({ sent: [], leftOut: [] })
    })
  )

  it.effect("keeps links that stay inside, and no others", () =>
    Effect.gen(function* () {
      mkdirSync(at("in/side"), { recursive: true })
      symlinkSync("../../file", at("in/side/up"))
      symlinkSync("../../../file", at("in/side/out"))
      symlinkSync("/etc/passwd", at("absolute"))
      symlinkSync("..", at("parent"))
      symlinkSync("in/../../x", at("through"))
      const kept = yield* walk("keep")
      expect(kept.sent).toEqual(["folder in", "folder in/side", "link in/side/up"])
      expect(kept.leftOut).toEqual([
        "outside absolute",
        "outside in/side/out",
        "outside parent",
        "outside through"
      ])
    })
  )

  it.effect("of a server follows links only inside its folder, and never in a circle", () =>
    Effect.gen(function* () {
      mkdirSync(at("in"))
      writeFileSync(at("in/file"), "text")
      mkdirSync(path.join(folder(), "outside"))
      writeFileSync(path.join(folder(), "outside/secret"), "secret")
      symlinkSync("../in/file", at("in/same"))
      symlinkSync("..", at("in/circle"))
      symlinkSync("../in", at("in/circle2"))
      symlinkSync("../outside", at("out"))
      symlinkSync("../outside/secret", at("secret"))
      const followed = yield* walk("follow")
      expect(followed.sent).toEqual(["folder in", "file in/file", "file in/same"])
      expect(followed.leftOut).toContain("outside out")
      expect(followed.leftOut).toContain("outside secret")
      expect(followed.leftOut.filter((text) => text.includes("circle"))).toEqual([
        "link in/circle2",
        "outside in/circle"
      ])
      const own = yield* walk("follow", false)
      expect(own.sent).toContain("file secret")
      expect(own.sent).toContain("file out/secret")
      own.close()
      expect((yield* walk("skip")).leftOut.length).toBe(5)
    })
  )
})

describe("a pull", () => {
  const paths = (...texts: ReadonlyArray<string>) =>
    texts.map((text) => SafePath.local(text) ?? SafePath.root)
  /** Walks as the server of a pull does, with memory for `entries` short entries. */
  const request = (
    requested: ReadonlyArray<SafePath>,
    { links = "skip" as LinkPolicy, entries = Infinity, turn = Effect.void } = {}
  ) => {
    // A short path takes less than 300 bytes.
    let left = entries * 300
    const walker = new FileWalker(links, directories, {
      reserve: (bytes) => (left -= bytes) >= 0,
      release: (bytes) => void (left += bytes)
    })
    const sent = () => walker.sources.map(({ entry }) => entry.path.text)
    const leftOut = () => walker.leftOut.map(({ reason, path: omitted }) => `${reason} ${omitted}`)
    return { walker, sent, leftOut, walk: walker.addRequested(directories, requested, turn) }
  }
  const stopped = (reason: string) => ({ _tag: "TransferStopped", reason, side: "here" })

  it.effect("of the same paths walks each once", () =>
    Effect.gen(function* () {
      mkdirSync(at("in"))
      writeFileSync(at("in/file"), "text")
      writeFileSync(at("other"), "text")
      symlinkSync("other", at("link"))
      const { walk, sent, leftOut } = request(
        paths(
          ...Array.from({ length: 1000 }, () => ""),
          "in",
          "in",
          "link",
          "other",
          "gone",
          "gone"
        )
      )
      yield* walk
      expect(sent()).toEqual(["in", "in/file", "other"])
      expect(leftOut()).toEqual(["missing gone", "link link"])
    })
  )

  it.effect("sends its entries in the order of a manifest, whatever order it has", () =>
    Effect.gen(function* () {
      for (const name of ["b", "a", "c"]) {
        mkdirSync(at(name))
        writeFileSync(at(`${name}/file`), "text")
      }
      const { walk, sent } = request(paths("c", "a/file", "b"))
      yield* walk
      expect(sent()).toEqual(["b", "b/file", "c", "c/file", "file"])
    })
  )

  it.effect("of two paths with one last name sends the first that exists", () =>
    Effect.gen(function* () {
      for (const name of ["a", "b", "c"]) mkdirSync(at(name))
      for (const name of ["b", "c"]) writeFileSync(at(`${name}/same`), name)
      const { walk, walker, leftOut } = request(paths("a/same", "b/same", "c/same"))
      yield* walk
      expect(walker.sources.map(({ source }) => source.text)).toEqual(["b/same"])
      expect(leftOut()).toEqual(["missing a/same", "twice c/same"])
    })
  )

  it.effect("of nothing that exists fails, and of something reports the rest", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(request(paths("a", "b")).walk)).toMatchObject(stopped("notFound"))
      writeFileSync(at("b"), "text")
      const { walk, leftOut } = request(paths("a", "b"))
      yield* walk
      expect(leftOut()).toEqual(["missing a"])
      // An empty folder exists.
      rmSync(at("b"))
      yield* request(paths("")).walk
    })
  )

  it.effect("through links that lead to each other ends at the limit of memory", () =>
    Effect.gen(function* () {
      // 2^30 paths in 30 folders.
      for (let level = 0; level < 30; level++) {
        mkdirSync(at(`d${level}`))
        for (const side of ["l", "r"]) symlinkSync(`../d${level + 1}`, at(`d${level}/${side}`))
      }
      const { walk } = request(paths("d0"), { links: "follow", entries: 2000 })
      expect(yield* Effect.flip(walk)).toMatchObject(stopped("tooMuch"))
    })
  )

  it.effect("of links with long paths ends at the limit of a manifest", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 15 }, () => "d".repeat(255))
      mkdirSync(at(names.join("/")), { recursive: true })
      const deep = new SafeDirectories(path.join(folder(), "top"))
      const parent = deep.get(SafePath.local(names.join("/")) ?? SafePath.root)
      for (let count = 0; count < 9000; count++)
        symlinkSync("x", parent.pathOf(`l${count.toString().padStart(5, "0")}`))
      deep.close()
      for (const links of ["skip", "keep"] as const) {
        const { walk, walker } = request(paths(""), { links })
        expect(yield* Effect.flip(walk)).toMatchObject(stopped("tooMuch"))
        expect(walker.leftOut.length + walker.sources.length).toBeLessThan(9000)
      }
    })
  )

  it.effect("ends with the memory of its entries alone, whatever was requested twice", () =>
    Effect.gen(function* () {
      mkdirSync(at("in/deep"), { recursive: true })
      for (const name of ["file", "in/file", "in/deep/file"]) writeFileSync(at(name), "text")
      symlinkSync("file", at("in/link"))
      for (const requested of [[""], ["", ""], ["in", "file", ""], ["", "in/file", "in"]]) {
        let held = 0
        const walker = new FileWalker("skip", directories, {
          reserve: (bytes) => {
            held += bytes
            return true
          },
          release: (bytes) => {
            held -= bytes
          }
        })
        yield* walker.addRequested(directories, paths(...requested), Effect.void)
        const costs = walker.sources.map(
          ({ entry, source }) =>
            memoryOf(entry.path) + (entry.path.text === source.text ? 0 : memoryOf(source))
        )
        expect([requested, held]).toEqual([requested, costs.reduce((sum, each) => sum + each, 0)])
      }
    })
  )

  it.effect("holds names and entries once, and no name of a folder that it has left", () =>
    Effect.gen(function* () {
      for (const name of ["a", "b", "c", "d"]) {
        mkdirSync(at(name))
        for (let count = 0; count < 50; count++) symlinkSync("x", at(`${name}/${count}`))
      }
      yield* request(paths(""), { entries: 60 }).walk
      expect(yield* Effect.flip(request(paths(""), { entries: 40 }).walk)).toMatchObject(
        stopped("tooMuch")
      )
    })
  )

  it.live("waits while its entries cannot be sent, and closes what it has open", () =>
    Effect.gen(function* () {
      mkdirSync(at("many"))
      for (let count = 0; count < 2000; count++) writeFileSync(at(`many/${count}`), "")
      const openNow = () =>
        process.platform === "linux" ? files.readdirSync("/proc/self/fd").length : 0
      const before = openNow()
      let turns = 0
      const { walk, sent } = request(paths("many"), {
        // The receiver takes the entries of some turns, and no more.
        turn: Effect.suspend(() => (++turns > 9 ? Effect.never : Effect.void))
      })
      const walking = yield* Effect.fork(walk)
      yield* waitUntil("a walk that waits", () => turns === 10)
      yield* Effect.sleep("50 millis")
      expect([turns, sent().length < 2001]).toEqual([10, true])
      yield* Fiber.interrupt(walking)
      // The folder itself stays open for its files.
      expect(openNow()).toBeLessThanOrEqual(before + 1)
    })
  )
})

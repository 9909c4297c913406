// The answers for entries whose name is taken, under each policy: by a file, a link, a folder, and
// by another entry of the same transfer whose name differs only in case.
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  DestinationCheck,
  digestMemory,
  type DestinationCheckOptions
} from "../../../src/services/transfer/DestinationCheck.ts"
import { protocolLimits } from "../../../src/services/transfer/limits.ts"
import type { Entry, Kind } from "../../../src/services/transfer/Manifest.ts"
import { policies, type Policy } from "../../../src/services/transfer/Messages.ts"
import { costOf, noCharge, type Quota, type Upload } from "../../../src/services/transfer/Quotas.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()
let directories: SafeDirectories
beforeEach(() => {
  directories = new SafeDirectories(folder())
})
afterEach(() => directories.close())
const at = (name: string) => path.join(folder(), name)

const entryOf = (kind: Kind, name: string, rest: Partial<Entry> = {}): Entry => ({
  kind,
  path: SafePath.local(name) ?? SafePath.root,
  size: 0,
  mode: 0o600,
  mtime: 1,
  ...rest
})

interface Given {
  readonly policy: Policy
  readonly collides?: boolean
  readonly quota?: Quota
  readonly dry?: boolean
  readonly memory?: DestinationCheckOptions["memory"]
}

const resultFor = (entry: Entry, { policy, collides = false, quota, dry = false, memory }: Given) =>
  Effect.gen(function* () {
    const check = new DestinationCheck({
      directories,
      tag: "0123abcd",
      policy,
      dry,
      reportFailure: () => Effect.void,
      entries: [entry],
      collisions: new Set(collides ? [0] : []),
      ...(quota === undefined ? {} : { quota }),
      ...(memory === undefined ? {} : { memory })
    })
    const result = yield* check.check(0)
    check.abandon()
    return result
  })

const answerFor = (entry: Entry, given: Given) =>
  Effect.map(resultFor(entry, given), ({ answer }) => answer)

/** The answers under refuse, skip, rename and overwrite. */
const answersFor = (entry: Entry, rest: Omit<Given, "policy"> = {}) =>
  Effect.forEach(policies, (policy) => answerFor(entry, { policy, ...rest }))

describe("a file", () => {
  it.effect("whose name is free is wanted", () =>
    Effect.gen(function* () {
      const free = ["want", "want", "want", "want"]
      expect(yield* answersFor(entryOf("file", "file", { size: 5 }))).toEqual(free)
      expect(yield* answersFor(entryOf("file", "file", { size: 5 }), { dry: true })).toEqual(free)
    })
  )

  it.effect("whose name is taken by a file of another length", () =>
    Effect.gen(function* () {
      writeFileSync(at("file"), "1234567")
      const entry = entryOf("file", "file", { size: 5 })
      expect(yield* answersFor(entry)).toEqual(["exists", "skipped", "want", "want"])
    })
  )

  it.effect("whose name is taken by a file of its length is compared", () =>
    Effect.gen(function* () {
      writeFileSync(at("file"), "12345")
      const entry = entryOf("file", "file", { size: 5 })
      expect(yield* answersFor(entry)).toEqual(["differs", "skipped", "compare", "compare"])
    })
  )

  it.effect("never takes the place of a folder, and that of a link only to overwrite", () =>
    Effect.gen(function* () {
      mkdirSync(at("folder"))
      writeFileSync(at("victim"), "12345")
      symlinkSync("victim", at("link"))
      const answers = (name: string) => answersFor(entryOf("file", name, { size: 5 }))
      expect(yield* answers("folder")).toEqual(["exists", "skipped", "want", "exists"])
      expect(yield* answers("link")).toEqual(["exists", "skipped", "want", "want"])
      // The length of a link is that of its target.
      symlinkSync("other", at("alike"))
      expect(yield* answers("alike")).toEqual(["exists", "skipped", "want", "want"])
      expect(readFileSync(at("victim"), "utf8")).toBe("12345")
    })
  )

  it.effect("whose name is that of an entry before it in another case is not overwritten", () =>
    Effect.gen(function* () {
      writeFileSync(at("FILE"), "1234567")
      const entry = entryOf("file", "FILE", { size: 5 })
      expect(yield* answersFor(entry, { collides: true })).toEqual([
        "exists",
        "skipped",
        "want",
        "exists"
      ])
    })
  )

  it.effect("is charged what it needs more; a numbered copy is charged as a new file", () =>
    Effect.gen(function* () {
      writeFileSync(at("file"), "1234567")
      const entry = entryOf("file", "file", { size: 10 })
      const charged: Array<Upload> = []
      const quota: Quota = {
        charge: ({ cost, partialCost, replaces }) => {
          charged.push({
            cost,
            partialCost,
            ...(replaces === undefined ? {} : { replaces })
          })
          return noCharge
        },
        add: () => true,
        remove: () => {}
      }
      const large = { size: 65 * 1024 }
      yield* answerFor(entry, { policy: "overwrite", quota })
      yield* answerFor(entry, { policy: "rename", quota })
      yield* answerFor(entryOf("file", "new", { size: 10 }), { policy: "rename", quota })
      // It may be cut, and its partial file then stands beside the file that is there.
      yield* answerFor(entryOf("file", "file", large), { policy: "overwrite", quota })
      expect(charged).toEqual([
        { cost: costOf(10), partialCost: 0, replaces: { path: "file", cost: costOf(7) } },
        { cost: costOf(10), partialCost: 0 },
        { cost: costOf(10), partialCost: 0 },
        { cost: costOf(large.size), partialCost: 0 }
      ])
      const full: Quota = { charge: () => undefined, add: () => false, remove: () => {} }
      expect(yield* answerFor(entry, { policy: "overwrite", quota: full })).toBe("quota")
      expect(yield* answerFor(entry, { policy: "rename", quota: full })).toBe("quota")
    })
  )
})

describe("the memory of a peer", () => {
  it.effect("has the digests of the answer, and no others", () =>
    Effect.gen(function* () {
      writeFileSync(at("same length"), "12345")
      writeFileSync(at("other length"), "1234567")
      for (const name of ["same length", "other length", "free"])
        for (const policy of policies) {
          let held = 0
          const memory = {
            reserve: (bytes: number) => {
              held += bytes
              return true
            },
            release: (bytes: number) => {
              held -= bytes
            }
          }
          const { digests } = yield* resultFor(entryOf("file", name, { size: 5 }), {
            policy,
            memory
          })
          expect([name, policy, held]).toEqual([name, policy, digestMemory(digests.length)])
        }
    })
  )

  it.effect("that is in use makes it wait to compare a file", () =>
    Effect.gen(function* () {
      writeFileSync(at("file"), "12345")
      const memory = { reserve: () => false, release: () => {} }
      const answer = (name: string) =>
        answerFor(entryOf("file", name, { size: 5 }), { policy: "overwrite", memory })
      expect([yield* answer("file"), yield* answer("free")]).toEqual(["busy", "want"])
    })
  )
})

it.live("a file that does not fit waits for the earlier ones, whose answers are sent before", () =>
  Effect.gen(function* () {
    const steps: Array<string> = []
    // One at a time.
    let isFree = true
    const quota: Quota = {
      charge: ({ onSettled }) => {
        if (!isFree) return undefined
        isFree = false
        const settle = () => {
          isFree = true
          onSettled?.()
        }
        return { ...noCharge, settle, cancel: settle }
      },
      add: () => true,
      remove: () => {}
    }
    const check = new DestinationCheck({
      directories,
      tag: "0123abcd",
      policy: "overwrite",
      dry: false,
      reportFailure: () => Effect.void,
      entries: ["a", "b"].map((name) => entryOf("file", name, { size: 5 })),
      collisions: new Set(),
      quota
    })
    check.beforeWaiting = Effect.sync(() => steps.push("send the answers"))
    const first = yield* check.check(0)
    check.handOver()
    const waiting = yield* Effect.fork(
      Effect.tap(check.check(1), ({ answer }) => Effect.sync(() => steps.push(answer)))
    )
    yield* pause(20)
    steps.push("stored")
    first.charge?.settle(costOf(5))
    yield* withTimeout("the second answer", Fiber.join(waiting))
    expect(steps).toEqual(["send the answers", "stored", "want"])
    // Of another session nothing will be settled here.
    check.abandon()
    isFree = false
    expect((yield* withTimeout("the third answer", check.check(0))).answer).toBe("quota")
  })
)

describe("the quota", () => {
  /** A quota without a limit, and the cost of all that was added to it. */
  const counting = (recount = true) => {
    const total = { cost: 0 }
    const quota: Quota = {
      charge: () => ({ ...noCharge, recount: () => recount }),
      add: (cost) => {
        total.cost += cost
        return true
      },
      remove: (cost) => {
        total.cost -= cost
      }
    }
    return { total, quota }
  }

  it.effect("gets back what was reserved for a folder or link that could not be made", () =>
    Effect.gen(function* () {
      const { total, quota } = counting()
      const answer = (name: string) =>
        answerFor(entryOf("link", name, { target: "new" }), { policy: "overwrite", quota })
      expect([yield* answer("link"), total.cost]).toEqual(["made", costOf(0)])
      expect([yield* answer("missing/link"), total.cost]).toEqual(["failed", costOf(0)])
    })
  )

  it.effect("gets back the content of a file that a link replaces", () =>
    Effect.gen(function* () {
      writeFileSync(at("link"), "1234567")
      const { total, quota } = counting()
      yield* answerFor(entryOf("link", "link", { target: "new" }), { policy: "overwrite", quota })
      expect(total.cost).toBe(-7)
    })
  )

  it.effect("is checked again when a partial file is not as it was counted", () =>
    Effect.gen(function* () {
      const entry = entryOf("file", "big", { size: protocolLimits.blockBytes + 1 })
      const answer = (recount: boolean) =>
        answerFor(entry, { policy: "refuse", quota: counting(recount).quota })
      expect([yield* answer(false), yield* answer(true)]).toEqual(["quota", "want"])
      expect(readdirSync(folder())).toEqual([])
    })
  )
})

describe("a link", () => {
  const link = entryOf("link", "link", { target: "new" })

  it.effect("is made where there is nothing, and is the same again", () =>
    Effect.gen(function* () {
      expect(yield* answersFor(link, { dry: true })).toEqual(["made", "made", "made", "made"])
      expect(yield* answersFor(link)).toEqual(["made", "made", "made", "made"])
      expect(readlinkSync(at("link"))).toBe("new")
    })
  )

  it.effect("replaces another link or a file only to overwrite, and never a folder", () =>
    Effect.gen(function* () {
      const make = [
        () => symlinkSync("old", at("link")),
        () => writeFileSync(at("link"), "text")
      ] as const
      for (const one of make) {
        one()
        for (const [policy, answer] of [
          ["refuse", "exists"],
          ["skip", "skipped"],
          ["rename", "exists"]
        ] as const) {
          expect(yield* answerFor(link, { policy })).toBe(answer)
          expect(
            lstatSync(at("link")).isSymbolicLink() ? readlinkSync(at("link")) : "a file"
          ).not.toBe("new")
        }
        // The second of two entries that a file system may treat as one never does.
        expect(yield* answerFor(link, { policy: "overwrite", collides: true })).toBe("exists")
        expect(yield* answerFor(link, { policy: "overwrite" })).toBe("made")
        expect(readlinkSync(at("link"))).toBe("new")
        rmSync(at("link"))
      }
      mkdirSync(at("link"))
      expect(yield* answersFor(link)).toEqual(["exists", "skipped", "exists", "exists"])
    })
  )
})

it.effect("a folder is made, and a file or link in its place is not replaced", () =>
  Effect.gen(function* () {
    const entry = entryOf("folder", "folder", { mode: 0o500 })
    expect(yield* answersFor(entry)).toEqual(["made", "made", "made", "made"])
    // Writable until its content is complete.
    expect(lstatSync(at("folder")).mode & 0o777).toBe(0o700)
    rmSync(at("folder"), { recursive: true })
    mkdirSync(at("elsewhere"))
    symlinkSync("elsewhere", at("folder"))
    // Another session, which has not opened the folder yet.
    directories.close()
    directories = new SafeDirectories(folder())
    expect(yield* answersFor(entry)).toEqual(["exists", "exists", "exists", "exists"])
  })
)

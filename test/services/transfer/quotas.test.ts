// Quotas: what is there is counted once, what is stored is charged once, and sessions share it.
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Scope from "effect/Scope"
import { limits } from "../../../src/services/transfer/limits.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import { costOf, Quotas, type Charge, type Quota } from "../../../src/services/transfer/Quotas.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()

const entry = limits.entryBytes
const openIn = (quotas: Quotas, limit: number) =>
  Effect.gen(function* () {
    const directories = yield* Effect.acquireRelease(
      Effect.sync(() => new SafeDirectories(folder())),
      (opened) => Effect.sync(() => opened.close())
    )
    return yield* quotas.open(directories, limit)
  })
/** The bytes that still fit, found by reserving and without keeping the reservation. */
const fits = (quota: Quota, bytes: number) => quota.add(bytes)

it.scoped("a file, folder and link cost their bytes and an entry each", () =>
  Effect.gen(function* () {
    mkdirSync(path.join(folder(), "in/side"), { recursive: true })
    writeFileSync(path.join(folder(), "in/side/file"), "12345")
    symlinkSync("in/side/file", path.join(folder(), "link"))
    const used = 4 * entry + 5
    const quota = yield* openIn(new Quotas(), used + 10)
    expect([fits(quota, 11), fits(quota, 10), fits(quota, 1)]).toEqual([false, true, false])
    expect(costOf(5)).toBe(entry + 5)
  })
)

it.scoped("a name that is not UTF-8 costs an entry; what is in such a folder costs nothing", () =>
  Effect.gen(function* () {
    const odd = (name: string) =>
      Buffer.concat([Buffer.from(`${folder()}/`), Buffer.from(name, "latin1")])
    writeFileSync(odd("\xff"), "12345")
    mkdirSync(odd("folder\xff"))
    writeFileSync(odd("folder\xff/file"), "12345")
    const quota = yield* openIn(new Quotas(), 2 * entry + 5 + 10)
    expect([fits(quota, 11), fits(quota, 10)]).toEqual([false, true])
  })
)

it.scoped("the locks of sessions cost nothing", () =>
  Effect.gen(function* () {
    for (const kind of ["2", "3"] as const)
      writeFileSync(
        path.join(folder(), Names.partialName("lock-8", "01234567", kind, "0".repeat(15))),
        ""
      )
    const quota = yield* openIn(new Quotas(), 10)
    expect([fits(quota, 11), fits(quota, 10)]).toEqual([false, true])
  })
)

/** Charges an upload; undefined if it does not fit. */
const charge = (quota: Quota, cost: number, partialCost = 0) => quota.charge({ cost, partialCost })
const replacing = (quota: Quota, cost: number, replaced: number, path = "a") =>
  quota.charge({ cost, partialCost: 0, replaces: { path, cost: replaced } })

it.scoped("each upload is charged, also of the same path, until it has settled", () =>
  Effect.gen(function* () {
    const quota = yield* openIn(new Quotas(), 1000)
    const [first, second] = [charge(quota, 400), charge(quota, 400)]
    expect(charge(quota, 201)).toBeUndefined()
    // Cut: nothing stays of it. Once is enough.
    first?.settle(0)
    first?.settle(0)
    expect(charge(quota, 601)).toBeUndefined()
    expect(charge(quota, 600)).toBeDefined()
    // Stored.
    second?.settle(400)
    expect(quota.add(1)).toBe(false)
  })
)

it.scoped("an upload reports once that it is settled", () =>
  Effect.gen(function* () {
    const quota = yield* openIn(new Quotas(), 1000)
    let count = 0
    const upload = quota.charge({ cost: 400, partialCost: 0, onSettled: () => count++ })
    expect(count).toBe(0)
    upload?.cancel()
    upload?.settle(0)
    expect(count).toBe(1)
  })
)

it.scoped("a partial file counts as what it has, and the upload that resumes it as the rest", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "partial"), "x".repeat(300))
    const quota = yield* openIn(new Quotas(), entry + 500)
    expect(charge(quota, entry + 501, entry + 300)).toBeUndefined()
    const upload = charge(quota, entry + 500, entry + 300)
    expect(quota.add(1)).toBe(false)
    // Cut again, and kept.
    upload?.settle(entry + 400)
    expect([quota.add(101), quota.add(100)]).toEqual([false, true])
  })
)

it.scoped("a partial file that is larger than the upload gives no room before it has settled", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "partial"), "x".repeat(300))
    const quota = yield* openIn(new Quotas(), entry + 310)
    const upload = charge(quota, entry + 100, entry + 300)
    expect([quota.add(11), quota.add(10)]).toEqual([false, true])
    upload?.settle(entry + 100)
    expect([quota.add(201), quota.add(200)]).toEqual([false, true])
  })
)

it.scoped("a partial file that another session has changed meanwhile is counted again", () =>
  Effect.gen(function* () {
    const quota = yield* openIn(new Quotas(), 1000)
    const other = charge(quota, 500)
    const upload = charge(quota, 500)
    other?.settle(200)
    expect(upload?.recount(200)).toBe(true)
    expect([quota.add(501), quota.add(500)]).toEqual([false, true])
    upload?.cancel()
    expect([quota.add(301), quota.add(300)]).toEqual([false, true])
  })
)

it.scoped("a partial file that is gone must fit again", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "partial"), "x".repeat(300))
    const quota = yield* openIn(new Quotas(), entry + 500)
    const upload = charge(quota, entry + 500, entry + 300)
    expect(upload?.recount(0)).toBe(false)
    // The file was removed after it was counted: only the rest had been reserved.
    upload?.settle(0)
    quota.remove(entry + 300)
    expect([quota.add(entry + 501), quota.add(entry + 500)]).toEqual([false, true])
  })
)

it.scoped("a file that is replaced is not charged again, for one upload at a time", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "a"), "x".repeat(500))
    const quota = yield* openIn(new Quotas(), entry + 600)
    // By as much, by less, and by more, in a folder that has 100 bytes left.
    const first = replacing(quota, entry + 500, entry + 500)
    expect(first).toBeDefined()
    expect(replacing(quota, entry + 500, entry + 500)).toBeUndefined()
    expect(quota.add(101)).toBe(false)
    // It has replaced the file by as much.
    first?.settle(0)
    const smaller = replacing(quota, entry + 400, entry + 500)
    // It frees nothing before it has replaced the file.
    expect(quota.add(101)).toBe(false)
    smaller?.settle(-100)
    const larger = replacing(quota, entry + 600, entry + 400)
    expect([quota.add(1), larger === undefined]).toEqual([false, false])
    larger?.settle(200)
    expect(quota.add(1)).toBe(false)
    // A folder that is full accepts what needs nothing more.
    expect(replacing(quota, entry + 600, entry + 600)).toBeDefined()
    expect(replacing(quota, 0, 0, "b")).toBeDefined()
  })
)

it.scoped("an existing folder over its quota accepts only what needs no more", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "a"), "x".repeat(500))
    const quota = yield* openIn(new Quotas(), 100)
    replacing(quota, entry + 500, entry + 500)?.cancel()
    expect(replacing(quota, entry + 501, entry + 500)).toBeUndefined()
    expect(replacing(quota, entry + 400, entry + 500)).toBeDefined()
  })
)

const spare = limits.replacingBytes

it.scoped("uploads that replace files exceed the quota by a fixed amount together", () =>
  Effect.gen(function* () {
    const file = 64 * 1024 + entry
    const count = Math.floor(spare / file)
    const names = Array.from({ length: 3 * count }, (_, index) => `${index}`)
    for (const name of names) writeFileSync(path.join(folder(), name), "x".repeat(file - entry))
    const full = names.length * file
    const replaceAll = (quota: Quota) =>
      names.flatMap((name) => replacing(quota, file, file, name) ?? [])
    const quota = yield* openIn(new Quotas(), full)
    const uploads = replaceAll(quota)
    expect(uploads.length).toBe(count)
    // Another one gets what an earlier one has given back.
    uploads[0]?.settle(0)
    expect(replaceAll(quota).length).toBe(1)
    // A server that was killed has left the partial files, and others cannot be added to them.
    for (let index = 0; index < count; index++) {
      const left = Names.partialName(`${index}`, "01234567", "0", "0".repeat(15))
      writeFileSync(path.join(folder(), left), "x".repeat(file - entry))
    }
    expect(replaceAll(yield* openIn(new Quotas(), full)).length).toBe(0)
  })
)

it.scoped("a small file that replaces a very large one exceeds the quota by its own size", () =>
  Effect.gen(function* () {
    const large = 100 * spare
    writeFileSync(path.join(folder(), "large"), "")
    truncateSync(path.join(folder(), "large"), large - entry)
    const quota = yield* openIn(new Quotas(), large)
    expect(replacing(quota, entry + 5, large, "large")).toBeDefined()
    expect(replacing(quota, spare - entry - 5, spare, "other")).toBeDefined()
    expect(replacing(quota, 1, entry, "third")).toBeUndefined()
  })
)

const total = 10_000
it.scoped.prop(
  "reservations and files together never exceed the quota",
  {
    steps: FastCheck.array(
      FastCheck.record({
        upload: FastCheck.nat(5),
        cost: FastCheck.integer({ min: 1, max: 6000 }),
        kept: FastCheck.nat(100)
      }),
      { maxLength: 60 }
    )
  },
  ({ steps }) =>
    Effect.gen(function* () {
      const quota = yield* openIn(new Quotas(), total)
      const open = new Map<number, { readonly charge: Charge; readonly cost: number }>()
      let stored = 0
      for (const { upload, cost, kept } of steps) {
        const one = open.get(upload)
        if (one === undefined) {
          const charged = charge(quota, cost)
          if (charged !== undefined) open.set(upload, { charge: charged, cost })
        } else {
          // Some or all of it stays.
          const taken = Math.floor((one.cost * kept) / 100)
          one.charge.settle(taken)
          stored += taken
          open.delete(upload)
        }
        const reserved = [...open.values()].reduce((sum, each) => sum + each.cost, 0)
        expect(stored + reserved).toBeLessThanOrEqual(total)
      }
      for (const one of open.values()) one.charge.cancel()
      expect([quota.add(total - stored + 1), quota.add(total - stored)]).toEqual([
        false,
        stored <= total
      ])
    })
)

it.effect("sessions share what is used; the folder is counted again after the last one", () =>
  Effect.gen(function* () {
    const quotas = new Quotas()
    const open = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const quota = yield* Scope.extend(openIn(quotas, entry + 100), scope)
      return { quota, close: Scope.close(scope, Exit.void) }
    })
    const first = yield* open
    const second = yield* open
    expect(first.quota.add(60)).toBe(true)
    // Stored meanwhile: not counted, because the content was counted when the first began.
    writeFileSync(path.join(folder(), "new"), "x".repeat(10))
    yield* first.close
    const third = yield* open
    expect(third.quota.add(entry + 41)).toBe(false)
    expect(second.quota.add(40)).toBe(true)
    expect(third.quota.add(entry)).toBe(true)
    yield* second.close
    yield* third.close
    const later = yield* open
    expect(later.quota.add(91)).toBe(false)
    expect(later.quota.add(90)).toBe(true)
    yield* later.close
  })
)

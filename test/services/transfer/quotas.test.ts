// Quotas: what is there is counted once, what is stored is charged once, and sessions share it.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { costOf, type Quota } from "../../../src/services/transfer/DestinationCheck.ts"
import { limits } from "../../../src/services/transfer/limits.ts"
import { Quotas } from "../../../src/services/transfer/Quotas.ts"
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

it.scoped("a path is charged once, however often it is stored, and pays the difference", () =>
  Effect.gen(function* () {
    const quota = yield* openIn(new Quotas(), 1000)
    expect(quota.reserve("a", 400, 0)).toBe(true)
    // Again: an interrupted transfer, or another session.
    expect(quota.reserve("a", 400, 0)).toBe(true)
    expect(quota.reserve("b", 400, 0)).toBe(true)
    expect(quota.reserve("c", 201, 0)).toBe(false)
    expect(quota.reserve("a", 601, 0)).toBe(false)
    expect(quota.reserve("a", 600, 0)).toBe(true)
    expect(quota.reserve("c", 1, 0)).toBe(false)
  })
)

it.scoped("what is counted already is not charged again; less gives nothing back", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "a"), "x".repeat(500))
    const quota = yield* openIn(new Quotas(), entry + 600)
    // Replaced by as much, by less, and by more.
    expect(quota.reserve("a", entry + 500, entry + 500)).toBe(true)
    expect(quota.reserve("a", entry, entry + 500)).toBe(true)
    expect(quota.add(101)).toBe(false)
    expect(quota.reserve("a", entry + 600, entry + 500)).toBe(true)
    expect(quota.add(1)).toBe(false)
    // A folder that is full accepts what needs nothing more.
    expect(quota.reserve("a", entry + 600, entry + 500)).toBe(true)
    expect(quota.reserve("b", 0, 0)).toBe(true)
  })
)

it.scoped("an existing folder over its quota accepts only what needs no more", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), "a"), "x".repeat(500))
    const quota = yield* openIn(new Quotas(), 100)
    expect(quota.reserve("a", entry + 500, entry + 500)).toBe(true)
    expect(quota.reserve("a", entry + 400, entry + 500)).toBe(true)
    expect(quota.reserve("a", entry + 501, entry + 500)).toBe(false)
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

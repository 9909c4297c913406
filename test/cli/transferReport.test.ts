// The report of a transfer: exit code 0 only when everything that was asked for is there, whatever
// the other side says about it.
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { Event } from "../../src/cli/output/events/index.ts"
import { TransferReport } from "../../src/cli/output/TransferReport.ts"
import type { Entry } from "../../src/services/transfer/Manifest.ts"
import type { LeftOut, Outcome } from "../../src/services/transfer/Messages.ts"
import { SafePath } from "../../src/services/transfer/SafePath.ts"

interface Session {
  readonly leftOut?: ReadonlyArray<LeftOut>
  /**
   * The outcome of each entry of the manifest, by its name, with / at the end of a folder and @ of a
   * link; undefined when the session was cut.
   */
  readonly files: Readonly<Record<string, Outcome | undefined>>
}

const kindOf: Readonly<Record<string, Entry["kind"]>> = { "/": "folder", "@": "link" }

const entryOf = (name: string): Entry => ({
  kind: kindOf[name.at(-1) ?? ""] ?? "file",
  path: SafePath.root.localChild(name.replace(/[/@]$/, "")),
  size: 1,
  mode: 0o644,
  mtime: 0
})

/** Runs the sessions of a transfer; returns the warnings, and the last error if it fails. */
const reportOf = (
  sessions: ReadonlyArray<Session>,
  {
    requested = [],
    notSent = [],
    skips = false
  }: {
    requested?: ReadonlyArray<string>
    notSent?: ReadonlyArray<LeftOut>
    skips?: boolean
  }
) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const emit = (event: Event) =>
        Effect.sync(() => {
          if (event._tag === "EntryOmitted") warnings.push(`${event.outcome} ${event.path}`)
        })
      const report = new TransferReport(emit, { dry: false, json: false, skips, requested })
      for (const each of notSent) yield* report.leftOut(each)
      for (const { leftOut = [], files } of sessions) {
        report.startSession()
        for (const each of leftOut) yield* report.observer.leftOut(each)
        yield* report.observer.planned(Object.keys(files).map(entryOf))
        for (const [index, outcome] of Object.values(files).entries())
          if (outcome !== undefined) yield* report.observer.confirmed([{ index, outcome }])
      }
      const ended = yield* Effect.either(report.conclude("pulled", "server"))
      return { warnings, failed: ended._tag === "Left" ? ended.left.message : undefined }
    })
  )

describe("a transfer fails", () => {
  const x = (reason: LeftOut["reason"]): LeftOut => ({ reason, path: "x" })
  const twice = "another file of this transfer has this name"

  it("when something was left out that has the name of an entry", async () => {
    for (const reason of ["twice", "unreadable", "changed", "missing", "name", "outside"] as const)
      for (const requested of [[], [""], ["x"]]) {
        const pulled = await reportOf([{ leftOut: [x(reason)], files: { x: "stored" } }], {
          requested
        })
        expect(pulled.failed).toMatch(/^1 of 2 files failed: x: /)
        const pushed = await reportOf([{ files: { x: "stored" } }], { notSent: [x(reason)] })
        expect(pushed.failed).toMatch(/^1 of 2 files failed: x: /)
      }
  })

  it("for each of several that are shown alike, and says so as often", async () => {
    const alike = [x("name"), x("name"), x("name")]
    expect(await reportOf([{ leftOut: alike, files: {} }], { requested: [""] })).toEqual({
      warnings: ["name x", "name x", "name x"],
      failed: expect.stringMatching(/^3 of 3 files failed; first: x: /) as unknown
    })
  })

  it("when a requested name is not in the manifest, whatever is said about it", async () => {
    for (const reason of ["link", "special", "unfinished", "twice"] as const)
      expect(
        (
          await reportOf([{ leftOut: [x(reason)], files: { y: "stored" } }], {
            requested: ["x", "y"]
          })
        ).failed
      ).toMatch(/^1 of 2 files failed: x: /)
    expect(await reportOf([{ files: { y: "stored" } }], { requested: ["x", "y"] })).toEqual({
      warnings: ["none x"],
      failed: "1 of 2 files failed: x: not found"
    })
  })

  it("with what a push does not send, in however many sessions", async () => {
    const cut = { files: { x: undefined } }
    expect(
      await reportOf([cut, cut, { files: { x: "stored" } }], { notSent: [x("twice")] })
    ).toEqual({ warnings: ["twice x"], failed: `1 of 2 files failed: x: ${twice}` })
  })
})

it("counts files, folders and links that failed, each kind for itself", async () => {
  const files = {
    a: "stored",
    "b/": "failed",
    "c/": "stored",
    d: "failed",
    "e@": "failed"
  } as const
  expect((await reportOf([{ files }], {})).failed).toMatch(
    /^1 of 2 files, 1 of 2 folders, 1 of 1 link failed; first: b: /
  )
  expect((await reportOf([{ files: { a: "stored", "b/": "failed" } }], {})).failed).toMatch(
    /^1 of 1 folder failed: b: /
  )
})

describe("a transfer succeeds", () => {
  it("when the last session brings what an earlier one had left out", async () => {
    expect(
      await reportOf(
        [
          { leftOut: [{ reason: "unreadable", path: "x" }], files: { y: undefined } },
          { files: { x: "stored", y: "same" } }
        ],
        { requested: ["x", "y"] }
      )
    ).toEqual({ warnings: ["unreadable x"], failed: undefined })
  })

  it("when another transfer takes a name meanwhile that may be skipped", async () => {
    const sessions = [{ files: { x: "exists" } }] as const
    expect((await reportOf(sessions, { skips: true })).failed).toBeUndefined()
    expect((await reportOf(sessions, {})).failed).toMatch(/^1 of 1 file failed: x: already exists/)
  })

  it("when only links, special files and partial files are left out of a folder", async () => {
    for (const reason of ["link", "special", "unfinished"] as const)
      expect(
        (
          await reportOf([{ leftOut: [{ reason, path: "d/x" }], files: { d: "stored" } }], {
            requested: ["d"]
          })
        ).failed
      ).toBeUndefined()
  })
})

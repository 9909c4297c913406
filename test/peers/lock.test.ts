// The lock of a peers file: lost during an edit, waited for at different moments, and of editors on
// another host.
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as PeerFiles from "../../src/peers/PeerFiles.ts"
import { limits } from "../../src/peers/PeerLock.ts"
import { parseAuthorized } from "../../src/peers/Peers.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"
import { pause, waitUntil } from "../../src/testing/steps.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const key = PublicKey.encode(new Uint8Array(32).fill(1))
const folder = folderOfEachTest()
const file = () => path.join(folder(), "peers")
const locks = () => readdirSync(folder()).filter((name) => name.includes(".lock."))

const edit = (change: (text: string) => string) =>
  PeerFiles.edit(file(), parseAuthorized(ruleOptions()), (text) =>
    Either.right({ text: change(text), result: undefined })
  )

describe("an edit", () => {
  it.live("whose lock was removed meanwhile changes nothing and leaves no file", () =>
    Effect.gen(function* () {
      writeFileSync(file(), "# before\n", { mode: 0o600 })
      const error = yield* Effect.flip(
        edit((text) => {
          // Another editor took it for stale.
          for (const lock of locks()) rmSync(path.join(folder(), lock))
          return `${text}${key} alice\n`
        })
      )
      expect(error.message).toBe(`${file()}: took too long to change; try again`)
      expect(readFileSync(file(), "utf8")).toBe("# before\n")
      expect(readdirSync(folder())).toEqual(["peers"])
    })
  )

  it.live("holds one lock while it runs, and none afterwards, also after a failure", () =>
    Effect.gen(function* () {
      let during: ReadonlyArray<string> = []
      yield* edit(() => {
        during = locks()
        return `${key} alice\n`
      })
      expect(during.length).toBe(1)
      expect(locks()).toEqual([])
      yield* Effect.flip(edit(() => "nonsense\n"))
      expect(readdirSync(folder())).toEqual(["peers"])
    })
  )

  it.live("removes a lock that is old, even of another host", () =>
    Effect.gen(function* () {
      const lock = path.join(folder(), `peers.lock.1.0123abcd.${"0".repeat(16)}`)
      writeFileSync(lock, "")
      const old = new Date(Date.now() - 61_000)
      utimesSync(lock, old, old)
      yield* edit(() => `${key} alice\n`)
      expect(readdirSync(folder())).toEqual(["peers"])
    })
  )
})

it.effect("editors that wait for a lock try again at different moments", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder(), `peers.lock.1.0123abcd.${"0".repeat(16)}`), "")
    const waiting = yield* Effect.forEach(Array.from({ length: 8 }), () =>
      Effect.fork(edit((text) => text))
    )
    const now = yield* TestClock.currentTimeMillis
    let sleeps: ReadonlyArray<number> = []
    for (let tries = 0; sleeps.length < waiting.length && tries < 5000; tries++) {
      sleeps = Chunk.toReadonlyArray(yield* TestClock.sleeps())
      yield* pause(2)
    }
    expect(sleeps.length).toBe(waiting.length)
    for (const moment of sleeps) {
      expect(moment - now).toBeGreaterThanOrEqual(5)
      expect(moment - now).toBeLessThanOrEqual(50)
    }
    expect(new Set(sleeps).size).toBeGreaterThan(1)
    yield* Effect.fork(Fiber.interruptAll(waiting))
    yield* waitUntil("the locks of the editors", () => locks().length === 1)
    expect(limits.pause).toMatchObject({ value: { millis: 50 } })
  })
)

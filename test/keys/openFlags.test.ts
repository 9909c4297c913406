// How a key file is opened and created: it becomes no controlling terminal, a link or file that was
// placed under the temporary name is neither followed nor reused, and a link to the key stays.
import {
  chmodSync,
  constants,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import files from "node:fs/promises"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ClassicKey } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as FileKeys from "../../src/keys/providers/FileKeys.ts"
import { withReplaced } from "../testing/builtins.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()
const at = (name = "key") => path.join(folder(), name)

const create = Effect.suspend(() =>
  Effect.flatMap(KeyStore, (store) => store.create(ClassicKey)).pipe(
    Effect.provide(KeyStore.layerFile(at()))
  )
)

/** Runs the effect and lets `seen` know of each file that it opens, before it is opened. */
const watched = <A, E>(seen: (name: string, flags: unknown) => void, effect: Effect.Effect<A, E>) =>
  withReplaced(
    files,
    "open",
    (open) =>
      (name, flags, ...rest) => {
        seen(String(name), flags)
        return open(name, flags, ...rest)
      },
    effect
  )

describe("a key file", () => {
  it.live("is opened without waiting, and never as a controlling terminal", () =>
    Effect.gen(function* () {
      writeFileSync(at(), Buffer.alloc(32, 7), { mode: 0o600 })
      const opened: Array<number> = []
      yield* watched(
        (name, flags) => name === at() && opened.push(Number(flags)),
        FileKeys.location(at()).read(ClassicKey)
      )
      expect(opened.length).toBe(1)
      const wanted = constants.O_NONBLOCK | constants.O_NOCTTY
      const writing = constants.O_WRONLY | constants.O_RDWR
      expect((opened[0] ?? 0) & (wanted | writing)).toBe(wanted)
    })
  )

  it.live("that is replaced through a link replaces the file, and the link stays", () =>
    Effect.gen(function* () {
      writeFileSync(at("real"), "before", { mode: 0o600 })
      symlinkSync("real", at())
      yield* FileKeys.replace(at(), Buffer.from("after"))
      expect(lstatSync(at()).isSymbolicLink()).toBe(true)
      expect(readFileSync(at("real"), "utf8")).toBe("after")
      expect(readdirSync(folder()).toSorted()).toEqual(["key", "real"])
    })
  )

  it.live("is not created in place of one that appears meanwhile", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        watched((name) => {
          if (name.endsWith(".tmp")) writeFileSync(at(), "of somebody else")
        }, create)
      )
      expect(error._tag).toBe("KeyExists")
      expect(readFileSync(at(), "utf8")).toBe("of somebody else")
      expect(readdirSync(folder())).toEqual(["key"])
    })
  )
})

describe("the temporary file of a new key", () => {
  it.live("never is a link that was there before", () =>
    Effect.gen(function* () {
      writeFileSync(at("victim"), "precious")
      const error = yield* Effect.flip(
        watched((name) => {
          if (name.endsWith(".tmp")) symlinkSync(at("victim"), name)
        }, create)
      )
      expect(error._tag).toBe("KeyExists")
      expect(readFileSync(at("victim"), "utf8")).toBe("precious")
      expect(readdirSync(folder())).not.toContain("key")
    })
  )

  it.live("is removed when the key cannot be written", () =>
    Effect.gen(function* () {
      const full = withReplaced(
        files,
        "open",
        (open) =>
          async (...args) => {
            const handle = await open(...args)
            handle.sync = () => Promise.reject(Object.assign(new Error(), { code: "ENOSPC" }))
            return handle
          },
        Effect.flip(create)
      )
      expect((yield* full).message).toContain("disk is full")
      expect(readdirSync(folder())).toEqual([])
    })
  )

  it.live("has mode 0600 under any umask", () =>
    Effect.gen(function* () {
      const before = process.umask(0o777)
      yield* Effect.ensuring(
        create,
        Effect.sync(() => process.umask(before))
      )
      expect(statSync(at()).mode & 0o777).toBe(0o600)
      chmodSync(folder(), 0o700)
    })
  )
})

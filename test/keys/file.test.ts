// Key files: the checks on the open descriptor, and creation.
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { ClassicGcmKey, ClassicKey } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as PeerFiles from "../../src/peers/PeerFiles.ts"
import { parseAuthorized } from "../../src/peers/Peers.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"
import * as TemporaryFile from "../../src/keys/TemporaryFile.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealwire-file-"))
})
afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true, force: true })
})

const at = (name = "aes_key.bin") => path.join(folder, name)
const load = (file = at()) =>
  Effect.flatMap(KeyStore, (store) => store.load(ClassicKey)).pipe(
    Effect.provide(KeyStore.layerFile(file))
  )
const create = (file = at()) =>
  Effect.flatMap(KeyStore, (store) => store.create(ClassicKey)).pipe(
    Effect.provide(KeyStore.layerFile(file))
  )
const errorMessage = <A, E extends Error>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)
const asRoot = process.getuid?.() === 0

describe("a key file is rejected", () => {
  it.effect("when others can read or write it", () =>
    Effect.gen(function* () {
      for (const mode of [0o644, 0o640, 0o602, 0o601]) {
        writeFileSync(at(), Buffer.alloc(32, 7))
        chmodSync(at(), mode)
        const shown = `0${mode.toString(8)}`
        expect(yield* errorMessage(load())).toBe(
          `key refused: ${at()}: others can read or change it (mode ${shown}); try: chmod 600 ${at()}`
        )
      }
    })
  )
  it.effect("when it belongs to another user", (context) =>
    Effect.gen(function* () {
      if (!asRoot) return context.skip("only root can give a file away")
      writeFileSync(at(), Buffer.alloc(32, 7), { mode: 0o600 })
      chownSync(at(), 65534, 65534)
      expect(yield* errorMessage(load())).toBe(
        `key refused: ${at()}: belongs to another user (uid 65534); try: chown 0 ${at()}`
      )
    })
  )
  it.live("when it is a folder, a FIFO or a device, without blocking", () =>
    Effect.gen(function* () {
      mkdirSync(at("folder"), { mode: 0o700 })
      execFileSync("mkfifo", ["-m", "600", at("fifo")])
      for (const file of [at("folder"), at("fifo"), "/dev/null"])
        expect(yield* errorMessage(load(file))).toBe(
          `key refused: ${file}: is not a regular file; name the file that holds the key`
        )
    })
  )
  it.effect("when its length is wrong", () =>
    Effect.gen(function* () {
      for (const length of [0, 1, 31, 33, 64, 4096, 100_000]) {
        writeFileSync(at(), Buffer.alloc(length, 0xe9), { mode: 0o600 })
        expect(yield* errorMessage(load())).toContain(`has ${length} bytes`)
      }
    })
  )
  it.effect("when it is all zero", () =>
    Effect.gen(function* () {
      writeFileSync(at(), Buffer.alloc(32), { mode: 0o600 })
      expect(yield* errorMessage(load())).toContain("of all zeros is not valid")
    })
  )
})

describe("a key file loads", () => {
  it.effect("in the raw form of the C++ programs, through a symbolic link", () =>
    Effect.gen(function* () {
      writeFileSync(at("real"), Buffer.from(Array.from({ length: 32 }, (_, index) => index)), {
        mode: 0o600
      })
      symlinkSync(at("real"), at("link"))
      const key = yield* load(at("link"))
      expect([...key.key.expose(), ...key.iv.expose()]).toEqual(
        Array.from({ length: 32 }, (_, index) => index)
      )
    })
  )
  it.effect("or its error names the path and the next step", () =>
    Effect.gen(function* () {
      expect(yield* errorMessage(load())).toBe(
        `no classic key at ${at()}; copy it from the other side or create one`
      )
    })
  )
})

describe("a new key", () => {
  it.effect("has mode 0600 and leaves no temporary file, under umask 000 and 777", () =>
    Effect.gen(function* () {
      for (const umask of [0, 0o777]) {
        const before = process.umask(umask)
        yield* Effect.ensuring(
          create(at(`key-${umask}`)),
          Effect.sync(() => process.umask(before))
        )
        expect(statSync(at(`key-${umask}`)).mode & 0o777).toBe(0o600)
        expect(statSync(at(`key-${umask}`)).size).toBe(32)
      }
      expect(readdirSync(folder).length).toBe(2)
    })
  )
  it.effect("of the GCM kind is text", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore
      yield* store.create(ClassicGcmKey)
      expect(readFileSync(at("gcm.key"), "utf8")).toMatch(
        /^# classic GCM key.*\nSEALWIRE-CLASSIC-GCM-KEY-1[0-9A-Z]{58}\n$/
      )
      yield* store.load(ClassicGcmKey)
    }).pipe(
      Effect.provide(Layer.unwrapEffect(Effect.sync(() => KeyStore.layerFile(at("gcm.key")))))
    )
  )
  it.effect("is created by one of twenty concurrent creators", () =>
    Effect.gen(function* () {
      const made = yield* Effect.all(
        Array.from({ length: 20 }, () =>
          Effect.flatMap(KeyStore, (store) =>
            Effect.zip(store.createIfMissing(ClassicKey), store.load(ClassicKey))
          ).pipe(Effect.provide(KeyStore.layerFile(at())))
        ),
        { concurrency: "unbounded" }
      )
      expect(made.filter(([mine]) => mine).length).toBe(1)
      expect(
        new Set(made.map(([, { key }]) => Buffer.from(key.expose()).toString("hex"))).size
      ).toBe(1)
    })
  )
  it.effect("is not created where the folder is missing or not a folder", () =>
    Effect.gen(function* () {
      expect(yield* errorMessage(create(path.join(folder, "none", "key")))).toContain(
        "its folder does not exist; create it first"
      )
      writeFileSync(at("file"), "")
      expect(yield* errorMessage(create(path.join(at("file"), "key")))).toContain(
        "a part of its path is not a folder"
      )
      expect(existsSync(at())).toBe(false)
    })
  )
})

describe("temporary files of a killed process", () => {
  it.effect.skipIf(process.platform !== "linux")(
    "are removed by the next write; those of a running process stay",
    () =>
      Effect.gen(function* () {
        const [stale, inProgress] = yield* Effect.promise(async () => {
          const script =
            'import { nameFor } from "./src/keys/TemporaryFile.ts"; console.log(process.argv.slice(1).map(nameFor).join("\\n"))'
          const output = execFileSync(
            process.execPath,
            ["--import", "tsx", "--input-type=module", "-e", script, at("key"), at("peers")],
            {
              encoding: "utf8"
            }
          )
          return [
            output.trim().split("\n"),
            [TemporaryFile.nameFor(at("key")), TemporaryFile.nameFor(at("peers"))]
          ] as const
        })
        for (const file of [...stale, ...inProgress]) writeFileSync(file, "half")
        yield* create(at("key"))
        yield* PeerFiles.edit(at("peers"), parseAuthorized(ruleOptions()), () =>
          Either.right({ text: "# nobody\n", result: undefined })
        )
        expect(readdirSync(folder).toSorted()).toEqual(
          [...inProgress.map((file) => path.basename(file)), "key", "peers"].toSorted()
        )
      })
  )
})

// Output files: what may be replaced, through links too, with which attributes, and that a planted
// temporary file is not used.
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  lstatSync,
  mkdirSync,
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
import * as Output from "../../src/files/Output.ts"
import { withReplaced } from "../testing/builtins.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()
const at = (name: string) => path.join(folder(), name)

const write = (name: string, options: Partial<Output.OutputOptions>, meanwhile = () => {}) =>
  Effect.gen(function* () {
    const output = yield* Output.toFile(at(name), { overwrite: false, mode: 0o600, ...options })
    yield* output.write(Buffer.from("new"))
    meanwhile()
    yield* output.commit
  }).pipe(Effect.scoped)

describe("an output file", () => {
  it.effect("without overwrite does not replace one that appears meanwhile", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        write("file", {}, () => writeFileSync(at("file"), "of somebody else"))
      )
      expect(error._tag).toBe("FileExists")
      expect(readFileSync(at("file"), "utf8")).toBe("of somebody else")
      expect(readdirSync(folder())).toEqual(["file"])
    })
  )

  it.effect("without overwrite is refused at once if the name is taken, even by a link", () =>
    Effect.gen(function* () {
      symlinkSync("nowhere", at("link"))
      let wasOpened = false
      const error = yield* Effect.flip(write("link", {}, () => (wasOpened = true)))
      expect([error._tag, wasOpened]).toEqual(["FileExists", false])
      expect(readdirSync(folder())).toEqual(["link"])
    })
  )

  it.effect("with overwrite replaces the file that a link leads to, and the link stays", () =>
    Effect.gen(function* () {
      writeFileSync(at("real"), "old")
      symlinkSync("real", at("link"))
      yield* write("link", { overwrite: true })
      expect(lstatSync(at("link")).isSymbolicLink()).toBe(true)
      expect(readFileSync(at("real"), "utf8")).toBe("new")
      expect(readdirSync(folder()).toSorted()).toEqual(["link", "real"])
    })
  )

  it.effect("with overwrite replaces no folder, FIFO or dangling link", () =>
    Effect.gen(function* () {
      mkdirSync(at("folder"))
      execFileSync("mkfifo", [at("fifo")])
      symlinkSync("fifo", at("link"))
      symlinkSync("nowhere", at("dangling"))
      for (const [name, detail] of [
        ["folder", "is not a regular file"],
        ["fifo", "is not a regular file"],
        ["link", "is a symbolic link that does not lead to a regular file"],
        ["dangling", "is a symbolic link that does not lead to a regular file"]
      ] as const)
        expect(yield* Effect.flip(write(name, { overwrite: true }))).toMatchObject({
          _tag: "FileUnwritable",
          detail
        })
    })
  )

  it.effect("has the mode it is given, or exactly that of the file it replaces", () =>
    Effect.gen(function* () {
      yield* write("private", { mode: 0o600 })
      expect(statSync(at("private")).mode & 0o777).toBe(0o600)
      chmodSync(at("private"), 0o462)
      yield* write("private", { overwrite: true, mode: 0o666 })
      expect(statSync(at("private")).mode & 0o777).toBe(0o462)
    })
  )
})

it.effect("the temporary file never is a link that was there before", () =>
  Effect.gen(function* () {
    writeFileSync(at("victim"), "precious")
    const placed = withReplaced(
      files,
      "open",
      (open) =>
        (name, ...rest) => {
          if (String(name).endsWith(".tmp")) symlinkSync(at("victim"), String(name))
          return open(name, ...rest)
        },
      Effect.flip(write("file", {}))
    )
    expect((yield* placed)._tag).toBe("FileExists")
    expect(readFileSync(at("victim"), "utf8")).toBe("precious")
  })
)

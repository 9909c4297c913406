// How a peers file is opened and replaced: without waiting for a FIFO, and with a new temporary
// file that nobody has placed there before.
import { execFileSync } from "node:child_process"
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import files from "node:fs/promises"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as PeerFiles from "../../src/peers/PeerFiles.ts"
import { parseAuthorized } from "../../src/peers/Peers.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"
import { withTimeout } from "../../src/testing/steps.ts"
import { withReplaced } from "../testing/builtins.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const key = PublicKey.encode(new Uint8Array(32).fill(1))
const folder = folderOfEachTest()
const file = () => path.join(folder(), "peers")

const edit = (change: (text: string) => string) =>
  PeerFiles.edit(file(), parseAuthorized(ruleOptions()), (text) =>
    Either.right({ text: change(text), result: undefined })
  )

describe("a peers file", () => {
  it.live.skipIf(process.platform === "win32")("that is a FIFO is refused without waiting", () =>
    Effect.gen(function* () {
      execFileSync("mkfifo", ["-m", "600", file()])
      // Opens the other end, so that a reader that waits does not outlive a failed test.
      const unblock = Effect.sync(() => closeSync(openSync(file(), constants.O_RDWR)))
      const error = yield* Effect.ensuring(
        withTimeout("the refusal", Effect.flip(PeerFiles.read(file()))),
        unblock
      )
      expect(error.message).toBe(`${file()}: is not a regular file`)
    })
  )

  it.live("has at most 16 MiB", () =>
    Effect.gen(function* () {
      writeFileSync(file(), "", { mode: 0o600 })
      truncateSync(file(), 16 * 1024 * 1024 + 1)
      expect((yield* Effect.flip(PeerFiles.read(file()))).message).toContain(
        "has more than 16777216 bytes"
      )
    })
  )

  it.live("is not replaced by an edit that leaves the text as it is", () =>
    Effect.gen(function* () {
      writeFileSync(file(), `${key} alice\n`, { mode: 0o600 })
      const before = statSync(file()).ino
      yield* edit((text) => text)
      expect(statSync(file()).ino).toBe(before)
    })
  )
})

describe("the temporary file of an edit", () => {
  it.live("never is a file or link that was there before", () =>
    Effect.gen(function* () {
      const victim = path.join(folder(), "victim")
      writeFileSync(victim, "precious")
      writeFileSync(file(), "# before\n", { mode: 0o600 })
      // Somebody knows the name in advance, and places a link there.
      const placed = withReplaced(
        files,
        "open",
        (open) =>
          (name, ...rest) => {
            if (String(name).endsWith(".tmp")) symlinkSync(victim, String(name))
            return open(name, ...rest)
          },
        Effect.flip(edit(() => `${key} alice\n`))
      )
      expect((yield* placed).message).toContain("EEXIST")
      expect(readFileSync(victim, "utf8")).toBe("precious")
      expect(readFileSync(file(), "utf8")).toBe("# before\n")
    })
  )

  it.live("has all of the text before it gets the name: half a file is never read", () =>
    Effect.gen(function* () {
      writeFileSync(file(), "# before\n", { mode: 0o600 })
      const failing = withReplaced(
        files,
        "open",
        (open) =>
          async (name, ...rest) => {
            const handle = await open(name, ...rest)
            if (!String(name).endsWith(".tmp")) return handle
            const write = handle.writeFile.bind(handle)
            handle.writeFile = async (text) => {
              await write(String(text).slice(0, 5))
              throw Object.assign(new Error("full"), { code: "ENOSPC" })
            }
            return handle
          },
        Effect.flip(edit(() => `${key} alice\n`))
      )
      expect((yield* failing).message).toBe(`${file()}: the disk is full; nothing was changed`)
      expect(readFileSync(file(), "utf8")).toBe("# before\n")
      expect(readdirSync(folder())).toEqual(["peers"])
    })
  )
})

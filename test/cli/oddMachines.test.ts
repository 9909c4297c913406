// Machines that lack what a command usually finds: a home, a working directory. Each error is one
// line with a next step, and no internal error.
import { chmodSync, mkdirSync } from "node:fs"
import { userInfo } from "node:os"
import path from "node:path"
import { describe, expect } from "vitest"
import { bin, it, type Box } from "./Sealwire.ts"

const remedy = "set XDG_CONFIG_HOME to an absolute path"
const unknown = (detail: string) =>
  `sealwire: this user has no configuration folder: ${detail}; ${remedy}\n`

/** Command lines that need the configuration folder, one for each place that uses it. */
const needing: ReadonlyArray<string> = [
  "keygen identity",
  "pubkey",
  "keys rotate",
  "peers list",
  "peers list --known",
  "serve --listen 127.0.0.1:0",
  "serve --listen 127.0.0.1:0 --identity ./own.key",
  "send hi --to 127.0.0.1:1",
  "send hi --to 127.0.0.1:1 --accept-new",
  "push own.key --to 127.0.0.1:1",
  "tunnel --listen 127.0.0.1:0 --to 127.0.0.1:1",
  "encrypt --recipient alice own.key",
  "pair --listen 127.0.0.1:0 --yes"
]

/** Command lines that do not need it, with their exit codes. */
const others: ReadonlyArray<readonly [line: string, code: number]> = [
  ["--version", 0],
  ["--help", 0],
  ["pubkey --identity ./own.key", 0],
  ["keygen -o ./shared.key", 0],
  ["send hi --key ./own.key --to 127.0.0.1:1", 3],
  ["inspect own.key", 0],
  ["peers list --authorized-peers ./peers", 0],
  ["check-config ./none.toml", 2]
]

const prepare = async (box: Box) => {
  expect((await box.run(["keygen", "identity", "-o", "./own.key"])).code).toBe(0)
}

describe("without a home", () => {
  it.for([
    [{ HOME: "sub/home" }, "HOME is sub/home, which is not an absolute path"],
    [{ XDG_CONFIG_HOME: "conf" }, "XDG_CONFIG_HOME is conf, which is not an absolute path"],
    [{ HOME: ".", XDG_CONFIG_HOME: "" }, "HOME is ., which is not an absolute path"]
  ] as const)(
    "a relative one is refused: %j",
    { timeout: 120_000 },
    async ([env, detail], { box }) => {
      await prepare(box)
      const before = box.names
      for (const line of needing) {
        const { code, stdout, stderr } = await box.run(line.split(" "), { env })
        expect([line, code, stdout.toString(), stderr]).toEqual([line, 2, "", unknown(detail)])
      }
      expect(box.names).toEqual(before)
      for (const [line, expected] of others) {
        const { code, stderr } = await box.run(line.split(" "), { env })
        expect([line, code]).toEqual([line, expected])
        expect(stderr).not.toContain(remedy)
      }
    }
  )

  it("an empty HOME is that of the user database, as if it were not set", async ({ box }) => {
    const { stderr } = await box.run(["peers", "list"], { env: { XDG_CONFIG_HOME: "", HOME: "" } })
    expect(stderr).toContain(path.join(userInfo().homedir, ".config/sealwire/authorized_peers"))
  })

  it.runIf(process.geteuid?.() === 0)(
    "a user whom the system does not know runs what needs none",
    async ({ box }) => {
      const uid = 54_321
      mkdirSync(box.path("work"))
      chmodSync(box.cwd, 0o755)
      chmodSync(box.path("work"), 0o777)
      const run = (line: string) =>
        box.run(line.split(" "), { uid, cwd: box.path("work"), env: { HOME: "" } })
      expect((await run("keygen identity -o ./own.key")).code).toBe(0)
      const detail = `HOME is not set, and the system names no home for uid ${uid}`
      for (const line of ["keygen identity", "serve", "send hi"]) {
        const { code, stderr } = await run(line)
        expect([line, code, stderr]).toEqual([line, 2, unknown(detail)])
      }
      expect((await run("--version")).code).toBe(0)
      expect((await run("pubkey --identity ./own.key")).code).toBe(0)
    },
    20_000
  )
})

it("in a working directory whose path is too long, each command says so", async ({ box }) => {
  const python = `import os, sys
for i in range(24):
    os.makedirs("d" * 200, exist_ok=True); os.chdir("d" * 200)
os.execv(sys.argv[1], sys.argv[1:])`
  expect((await box.run(["keygen", "identity"])).code).toBe(0)
  for (const line of [
    "push x --to 127.0.0.1:1 --accept-new",
    "pull x --from 127.0.0.1:1 --accept-new"
  ]) {
    // Node cannot remove such a path.
    box.defer(() => box.runOther("rm", ["-rf", "d".repeat(200)]))
    const args = ["-c", python, process.execPath, bin, ...line.split(" ")]
    const { code, stderr } = await box.runOther("python3", args)
    expect([line, code, stderr]).toEqual([
      line,
      2,
      "sealwire: the working directory has a path of more than 4,096 bytes; change to another one (cd), or use absolute paths\n"
    ])
  }
})

describe("in a working directory that was removed", () => {
  const run = (box: Box, line: string) => {
    mkdirSync(box.path("gone"))
    return box.runOther("sh", [
      "-c",
      'cd gone && rmdir "$PWD" && exec "$@"',
      "sh",
      process.execPath,
      bin,
      ...line.split(" ")
    ])
  }

  it.for([
    ["push x --to 127.0.0.1:1 --accept-new", 2, "the working directory no longer exists"],
    ["pull x --from 127.0.0.1:1 --accept-new", 2, "the working directory no longer exists"],
    [
      "tunnel --listen unix:x --to unix:y --accept-new",
      2,
      "the working directory no longer exists"
    ],
    ["serve --listen unix:x", 2, "cannot listen at unix:x: its folder does not exist"],
    ["keygen", 3, "cannot create a key at ./sealwire.key: its folder does not exist"],
    ["inbox list", 2, "cannot open the inbox ./inbox.db: no such file"]
  ] as const)("%s says so", async ([line, expected, text], { box }) => {
    expect((await box.run(["keygen", "identity"])).code).toBe(0)
    const { code, stdout, stderr } = await run(box, line)
    expect([code, stdout.toString()]).toEqual([expected, ""])
    expect(stderr).toContain(text)
    expect(stderr).not.toContain("internal error")
  })

  it("absolute paths work", async ({ box }) => {
    expect((await box.run(["keygen", "identity"])).code).toBe(0)
    expect((await run(box, "pubkey")).code).toBe(0)
  })
})

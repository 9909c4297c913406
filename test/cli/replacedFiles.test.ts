// Commands that replace a file: it keeps its owner and its mode, and its name may be as long as the
// file system allows, in bytes.
import { chmodSync, chownSync, statSync } from "node:fs"
import { describe, expect } from "vitest"
import { it, type Box } from "./Sealwire.ts"

/** A name of 255 bytes with 85 characters. */
const longName = "字".repeat(85)

/** A command that replaces the file `target`, which `make` has made. */
interface Replacing {
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

const key = ["--file-key", "./file.key"]

/** Prepares what the commands need, and returns those that replace a peers file. */
const peersCommands = async (box: Box, target: string): Promise<ReadonlyArray<Replacing>> => {
  expect((await box.run(["keygen", "identity", "-o", "./me.key"])).code).toBe(0)
  const { stdout } = await box.run(["pubkey", "--identity", "./me.key"])
  const publicKey = stdout.toString().trim()
  box.write(target, "# peers\n")
  return [
    { args: ["peers", "add", "alice", publicKey, "--authorized-peers", `./${target}`] },
    { args: ["peers", "rename", "alice", "bob", "--authorized-peers", `./${target}`] },
    { args: ["peers", "revoke", "bob", "--authorized-peers", `./${target}`] },
    { args: ["peers", "remove", "bob", "--authorized-peers", `./${target}`] }
  ]
}

const keyCommands = async (box: Box, target: string): Promise<ReadonlyArray<Replacing>> => {
  expect((await box.run(["keygen", "identity", "-o", `./${target}`])).code).toBe(0)
  const env = { SEALWIRE_PASSPHRASE: "correct horse" }
  return [
    { args: ["keys", "protect", `./${target}`], env },
    { args: ["keys", "unprotect", `./${target}`], env }
  ]
}

const outputCommands = async (box: Box, target: string): Promise<ReadonlyArray<Replacing>> => {
  for (const name of ["file", "other"])
    expect((await box.run(["keygen", "file-key", "-o", `./${name}.key`])).code).toBe(0)
  box.write("plain", "content")
  expect((await box.run(["encrypt", "plain", ...key, "-o", "sealed"])).code).toBe(0)
  box.write(target, "to be replaced")
  const over = ["--overwrite", "-o", `./${target}`]
  return [
    { args: ["decrypt", "sealed", ...key, ...over] },
    { args: ["encrypt", "plain", ...key, ...over] },
    {
      args: [
        "rekey",
        "sealed",
        "--file-key",
        "./other.key",
        "--old-file-key",
        "./file.key",
        ...over
      ]
    },
    { args: ["rekey", `./${target}`, "--file-key", "./file.key", "--old-file-key", "./other.key"] }
  ]
}

const groups = [
  // A peers file that others can change is refused, and a key that others can read.
  ["a peers file", peersCommands, [0o600, 0o644, 0o640], true],
  ["a key", keyCommands, [0o600, 0o400], false],
  ["an output", outputCommands, [0o600, 0o640, 0o664, 0o604], true]
] as const

const root = process.geteuid?.() === 0

describe.each(groups)("%s that is replaced", (_, commandsFor, modes, mayBelongToOthers) => {
  const owned = (box: Box, name: string) => {
    const { uid, gid, mode } = statSync(box.path(name))
    return { uid, gid, mode: (mode & 0o7777).toString(8) }
  }

  it.for([["file"], [longName]] as const)(
    "keeps its mode under the name %s",
    { timeout: 60_000 },
    async ([name], { box }) => {
      const commands = await commandsFor(box, name)
      for (const mode of modes)
        for (const { args, env = {} } of commands) {
          chmodSync(box.path(name), mode)
          const [before, content] = [owned(box, name), box.read(name)]
          const { code, stderr } = await box.run(args, { env })
          expect([args[0], code, code === 0 ? "" : stderr]).toEqual([args[0], 0, ""])
          expect([args, owned(box, name)]).toEqual([args, before])
          expect(box.read(name).equals(content)).toBe(false)
        }
      expect(box.names.filter((each) => each.endsWith(".tmp") || each.includes(".lock"))).toEqual(
        []
      )
    }
  )

  it.runIf(root)("keeps its owner and group", { timeout: 60_000 }, async ({ box }) => {
    for (const { args, env = {} } of await commandsFor(box, "file")) {
      chownSync(box.path("file"), mayBelongToOthers && args[0] !== "peers" ? 54_321 : 0, 54_322)
      const before = owned(box, "file")
      const { code, stderr } = await box.run(args, { env })
      expect([args[0], code, code === 0 ? "" : stderr]).toEqual([args[0], 0, ""])
      expect([args, owned(box, "file")]).toEqual([args, before])
    }
  })
})

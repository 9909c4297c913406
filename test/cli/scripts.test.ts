// Runs every script of test/cli/scripts.
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect } from "vitest"
import { parse, run } from "./Script.ts"
import { it } from "./Sealwire.ts"

const folder = path.join(import.meta.dirname, "scripts")
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"))

it("there are scripts", () => {
  expect(names.length).toBeGreaterThan(15)
})

it.for(names)("%s", async (name, { box }) => {
  await run(box, parse(readFileSync(path.join(folder, name), "utf8")))
})

describe("a script fails", () => {
  it.for([
    ["", "a script without a step"],
    ["> shown", "line 1: output of no command"],
    ["mkdir a\n> shown", "line 2: output of no command"],
    ["sealwire serve &server\n2> shown", "line 2: output of no command"],
    ["! files a", "line 1: no such step can be expected to fail"],
    ["sealwrie --version", "unknown step: sealwrie"],
    ["sealwire --version", "stdout"],
    ["sealwire --version\n> …\n> more", "stdout"],
    ["! sealwire --version\n> …", "exit code"],
    ["!4 sealwire pubkey --identity ./none\n2> …", "exit code"],
    ["sealwire pubkey --identity ./none\n2> …", "exit code"],
    ["!2 sealwire pubkey --identity ./none", "stderr"],
    ["cmp a b\n-- a --\n1\n-- b --\n2", "not as expected: cmp a b"],
    ["! exists a\n-- a --\n", "not as expected: ! exists a"],
    ["files b\n-- a --\n", "line 1: files b"],
    ["sealwire send $NOBODY", "no variable is called NOBODY"]
  ] as const)("%j", async ([text, message], { box }) => {
    await expect((async () => run(box, parse(text)))()).rejects.toThrow(message)
  })
})

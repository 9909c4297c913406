// Invalid key references: a key itself, an unknown scheme, nothing. No file is created and no key
// is shown.
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { it } from "./Sealwire.ts"

const lineOf = (kind: typeof SharedKey | typeof Identity): string =>
  KeyText.encode(kind, Secret.random(32)).split("\n")[1] ?? ""
const shared = lineOf(SharedKey)
const identity = lineOf(Identity)
const hex = Buffer.from(Secret.random(32).expose()).toString("hex")

const keyRefused =
  "sealwire: this is a key, not the location of a key; store it in a file, or pass it as env:NAME; " +
  "other users can see arguments, and the shell keeps them: " +
  "if it was one, treat the key as exposed and create a new one\n"

describe("a key in place of a reference", () => {
  it.for([
    ["serve", "--listen", "127.0.0.1:0", "--key", shared],
    ["serve", "--listen", "127.0.0.1:0", "--key", `alice=${shared}`],
    ["serve", "--listen", "127.0.0.1:0", "--identity", identity.toLowerCase()],
    ["classic", "serve", "--listen", "127.0.0.1:0", "--key", hex],
    ["send", "--key", `env:${shared}`],
    ["fingerprint", identity],
    ["inspect", shared],
    ["keys", "protect", shared],
    ["keys", "rotate", "--identity", identity],
    ["keygen", "-o", shared.slice(0, 30)]
  ])("%s %s %s %s %s", async (args, { box }) => {
    expect(await box.run(args)).toEqual({ code: 3, stdout: Buffer.alloc(0), stderr: keyRefused })
    expect(box.names).toEqual([])
  })

  it("is not shown in arguments that expect no key reference", async ({ box }) => {
    for (const args of [
      ["pubkey", shared],
      ["peers", "add", shared, "x"],
      [
        "serve",
        "--identity",
        "./none",
        "--retiring-identity",
        identity,
        "--retire-at",
        "2001-01-01"
      ]
    ]) {
      const { code, stdout, stderr } = await box.run(args)
      expect(code).toBeGreaterThan(1)
      expect(`${stdout.toString()}${stderr}`).not.toMatch(/1[02-9ac-hj-np-z]{16}/i)
    }
  })
})

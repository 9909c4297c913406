// The variables that child processes get: all but those from which this process read a secret.
import { spawnSync } from "node:child_process"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import * as ChildEnvironment from "../../src/keys/ChildEnvironment.ts"
import * as CredKeys from "../../src/keys/providers/CredKeys.ts"
import * as EnvKeys from "../../src/keys/providers/EnvKeys.ts"
import { EnvKind } from "../../src/services/inbox/kinds/EnvKind.ts"

const set = (name: string) => vi.stubEnv(name, "value")
beforeEach(() => {
  for (const name of ["OTHER", "SEALWIRE_PASSPHRASE"]) set(name)
})
afterEach(() => vi.unstubAllEnvs())

describe("a child process does not get", () => {
  // A variable is withheld until this process ends, so each test has names of its own.
  it.for<readonly [description: string, name: string, use: () => unknown]>([
    ["a passphrase", "SEALWIRE_PASSPHRASE", () => undefined],
    ["a variable that was withheld", "TOKEN", () => ChildEnvironment.withhold("TOKEN")],
    ["the variable of a key", "TEAM_KEY", () => EnvKeys.location("TEAM_KEY")],
    ["the folder of credentials", "CREDENTIALS_DIRECTORY", () => CredKeys.location("key")],
    ["the URL of an inbox", "INBOX_URL", () => EnvKind.open("env:INBOX_URL", { create: false })]
  ])("%s", ([, name, use]) => {
    set(name)
    use()
    const environment = ChildEnvironment.get()
    expect(Object.keys(environment)).not.toContain(name)
    expect(environment.OTHER).toBe("value")
  })

  it.skipIf(process.platform !== "linux")("what Node cannot pass on unchanged", () => {
    const module = path.resolve(import.meta.dirname, "../../src/keys/ChildEnvironment.ts")
    const program = `
      import { get } from ${JSON.stringify(module)}
      console.log(JSON.stringify([get().BROKEN, get().WHOLE]))
    `
    // Only a shell can set a variable to bytes that are not UTF-8.
    const script = `BROKEN="$(printf 'a\\377')" WHOLE=é exec "$0" "$@"`
    const node = [process.execPath, "--import", "tsx", "--input-type=module", "--eval", program]
    const { stdout, stderr } = spawnSync("sh", ["-c", script, ...node], { encoding: "utf8" })
    expect([stdout, stderr]).toEqual(['[null,"é"]\n', ""])
  })
})

describe("a child process gets", () => {
  it("what its caller adds, also in the place of a variable of this process", () => {
    const environment = ChildEnvironment.get({ OTHER: "another", NEW: "new" })
    expect([environment.OTHER, environment.NEW]).toEqual(["another", "new"])
    expect(ChildEnvironment.get({ OTHER: undefined }).OTHER).toBeUndefined()
  })

  it("a variable that belongs to a key of another environment", () => {
    set("FOREIGN_KEY")
    EnvKeys.location("FOREIGN_KEY", {})
    expect(ChildEnvironment.get().FOREIGN_KEY).toBe("value")
  })
})

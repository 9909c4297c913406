// The file that a user starts, on a version of Node that cannot run the command.
import { readFileSync } from "node:fs"
import path from "node:path"
import { Script } from "node:vm"
import { transformSync } from "esbuild"
import { describe, expect } from "vitest"
import { bin, it } from "./Sealwire.ts"

const root = path.resolve(import.meta.dirname, "../..")
const { engines, version: own } = JSON.parse(
  readFileSync(path.join(root, "package.json"), "utf8")
) as {
  readonly engines: { readonly node: string }
  readonly version: string
}
const [major = 0, minor = 0] = engines.node.slice(">=".length).split(".").map(Number)

/** A Node that has another version. */
const preload = (version: string) =>
  `Object.defineProperty(process, "version", { value: ${JSON.stringify(version)} })`

describe("dist/sealwire.js", () => {
  it.for([
    `v${major}.${minor - 1}.9`,
    `v${major - 1}.${minor + 9}.0`,
    `v9.${minor + 9}.0`,
    "v0.12.18"
  ])("names the version that it needs on Node %s", async (version, { box }) => {
    box.write("old.cjs", preload(version))
    const { code, stdout, stderr } = await box.runOther(process.execPath, [
      "--require",
      box.path("old.cjs"),
      bin,
      "serve"
    ])
    expect([code, stdout.toString(), stderr]).toEqual([
      2,
      "",
      `sealwire: Node ${version} is too old; install Node ${major}.${minor} or newer\n`
    ])
  })

  it.for([`v${major}.${minor}.0`, `v${major + 1}.0.0`, "v100.0.0"])(
    "starts the command on Node %s",
    async (version, { box }) => {
      box.write("other.cjs", preload(version))
      const { code, stdout } = await box.runOther(process.execPath, [
        "--require",
        box.path("other.cjs"),
        bin,
        "--version"
      ])
      expect([code, stdout.toString()]).toEqual([0, `${own}\n`])
    }
  )

  it("has syntax that each version of Node can parse, as a module and as a script", () => {
    const text = readFileSync(bin, "utf8")
    expect(text.startsWith("#!/usr/bin/env node\n")).toBe(true)
    // A script has no import, no export and no import.meta.
    expect(() => new Script(text)).not.toThrow()
    // esbuild rewrites or refuses what ECMAScript 5 lacks.
    const as = (target: string) => transformSync(text, { target }).code
    expect(as("es5")).toBe(as("esnext"))
    expect(() => transformSync("const a = 1", { target: "es5" })).toThrow("es5")
  })
})

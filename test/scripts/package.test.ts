// The package as its users see it: one door, types beside it, internals closed.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "../..")

it("the door opens, and has its types", async () => {
  const door = (await import("sealwire" as string)) as Record<string, unknown>
  for (const name of [
    "KeyStore",
    "Cipher",
    "Transport",
    "Classic",
    "Server",
    "Client",
    "Inbox",
    "PortInUse",
    "DecryptFailed",
    "KeyFileMissing"
  ])
    expect(door[name]).toBeDefined()
  const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>
  }
  const doors = Object.values(exports).flatMap((door) => (typeof door === "string" ? [] : [door.types]))
  expect(doors.length).toBeGreaterThan(1)
  expect(doors.filter((types) => !existsSync(path.join(root, types)))).toEqual([])
})

it("what is inside is closed", () => {
  const code = (name: string) => `import(${JSON.stringify(name)}).then(() => "open", (error) => error.code).then(console.log)`
  const ask = (name: string) => execFileSync(process.execPath, ["-e", code(name)], { cwd: root, encoding: "utf8" }).trim()
  const doors = ["", "/node", "/platform", "/cluster", "/testing", "/otel"]
  for (const door of doors) expect(ask(`sealwire${door}`)).toBe("open")
  for (const inside of ["sealwire/dist/lib/keys/KeyPair.js", "sealwire/keys/KeyStore"])
    expect(ask(inside)).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED")
})

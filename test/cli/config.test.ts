// Options from a configuration file, with the built command: each error names its line.
import { chownSync } from "node:fs"
import { describe, expect } from "vitest"
import { it, type Box } from "./Sealwire.ts"

const file = "./sealwire.toml"

const checked = async (box: Box, text: string) => {
  box.write(file, text)
  const { code, stdout, stderr } = await box.run(["check-config", file])
  expect(stdout.length).toBe(0)
  return [code, stderr.trimEnd().replace(/^sealwire: /, "")]
}

describe("a configuration file", () => {
  it("has the names of the options, and the command line overrides it", async ({ box }) => {
    box.write(
      file,
      `# a server\nlisten = "127.0.0.1:1"\njson = true\n"padding" = 'block:64'\nlog-level = "none"\n`
    )
    expect(await checked(box, box.read(file).toString())).toEqual([0, `${file}: OK (4 options)`])
    const server = await box.listen(["serve", "--config", file, "--listen", "127.0.0.1:0"])
    const { address } = server
    expect(address).not.toBe("127.0.0.1:1")
    expect((await box.run(["send", "--to", address])).code).toBe(0)
    expect(server.stderr).toBe("")
  })

  it.runIf(process.getuid?.() === 0)("of another user is rejected", async ({ box }) => {
    box.write(file, "json = true", 0o644)
    chownSync(box.path(file), 65_534, 65_534)
    const { code, stderr } = await box.run(["check-config", file])
    expect([code, stderr]).toEqual([
      2,
      `sealwire: ${file}: belongs to another user (uid 65534); try: chown 0 ${file}\n`
    ])
  })

  it("that others can change, or that does not exist, is rejected", async ({ box }) => {
    box.write(file, "json = true", 0o620)
    const run = (...args: ReadonlyArray<string>) => box.run(["serve", "--config", ...args])
    expect((await run(file)).stderr).toBe(
      `sealwire: ${file}: others can change it; try: chmod go-w ${file}\n`
    )
    expect((await run("./none.toml")).stderr).toBe("sealwire: ./none.toml: no such file\n")
    expect((await run(".")).stderr).toBe("sealwire: .: is not a regular file\n")
  })
})

// The path of a Unix socket has one limit, in bytes, wherever a path is given: the system would cut
// a longer one, and bind or reach another socket.
import { readdirSync } from "node:fs"
import { describe, expect } from "vitest"
import * as Address from "../../src/transports/Address.ts"
import { it, type Box } from "./Sealwire.ts"

/** The longest path on this system: sun_path less its NUL (unix(7)). */
const longest = process.platform === "linux" ? 107 : 103

const reason = `a socket path has at most ${longest} bytes`

/** The commands with a place for a path, and the option or argument in the error. */
const doors: ReadonlyArray<readonly [name: string, args: (path: string) => ReadonlyArray<string>]> =
  [
    ["serve --listen", (path) => ["serve", "--listen", path]],
    ["serve --control", (path) => ["serve", "--listen", "127.0.0.1:0", "--control", path]],
    ["serve --metrics", (path) => ["serve", "--listen", "127.0.0.1:0", "--metrics", path]],
    ["serve --forward", (path) => ["serve", "--listen", "127.0.0.1:0", "--forward", `a=${path}`]],
    ["tunnel --listen", (path) => ["tunnel", "--to", "127.0.0.1:1", "--listen", path]],
    ["tunnel --to", (path) => ["tunnel", "--listen", "127.0.0.1:0", "--to", path]],
    ["tunnel --control", (path) => ["tunnel", "--listen", ":0", "--to", ":1", "--control", path]],
    ["send --to", (path) => ["send", "--to", path]],
    ["push --to", (path) => ["push", "./file", "--to", path]],
    ["pull --from", (path) => ["pull", "file", "--from", path]],
    ["pipe --to", (path) => ["pipe", "--to", path]],
    ["pair", (path) => ["pair", path, "--yes"]],
    ["pair --listen", (path) => ["pair", "--yes", "--listen", path]],
    ["status", (path) => ["status", path]],
    ["classic serve --listen", (path) => ["classic", "serve", "--listen", path]],
    ["classic send --to", (path) => ["classic", "send", "--to", path]]
  ]

/** A path of so many bytes, of characters with three bytes each as far as possible. */
const pathOf = (box: Box, bytes: number): string => {
  const rest = bytes - Buffer.byteLength(`${box.cwd}/`)
  return `${box.cwd}/${"字".repeat(Math.floor(rest / 3))}${"x".repeat(rest % 3)}`
}

describe("a socket path that is one byte too long", () => {
  it.for(doors)("is refused by %s", async ([, argsFor], { box }) => {
    const path = pathOf(box, longest + 1)
    expect([Buffer.byteLength(path), path.length < longest]).toEqual([longest + 1, true])
    const before = readdirSync(box.cwd)
    const { code, stdout, stderr } = await box.run(argsFor(path))
    expect([code, stdout.toString()]).toEqual([2, ""])
    expect(stderr).toContain(reason)
    expect(readdirSync(box.cwd)).toEqual(before)
  })
})

it("of the greatest length serves, and is reached under its name", async ({ box }) => {
  const [socket, control] = [pathOf(box, longest), `${pathOf(box, longest - 1)}c`]
  await box.listen(["serve", "--listen", socket, "--control", control])
  expect((await box.run(["send", "hi", "--to", socket])).code).toBe(0)
  expect((await box.run(["status", control])).code).toBe(0)
  expect(box.names).toEqual(
    [socket, control, "sealwire.key"].map((name) => name.replace(`${box.cwd}/`, "")).toSorted()
  )
})

it("the library refuses it, too", () => {
  expect(() => Address.unix("x".repeat(longest + 1))).toThrow(reason)
  expect(Address.unix("x".repeat(longest))).toEqual({ _tag: "Unix", path: "x".repeat(longest) })
  for (const path of ["", "a\0b"]) expect(() => Address.unix(path)).toThrow("is not an address")
})

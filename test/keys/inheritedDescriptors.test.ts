// What a child gets of the descriptors that this process has inherited: nothing.
import { spawnSync } from "node:child_process"
import { closeSync, openSync, writeFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "vitest"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()
const module = path.resolve(import.meta.dirname, "../../src/keys/InheritedDescriptors.ts")

/** Node closes the inherited descriptors below 16 in its children, and not this one. */
const inherited = 20

/** What a grandchild reads from the descriptor when its parent is started with a file there. */
const readByGrandchild = (hides: boolean): string => {
  const file = path.join(folder(), "secret")
  writeFileSync(file, "the secret")
  const script = `
    import { spawnSync } from "node:child_process"
    import { hidden } from ${JSON.stringify(module)}
    const run = (rest) => spawnSync("cat", ["/proc/self/fd/${inherited}"], {
      stdio: ["ignore", "inherit", "ignore", ...rest]
    })
    ${hides ? "hidden(run)" : "run([])"}`
  const fd = openSync(file, "r")
  try {
    const stdio = Array.from({ length: inherited + 1 }, (_, index) =>
      index === inherited ? fd : index === 1 ? ("pipe" as const) : ("ignore" as const)
    )
    const args = ["--import", "tsx", "--input-type=module", "-e", script]
    return spawnSync(process.execPath, args, { stdio }).stdout.toString()
  } finally {
    closeSync(fd)
  }
}

it.runIf(process.platform === "linux")("an inherited descriptor is hidden from a child", () => {
  expect(readByGrandchild(false)).toBe("the secret")
  expect(readByGrandchild(true)).toBe("")
})

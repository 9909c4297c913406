// A source that another program writes through a shared memory map while it is read: no command
// stores a mixture of its states.
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync
} from "node:fs"
import { describe, expect } from "vitest"
import { it, within, type Box } from "./Sealwire.ts"

const MiB = 1024 * 1024
const size = 48 * MiB
const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined
const tmpfs = 0x01021994

/** Maps a file, writes state 1 to each page, and states 2, 3, … to the first and last at each line. */
const mapper = `
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
map = mmap.mmap(file, 0)
for page in range(0, len(map), 4096): map[page] = 1
print("mapped", flush=True)
for state, line in enumerate(sys.stdin, 2):
    map[len(map) - 4096] = map[0] = state % 256
    print("written", flush=True)
`

/** Makes a source whose pages another program has written, and not yet flushed. */
const mapSource = async (box: Box) => {
  // Temporary files of the tests may be on tmpfs.
  const folder = mkdtempSync("/var/tmp/sealwire-")
  box.defer(() => rmSync(folder, { recursive: true }))
  const source = `${folder}/source`
  writeFileSync(source, Buffer.alloc(size, 7))
  const running = box.startOther("python3", ["-c", mapper, source], { stdin: "open" })
  await running.until("the map", ({ stdout }) => stdout.includes("mapped"))
  const isNoted = statfsSync(folder).type !== tmpfs
  const write = async () => {
    running.type("\n")
    await running.until("the write", ({ stdout }) => stdout.includes("written"))
  }
  return { source, isNoted, write, running }
}

describe.skipIf(!has("python3"))("a source that is written through a memory map meanwhile", () => {
  it("is not stored by push as a mixture", async ({ box, skip }) => {
    const server = await box.listen(["serve", "--listen", "127.0.0.1:0", "--files", "./"])
    const { source, isNoted, write } = await mapSource(box)
    if (!isNoted) return skip("tmpfs notes no such writes")
    const push = box.start(
      ["push", source, "--to", server.address, "--as", "copy", "--limit", "24M"],
      { process: true }
    )
    await within(
      (async () => {
        const part = () => readdirSync(box.cwd).find((name) => name.endsWith(".part"))
        for (;;) {
          const name = part()
          if (name !== undefined && statSync(box.path(name)).size >= 8 * MiB) return
          expect(push.alive).toBe(true)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      })(),
      "a part of the file"
    )
    await write()
    const { code, stderr } = await push.ended()
    expect(stderr).toContain("copy: changed while it was read")
    expect(code).not.toBe(0)
    expect(existsSync(box.path("copy"))).toBe(false)
  })

  it("is not encrypted as a mixture", async ({ box, skip }) => {
    await box.run(["keygen", "file-key", "-o", "file.key"])
    const { source, isNoted, running } = await mapSource(box)
    if (!isNoted) return skip("tmpfs notes no such writes")
    const encrypt = box.start(["encrypt", "--file-key", "./file.key", "-o", "out", source], {
      process: true
    })
    const writing = setInterval(() => running.type("\n"), 2)
    const { code, stderr } = await encrypt.ended()
    clearInterval(writing)
    expect(stderr).toContain("changed while it was read")
    expect(code).not.toBe(0)
    expect(existsSync(box.path("out"))).toBe(false)
  })
})

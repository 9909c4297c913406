// The example cluster, as its README says to start it: three processes, one killed, one stranger.
import { spawn } from "node:child_process"
import path from "node:path"
import { expect, it } from "vitest"
import { available } from "../programs/Postgres.ts"

const root = path.resolve(import.meta.dirname, "../..")

it.skipIf(!available)(
  "a cluster loses a runner and no message, and hears no stranger",
  async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "examples/cluster/main.ts"], { cwd: root })
    const lines: Array<string> = []
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => lines.push(...text.split("\n").filter((line) => line !== "")))
    const deadline = setTimeout(() => child.kill("SIGTERM"), 150_000)
    const code = await new Promise((done) => child.once("close", done))
    clearTimeout(deadline)
    expect({ code, said: lines.join("\n") }).toMatchObject({ code: 0 })
    const expected = [
      /^keys {6}of one, two, three, teller/,
      /^runners {3}one, two and three are up, and hold 30 accounts: one \d+, two \d+, three \d+$/,
      /^deposits {2}30 acknowledged, each sent twice$/,
      /^kill -9 {3}two, .*: one \d+, three \d+$/,
      /^books {5}(\d+) deposits acknowledged, \1 written, each counted once/,
      /^stranger {2}127\.0\.0\.1:\d+ did not prove that it is one, whose key is sealwire1/,
      /^plain TCP 0 bytes, and the end$/,
      /^back {6}two is started again: one \d+, two \d+, three \d+$/
    ]
    expect(lines.length).toBe(expected.length)
    for (const [index, line] of expected.entries()) expect(lines[index]).toMatch(line)
  },
  180_000
)

// The example cluster, with nothing but the packed package and its peers: three processes, one killed, one stranger.
import { afterAll, beforeAll, expect, it } from "vitest"
import { available } from "../services/inbox/Postgres.ts"
import { node, pack, type Packed } from "../scripts/Packed.ts"

let packed: Packed | undefined
beforeAll(() => {
  if (available) packed = pack()
}, 120_000)
afterAll(() => packed?.remove())

it.skipIf(!available)(
  "a cluster loses a runner and no message, and hears no stranger",
  async () => {
    const { code, output } = await node(
      packed as Packed,
      ["--import", "tsx", "examples/cluster/main.ts"],
      150_000
    )
    expect({ code, output }).toMatchObject({ code: 0 })
    const lines = output.split("\n").filter((line) => line !== "")
    const expected = [
      /^keys {6}of one, two, three, teller/,
      /^runners {3}one, two and three are up, and hold 30 accounts: one \d+, two \d+, three \d+$/,
      /^deposits {2}30 acknowledged, each sent twice$/,
      /^kill -9 {3}two, .*: one \d+, three \d+$/,
      /^books {5}(\d+) deposits acknowledged, \1 written, each counted once/,
      /^stranger {2}127\.0\.0\.1:\d+ did not authenticate as one with the key sealwire1/,
      /^plain TCP 0 bytes, and the end$/,
      /^back {6}two is started again: one \d+, two \d+, three \d+$/
    ]
    expect(lines.length).toBe(expected.length)
    for (const [index, line] of expected.entries()) expect(lines[index]).toMatch(line)
  },
  180_000
)

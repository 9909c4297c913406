// Runs the examples that need PostgreSQL with only the packed package and its peer dependencies.
import { afterAll, beforeAll, expect, it } from "vitest"
import { available } from "../services/inbox/Postgres.ts"
import { node, pack, type Packed } from "../scripts/Packed.ts"

let packed: Packed | undefined
beforeAll(async () => {
  if (available) packed = await pack()
}, 300_000)
afterAll(() => packed?.remove())

it.skipIf(!available)(
  "a cluster survives a killed runner without losing a message, and refuses an unlisted key",
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
      /^other key 127\.0\.0\.1:\d+ did not authenticate as one with the key sealwire1/,
      /^plain TCP 0 bytes, then the end of the stream$/,
      /^restart {3}two is up again: one \d+, two \d+, three \d+$/
    ]
    expect(lines.length).toBe(expected.length)
    for (const [index, line] of expected.entries()) expect(lines[index]).toMatch(line)
  },
  180_000
)

it.skipIf(!available)(
  "an order and its message are stored together, or neither",
  async () => {
    const { code, output } = await node(packed as Packed, [
      "--import",
      "tsx",
      "examples/outbox/main.ts"
    ])
    expect({ code, output }).toEqual({
      code: 0,
      output:
        "shop       2 messages wait for the warehouse\n" +
        "warehouse  3 attempts, 2 shipments, and none of unicorns\n"
    })
  },
  60_000
)

// Reports of refused connections: a source with many keys hides no key of a new client, and gets a
// bounded number of lines.
import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { Event } from "../../src/cli/output/events/index.ts"
import { connectionRefusals } from "../../src/cli/output/refusals.ts"
import { limits } from "../../src/transports/limits.ts"

const reason = "its key is not in authorized_peers"
const keyOf = (number: number) => {
  const key = Buffer.alloc(32, 1)
  key.writeUInt32BE(number)
  return key
}

const setUp = Effect.gen(function* () {
  const events: Array<readonly [from: string, count: number, key: number | undefined]> = []
  const refused = yield* connectionRefusals((event: Event) =>
    Effect.sync(() => {
      if (event._tag !== "ConnectionRefused") throw new Error(event._tag)
      const { publicKey } = event
      const key = publicKey === undefined ? undefined : Buffer.from(publicKey).readUInt32BE()
      events.push([event.from, event.count, key])
    })
  )
  const refuse = (from: string, key?: number) =>
    refused({ from, reason, publicKey: key === undefined ? undefined : keyOf(key) })
  const interval = TestClock.adjust(Duration.sum(limits.reportInterval, "1 second"))
  return { events, refuse, interval }
})

it.scoped("each new key of a source has its own line at once", () =>
  Effect.gen(function* () {
    const { events, refuse, interval } = yield* setUp
    for (const [port, key] of [1, 1, 2, 1, 2, 3].entries()) yield* refuse(`1.2.3.4:${port}`, key)
    yield* refuse("1.2.3.4:9")
    expect(events.splice(0)).toEqual([
      ["1.2.3.4:0", 1, 1],
      ["1.2.3.4:2", 1, 2],
      ["1.2.3.4:5", 1, 3],
      ["1.2.3.4:9", 1, undefined]
    ])
    // A count of one key names it.
    yield* interval
    expect(events.splice(0)).toEqual([
      ["1.2.3.4", 2, 1],
      ["1.2.3.4", 1, 2]
    ])
    yield* refuse("1.2.3.4:1", 4)
    expect(events).toEqual([["1.2.3.4:1", 1, 4]])
  })
)

it.scoped("more keys than a source may have are counted together, until the next interval", () =>
  Effect.gen(function* () {
    const { events, refuse, interval } = yield* setUp
    const most = limits.reportKeysPerSource
    for (let key = 1; key <= most + 100; key++) yield* refuse("1.2.3.4:1", key)
    // The first of the others has a line too.
    expect(events.map(([, , key]) => key)).toEqual(
      Array.from({ length: most + 1 }, (_, index) => index + 1)
    )
    // Another source is told apart.
    yield* refuse("5.6.7.8:1", 7)
    expect(events.splice(0).at(-1)).toEqual(["5.6.7.8:1", 1, 7])
    yield* interval
    expect(events.splice(0)).toEqual([["1.2.3.4", 99, undefined]])
    yield* refuse("1.2.3.4:1", 1000)
    expect(events).toEqual([["1.2.3.4:1", 1, 1000]])
  })
)

it.scoped("all sources together have a bounded number of keys, and leave room for others", () =>
  Effect.gen(function* () {
    const { events, refuse } = yield* setUp
    for (let source = 0; source < 64; source++)
      for (let key = 0; key < limits.reportKeysPerSource; key++)
        yield* refuse(`10.0.0.${source}:1`, source * 100 + key)
    const sources = limits.reportKeys / limits.reportKeysPerSource
    expect(events.length).toBe(limits.reportKeys + 64 - sources)
    expect(events.every(([from]) => from !== "other addresses")).toBe(true)
  })
)

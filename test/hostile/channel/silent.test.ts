// A thousand connections that say nothing, from one source and from many: an honest client is served at once.
import { describe, expect } from "vitest"
import { limits } from "../../../src/channel/limits.ts"
import { it } from "../../cli/Sealwire.ts"
import { attacked, memory, stranger, type Stranger } from "./Attacked.ts"

const MiB = 1024 * 1024

describe("a thousand silent connections", () => {
  it.for([
    ["one source", 1],
    ["250 sources", 250]
  ] as const)("from %s do not keep an honest client out", async ([, sources], { box }) => {
    const { server, port, events, honest } = await attacked(box)
    await honest("before")
    const before = memory(server.pid)
    const strangers: Array<Stranger> = []
    let gone = 0
    for (let come = 0; come < 1000; come++) {
      const one = await stranger(box, port, `127.0.0.${2 + (come % sources)}`)
      strangers.push(one)
      void one.treatment.then(() => gone++)
    }
    await honest("among the silent", 4000)
    // From the crowded source itself, too.
    expect(memory(server.pid) - before).toBeLessThan(150 * MiB)
    expect(server.alive).toBe(true)
    const kept = sources === 1 ? limits.halfOpenPerSource : Math.min(1000, limits.halfOpen)
    // Of one source so many stay and no more; of many, all that there is room for.
    if (sources === 1) {
      for (let turn = 0; turn < 100 && gone < 1000 - kept; turn++) await new Promise((done) => setTimeout(done, 20))
      expect(gone).toBeGreaterThanOrEqual(1000 - kept)
    }
    expect(events("session-started").length).toBe(2)
    for (const { socket } of strangers) socket.destroy()
    await honest("afterwards")
  })
})

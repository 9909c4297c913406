// A thousand silent connections, from one source and from many: an honest client is served at once.
import { describe, expect } from "vitest"
import * as Duration from "effect/Duration"
import { limits } from "../../../src/channel/limits.ts"
import { it, within } from "../../cli/Sealwire.ts"
import { startTarget, residentBytes, connectAttacker, type Attacker } from "./TargetServer.ts"

const MiB = 1024 * 1024

describe("a thousand silent connections", () => {
  it.for([
    ["one source", 1],
    ["250 sources", 250]
  ] as const)("from %s do not block an honest client", async ([, sources], { box }) => {
    const { server, port, events, sendHonestly } = await startTarget(box)
    await sendHonestly("before")
    const before = residentBytes(server.pid)
    const attackers: Array<Attacker> = []
    for (let count = 0; count < 1000; count++) {
      const one = await connectAttacker(box, port, `127.0.0.${2 + (count % sources)}`)
      attackers.push(one)
    }
    await sendHonestly("among the silent")
    expect(attackers.some(({ socket }) => !socket.destroyed)).toBe(true)
    expect(residentBytes(server.pid) - before).toBeLessThan(150 * MiB)
    expect(server.alive).toBe(true)
    // The limit per source holds.
    if (sources === 1) {
      const newest = attackers.slice(-limits.halfOpenPerSource)
      const others = attackers.slice(0, -limits.halfOpenPerSource)
      const outcomes = await within(
        Promise.all(others.map(({ outcome }) => outcome)),
        "the other connections to close"
      )
      // They were evicted before their deadline.
      const median =
        outcomes.map(({ millis }) => millis).sort((one, other) => one - other)[others.length / 2] ??
        Infinity
      expect(median).toBeLessThan(Duration.toMillis(limits.firstByteDeadline) / 2)
      expect(newest.filter(({ socket }) => !socket.destroyed).length).toBeGreaterThan(
        limits.halfOpenPerSource / 2
      )
    }
    expect(events("session-started").length).toBe(2)
    for (const { socket } of attackers) socket.destroy()
    await sendHonestly("afterwards")
  })
})

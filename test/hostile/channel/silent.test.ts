// A thousand silent connections, from one source and from many: an honest client is served at once.
import { describe, expect } from "vitest"
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
    let honest = 0
    const sendAnother = () => sendHonestly(`honest ${honest++}`)
    await sendAnother()
    const before = residentBytes(server.pid)
    const attackers: Array<Attacker> = []
    const connectMore = async (wanted: number) => {
      while (attackers.length < wanted)
        attackers.push(
          await connectAttacker(box, port, `127.0.0.${2 + (attackers.length % sources)}`)
        )
    }
    await connectMore(1000)
    await sendAnother()
    // On a busy machine all may have reached their deadline meanwhile.
    while (attackers.every(({ socket }) => socket.destroyed)) {
      expect(attackers.length).toBeLessThan(1500)
      await connectMore(attackers.length + limits.halfOpenPerSource)
      await sendAnother()
    }
    expect(residentBytes(server.pid) - before).toBeLessThan(150 * MiB)
    expect(server.alive).toBe(true)
    // The limit per source holds.
    if (sources === 1) {
      const others = attackers.slice(0, -limits.halfOpenPerSource)
      await within(
        Promise.all(others.map(({ outcome }) => outcome)),
        "the other connections to close"
      )
      // Each was evicted by a later one, the oldest first, or had reached its deadline before.
      const evictions = () =>
        [
          ...server.stderr.matchAll(
            /"([\d.:]+): connection reset: too many unauthenticated connections/g
          )
        ].map(([, from = ""]) => from)
      const refusals = () => events("connection-refused").map(({ from }) => String(from))
      const newest = new Set(
        attackers.slice(-limits.halfOpenPerSource).map(({ address }) => address)
      )
      const closed = () => [...evictions(), ...refusals().filter((from) => !newest.has(from))]
      await server.until("a line for each", () => closed().length >= others.length)
      expect(closed().toSorted()).toEqual(others.map(({ address }) => address).toSorted())
      // A port can come twice, so the order is checked step by step.
      const evicted = evictions()
      let next = 0
      for (const { address } of others) if (address === evicted[next]) next++
      expect(next).toBe(evicted.length)
      expect(evicted.length).toBeGreaterThan(0)
    }
    expect(events("session-started").length).toBe(honest)
    for (const { socket } of attackers) socket.destroy()
    await sendAnother()
  })
})

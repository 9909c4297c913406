// A server with 120 file descriptors and 300 clients keeps running and serves an honest client at
// once.
import { describe, expect } from "vitest"
import { it } from "../../cli/Sealwire.ts"
import { startTarget, connectAttacker } from "./TargetServer.ts"

describe("a server below `ulimit -n 120`", () => {
  it("serves an honest client among 300 silent ones", async ({ box }) => {
    const { server, port, events, sendHonestly } = await startTarget(box, 120)
    await sendHonestly("before")
    const attackers = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        connectAttacker(box, port, `127.0.0.${2 + (index % 100)}`)
      )
    )
    for (let turn = 0; turn < 3; turn++) await sendHonestly(`among the silent, ${turn}`)
    expect(server.alive).toBe(true)
    expect(server.stderr).not.toContain("EMFILE")
    for (const { socket } of attackers) socket.destroy()
    await sendHonestly("afterwards")
    expect(events("message-received").length).toBe(5)
  })
})

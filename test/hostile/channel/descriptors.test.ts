// A server that may open 120 files, and 300 clients: it goes on, and an honest one is served at once.
import { describe, expect } from "vitest"
import { it } from "../../cli/Sealwire.ts"
import { attacked, stranger } from "./Attacked.ts"

describe("a server below `ulimit -n 120`", () => {
  it("serves an honest client among 300 silent ones", async ({ box }) => {
    const { server, port, events, honest } = await attacked(box, 120)
    await honest("before")
    const strangers = await Promise.all(
      Array.from({ length: 300 }, (_, index) => stranger(box, port, `127.0.0.${2 + (index % 100)}`))
    )
    for (let turn = 0; turn < 3; turn++) await honest(`among the silent, ${turn}`)
    expect(server.alive).toBe(true)
    expect(server.stderr).not.toContain("EMFILE")
    for (const { socket } of strangers) socket.destroy()
    await honest("afterwards")
    expect(events("message-received").length).toBe(5)
  })
})

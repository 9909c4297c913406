// Five hundred clients that send a byte per second: an honest one is served at once, and all are
// closed in time.
import { describe, expect } from "vitest"
import * as Hello from "../../../src/channel/Hello.ts"
import { suiteNamed } from "../../../src/channel/Suite.ts"
import { it, within } from "../../cli/Sealwire.ts"
import { startTarget, connectAttacker } from "./TargetServer.ts"

describe("500 clients that send a byte per second", () => {
  it("do not delay an honest client, and are closed after 10 seconds", async ({ box }) => {
    const { server, port, events, sendHonestly } = await startTarget(box)
    await sendHonestly("before")
    const hello = Hello.encode(suiteNamed("NNpsk0"))
    const slow = await Promise.all(
      Array.from({ length: 500 }, async (_, index) => {
        const one = await connectAttacker(box, port, `127.0.0.${2 + (index % 10)}`)
        let at = 0
        const timer = setInterval(
          () => !one.socket.destroyed && one.socket.write(hello.subarray(at, ++at)),
          1000
        )
        one.socket.write(hello.subarray(at, ++at))
        void one.outcome.then(() => clearInterval(timer))
        box.defer(() => clearInterval(timer))
        return one
      })
    )
    for (let second = 0; second < 4; second++) {
      await sendHonestly(`in second ${second}`)
      expect(slow.some(({ socket }) => !socket.destroyed)).toBe(true)
      await new Promise((done) => setTimeout(done, 800))
    }
    const outcomes = await within(
      Promise.all(slow.map(({ outcome }) => outcome)),
      "all connections to close"
    )
    expect(outcomes.every(({ bytes }) => bytes === 0)).toBe(true)
    // They had sent bytes, so their deadline was 10 seconds, not 5.
    expect(Math.min(...outcomes.map(({ millis }) => millis))).toBeGreaterThan(7000)
    await server.until("every refusal", () => events("connection-refused").length >= slow.length)
    expect(events("connection-refused").every(({ reason }) => reason === "timed out")).toBe(true)
    expect(events("connection-refused").length).toBe(500)
    await sendHonestly("afterwards")
  })
})

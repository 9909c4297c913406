// A replayed recording delivers no message.
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Channel from "../../../src/channel/Channel.ts"
import { encodeMessages } from "../../../src/services/messages/MessageFrame.ts"
import { ReceiptDecoder } from "../../../src/services/messages/Receipt.ts"
import { application } from "../../../src/services/Service.ts"
import { tcp } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { recording } from "../../channel/rig.ts"
import { it, within } from "../../cli/Sealwire.ts"
import { startTarget, sharedKey, connectAttacker } from "./TargetServer.ts"

describe("the command", () => {
  it("delivers nothing from a replayed message 1 or a replayed stream", async ({ box }) => {
    const { server, port, events, sendHonestly } = await startTarget(box)
    const written: Array<Uint8Array> = []
    await within(
      Effect.gen(function* () {
        const transport = yield* Transport
        const connection = recording(written)(yield* transport.connect(tcp("127.0.0.1", port)))
        const keys = { serverName: "", application, psk: sharedKey }
        const channel = yield* Channel.connect(connection, keys, { opening: "message" })
        for (const { chunks } of encodeMessages([Buffer.from("pay 100")]))
          yield* channel.write(Buffer.concat(chunks))
        const receipt = yield* channel.read
        expect(receipt instanceof Uint8Array && new ReceiptDecoder().push(receipt)).toEqual([
          { status: "handled", count: 1 }
        ])
        yield* channel.end
      }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise),
      "the recorded session"
    )
    await server.until("the recorded message", () => events("message-received").length === 1)

    const stream = Buffer.concat(written)
    const messageOne = stream.subarray(0, 8 + 2 + 48)
    expect(stream.length).toBeGreaterThan(messageOne.length + 21 + 40)
    const replays = [messageOne, stream, stream, stream]
    const outcomes = await Promise.all(
      replays.map(async (bytes) => {
        const { socket, outcome } = await connectAttacker(box, port)
        socket.end(bytes)
        return within(outcome, "the end of a replay")
      })
    )
    // A replayed message 1 is answered with message 2 only: it cannot be told apart yet.
    expect(outcomes.map(({ bytes }) => bytes)).toEqual(replays.map(() => 2 + 48))
    await server.until("the refusals", () => events("connection-refused").length === replays.length)
    expect(new Set(events("connection-refused").map(({ reason }) => reason))).toEqual(
      new Set(["it closed the connection", "a record failed authentication"])
    )
    expect(events("message-received").length).toBe(1)
    expect(events("session-started").length).toBe(1)
    await sendHonestly("after")
  })
})

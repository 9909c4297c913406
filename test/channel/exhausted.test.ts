// A session ends before its record numbers are used up. The limit of the protocol, 2^48, is made
// small for these tests. PROTOCOL.md section 9.
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Channel } from "../../src/channel/Channel.ts"
import { protocolLimits } from "../../src/channel/limits.ts"
import { nextTurn, pause, withTimeout } from "../../src/testing/steps.ts"
import { Transport } from "../../src/transports/index.ts"
import { openChannel, recording, suiteOf } from "./rig.ts"

const memory = Effect.provide(Transport.layerMemory())
const limit = 12
const ofProtocol = protocolLimits.recordsPerSession
const setLimit = (recordsPerSession: number) => Object.assign(protocolLimits, { recordsPerSession })
afterEach(() => void setLimit(ofProtocol))

/** Counts the frames in written bytes. */
const framesIn = (written: ReadonlyArray<Uint8Array>): number => {
  const bytes = Buffer.concat(written)
  let frames = 0
  for (let at = 0; at < bytes.length; at += 2 + bytes.readUInt16BE(at)) frames++
  return frames
}

/** Writes one record after the other until that fails. */
const writeUntilFailure = (channel: Channel) =>
  Effect.gen(function* () {
    for (let count = 0; count < 5 * limit; count++) {
      const result = yield* Effect.either(channel.write(Buffer.from([count])))
      if (result._tag === "Left") return { count, error: result.left }
      // The next write is in another record.
      yield* nextTurn
    }
    return yield* Effect.dieMessage("writing never failed")
  })

describe("a session whose record numbers are nearly used up", () => {
  it.scoped("is closed by the writer, and the reader loses nothing", () =>
    Effect.gen(function* () {
      expect(ofProtocol).toBe(2 ** 48)
      const written: Array<Uint8Array> = []
      const [client, server] = yield* openChannel(suiteOf("NNpsk0"), { wire: recording(written) })
      yield* pause(10)
      setLimit(limit)
      // READY has the first number. FIN and CLOSE keep the last two.
      const handshakeFrames = framesIn(written.slice(1)) - 1
      const { count, error } = yield* writeUntilFailure(client.channel)
      expect(error).toMatchObject({
        _tag: "ChannelClosed",
        reason: "the session has used all of its record numbers; connect again"
      })
      expect(count).toBe(limit - 3)
      yield* pause(10)
      // READY, the data, and CLOSE; no FIN, because the stream has not ended.
      expect(framesIn(written.slice(1)) - handshakeFrames).toBe(1 + count + 1)
      const received: Array<number> = []
      const end = yield* withTimeout(
        "the end",
        Effect.flip(
          Effect.forever(
            Effect.map(server.channel.read, (item) => {
              if (item instanceof Uint8Array) received.push(...item)
            })
          )
        )
      )
      expect(received).toEqual(Array.from({ length: count }, (_, index) => index))
      expect(end).toMatchObject({
        _tag: "ChannelClosed",
        reason: "the session has used all of its record numbers; connect again"
      })
    }).pipe(memory)
  )

  it.scoped("accepts neither control messages nor FIN", () =>
    Effect.gen(function* () {
      for (const use of ["sendControl", "end"] as const) {
        setLimit(ofProtocol)
        const [client] = yield* openChannel(suiteOf("NNpsk0"))
        yield* pause(10)
        setLimit(3)
        const { channel } = client
        const attempt = use === "end" ? channel.end : channel.sendControl(Buffer.from("x"))
        expect(yield* Effect.flip(attempt)).toMatchObject({ _tag: "ChannelClosed" })
        expect(channel.flow.writeError()).toMatchObject({ _tag: "ChannelClosed" })
      }
    }).pipe(memory)
  )
})

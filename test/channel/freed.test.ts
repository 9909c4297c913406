// The memory of what was read is freed when the program says so, and what it keeps stays.
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { protocolLimits } from "../../src/channel/limits.ts"
import { Transport } from "../../src/transports/index.ts"
import { openChannel, suiteOf } from "./rig.ts"

it.scopedLive("frees large items, and leaves small ones and those not read yet", () =>
  Effect.gen(function* () {
    const [client, server] = yield* openChannel(suiteOf("NNpsk0"))
    const { bodyBytes } = protocolLimits
    const flow = server.channel.flow
    const read = Effect.map(server.channel.read, (item) => item as Uint8Array)
    yield* client.channel.write(Buffer.alloc(2 * bodyBytes, 7))
    const first = yield* read
    flow.release(first)
    // Twice is harmless.
    flow.release(first)
    const second = yield* read
    expect([first.length, second.length, second.at(-1)]).toEqual([0, bodyBytes, 7])
    yield* client.channel.write(Buffer.alloc(100, 8))
    const small = yield* read
    flow.release(small)
    expect([...small]).toEqual([...Buffer.alloc(100, 8)])
  }).pipe(Effect.provide(Transport.layerNet))
)

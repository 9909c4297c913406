// PROTOCOL.md section 1: the near end resets the connection of a server that breaks the protocol,
// as the far end does; CLOSE would call it an orderly end.
import { it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { dial } from "../../../src/services/Dial.ts"
import * as Server from "../../../src/services/Server.ts"
import type { Service } from "../../../src/services/Service.ts"
import { encode } from "../../../src/services/tunnel/Messages.ts"
import { forward } from "../../../src/services/tunnel/TunnelClient.ts"
import { waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import * as Address from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"

const anyPort = Address.tcp("127.0.0.1", 0)

/**
 * A server that offers a tunnel, answers `go` with `messages`, and records how the channel ends.
 */
const serverThatSends = (messages: ReadonlyArray<Uint8Array | "data">) =>
  Effect.gen(function* () {
    const ended: Array<string> = []
    const service: Service = {
      name: "tunnel",
      takesArgument: true,
      run: ({ channel }) =>
        Effect.gen(function* () {
          yield* channel.sendControl(encode("offered"))
          yield* channel.read
          for (const message of messages)
            yield* message === "data"
              ? channel.write(Buffer.from("early"))
              : channel.sendControl(message)
          yield* Effect.forever(channel.read)
        }).pipe(Effect.tapError(({ _tag }) => Effect.sync(() => void ended.push(_tag))))
    }
    const listening = yield* Deferred.make<Address.Address>()
    yield* Effect.forkScoped(
      Server.serve({
        address: anyPort,
        keys: serverKeys,
        services: [service],
        on: (event) =>
          event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
      })
    )
    return { address: yield* withTimeout("the server", Deferred.await(listening)), ended }
  })

describe("the near end resets a server that sends", () => {
  it.scopedLive.each<readonly [string, ReadonlyArray<Uint8Array | "data">]>([
    ["an unknown message", [Uint8Array.of(0x99)]],
    ["a message of the near end", [encode("go")]],
    ["a message of two bytes", [Uint8Array.of(0x12, 0x12)]],
    ["data before connected", ["data"]],
    ["connected twice", [encode("connected"), encode("connected")]]
  ])("%s", ([, messages]) =>
    Effect.gen(function* () {
      const { address, ended } = yield* serverThatSends(messages)
      const transport = yield* Transport
      const accepted = yield* Deferred.make<void>()
      const listener = yield* transport.listen(anyPort, (connection) =>
        Effect.zipRight(Deferred.succeed(accepted, undefined), Effect.ignore(connection.read))
      )
      const plain = yield* transport.connect(listener.address)
      const channel = yield* dial({ address, keys: dialKeys(suiteOf("IK")) }, "tunnel it")
      yield* channel.read
      const error = yield* withTimeout("the end", Effect.flip(forward(plain, channel, {})))
      expect(error._tag).toBe("ChannelTampered")
      yield* waitUntil("the server's end", () => ended.length > 0)
      expect(ended).toEqual(["StreamTruncated"])
    }).pipe(Effect.provide(Transport.layerMemory()))
  )
})

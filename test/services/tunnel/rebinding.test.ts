// The far end connects to a target only on this machine, unless its line allows more: the transport
// checks every address to which the name resolves at that moment (DNS rebinding).
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Control } from "../../../src/channel/Channel.ts"
import type { ServiceSession } from "../../../src/services/Service.ts"
import { decode, encode } from "../../../src/services/tunnel/Messages.ts"
import * as TunnelService from "../../../src/services/tunnel/TunnelService.ts"
import { tcp } from "../../../src/transports/Address.ts"
import { makeMemory } from "../../../src/transports/Memory.ts"
import { Transport } from "../../../src/transports/Transport.ts"
import { ConnectFailed } from "../../../src/transports/TransportErrors.ts"

it.scoped.each([
  [undefined, true],
  [false, true],
  [true, false]
] as const)("with allowRemote %s it connects with loopbackOnly %s, each time", ([allow, only]) =>
  Effect.gen(function* () {
    const attempts: Array<unknown> = []
    const transport = {
      ...makeMemory(),
      connect: (address: unknown, options: unknown) => {
        attempts.push([address, options])
        return new ConnectFailed({ address: "db.example:5432", reason: "elsewhere", code: "" })
      }
    } as unknown as Transport["Type"]
    const address = tcp("db.example", 5432)
    const service = yield* Effect.provideService(
      TunnelService.service([
        { name: "db", address, ...(allow === undefined ? {} : { allowRemote: allow }) }
      ]),
      Transport,
      transport
    )
    for (let attempt = 0; attempt < 2; attempt++) {
      const sent: Array<unknown> = []
      const session = {
        argument: "db",
        channel: {
          peer: "alice",
          opening: "tunnel/db",
          sendControl: (body: Uint8Array) => Effect.sync(() => void sent.push(decode(body))),
          read: Effect.succeed(new Control(encode("go")))
        },
        connection: { onDraining: () => () => {} },
        remote: { peer: "alice" },
        peerSession: undefined
      } as unknown as ServiceSession
      expect(yield* Effect.flip(service.run(session))).toMatchObject({ _tag: "TargetUnreached" })
      // The client learns no more than of a target without a route.
      expect(sent).toEqual(["offered", "unreachable"])
    }
    const expected = [address, { loopbackOnly: only }]
    expect(attempts).toEqual([expected, expected])
  })
)

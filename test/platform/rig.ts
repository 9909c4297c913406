// A SocketServer and the options of a Socket, for tests.
import type { Socket } from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import type { Suite } from "../../src/channel/Suite.ts"
import * as SecureSocket from "../../src/platform/SecureSocket.ts"
import * as SecureSocketServer from "../../src/platform/SecureSocketServer.ts"
import { tcp } from "../../src/transports/Address.ts"
import { dialKeys, serverKeys, suiteOf } from "../channel/rig.ts"

export const anywhere = tcp("127.0.0.1", 0)

/** Starts a server with this handler; returns the options of a client. */
export const serving = <A, E, R>(
  handler: (socket: Socket) => Effect.Effect<A, E, R>,
  options: Partial<SecureSocketServer.Options> = {}
) =>
  Effect.gen(function* () {
    const server = yield* SecureSocketServer.make({
      address: anywhere,
      keys: serverKeys,
      ...options
    })
    yield* Effect.forkScoped(server.run(handler))
    return optionsFor(server)
  })

export const optionsFor = (
  { address }: { readonly address: { readonly _tag: string } },
  suite: Suite = suiteOf("IK")
): SecureSocket.Options => {
  const { hostname = "", port = 0 } = address as {
    readonly hostname?: string
    readonly port?: number
  }
  return { address: tcp(hostname, port), keys: dialKeys(suite) }
}

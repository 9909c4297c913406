import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Server from "../../src/services/Server.ts"
import { withTimeout } from "../../src/testing/steps.ts"
import type { Address } from "../../src/transports/Address.ts"
import { anyPort } from "../channel/rig.ts"

/** Starts a server until the scope closes; returns its address, its events and its fiber. */
export const startServer = (
  options: Omit<Server.ServeOptions, "address" | "on"> & { readonly address?: Address }
) =>
  Effect.gen(function* () {
    const events: Array<Server.ServerEvent> = []
    const listening = yield* Deferred.make<Address>()
    const fiber = yield* Effect.forkScoped(
      Server.serve({
        address: anyPort,
        ...options,
        on: (event) =>
          Effect.suspend(() => {
            events.push(event)
            return event._tag === "Listening"
              ? Deferred.succeed(listening, event.address)
              : Effect.void
          })
      })
    )
    return { address: yield* withTimeout("the listener", Deferred.await(listening)), events, fiber }
  })

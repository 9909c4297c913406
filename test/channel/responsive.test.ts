// When the server counts a client as responsive: after a valid message that is not a replay.
// AdmissionControl evicts the others first.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { initiate } from "../../src/channel/Handshake.ts"
import type { InitiatorKeys } from "../../src/channel/HandshakeKeys.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import { withTimeout } from "../../src/testing/steps.ts"
import { makeMemory } from "../../src/transports/Memory.ts"
import {
  anyPort,
  clientKeys,
  initiatorKeys,
  mallory,
  respondTo,
  serverKeys,
  suiteOf
} from "./rig.ts"

/** The hello and message 1 of a client. */
const firstMessage = (keys: InitiatorKeys): Buffer => {
  const sent: Array<Uint8Array> = []
  initiate(keys, (bytes) => void sent.push(bytes)).next()
  return Buffer.concat(sent)
}

describe.each(allSuites)("under $name", (suite) => {
  const isTwoMessages = suite.lengths.length === 2

  it("a valid message 1 counts, but only of a handshake of two messages, and once", () => {
    const bytes = firstMessage(initiatorKeys(suite))
    expect(respondTo(bytes).responsive).toBe(isTwoMessages)
    const again = respondTo(bytes)
    expect(again.responsive).toBe(false)
    // A replay is answered as the original was.
    expect(again.answered).toBeGreaterThan(0)
  })

  it("a message 1 under other keys does not count", () => {
    const bytes = firstMessage({
      ...initiatorKeys(suite),
      psk: Secret.random(32),
      serverKey: mallory.publicKey,
      identity: mallory
    })
    expect(respondTo(bytes).responsive).toBe(false)
  })
})

it("an attempt that `admit` rejects gets no answer, in any suite", () => {
  for (const suite of allSuites) {
    const result = respondTo(firstMessage(initiatorKeys(suite)), {
      ...serverKeys,
      admit: () => "not now"
    })
    expect(result).toEqual({ session: "not now", answered: 0, responsive: false })
  }
})

describe.each(["IK", "XX"] as const)("an accepted connection under %s", (name) => {
  it.scopedLive("is marked responsive, then authenticated when READY has arrived", () =>
    Effect.gen(function* () {
      const network = makeMemory()
      const marks: Array<string> = []
      const opened = yield* Deferred.make<void>()
      const { address } = yield* network.listen(anyPort, (connection) =>
        Effect.scoped(
          Effect.zipRight(
            Channel.accept(
              {
                ...connection,
                markResponsive: () => void marks.push("responsive"),
                markAuthenticated: () => void marks.push("authenticated")
              },
              serverKeys
            ),
            Deferred.succeed(opened, undefined)
          )
        ).pipe(Effect.ignore)
      )
      const connection = yield* network.connect(address)
      yield* Channel.connect(connection, clientKeys(suiteOf(name)))
      yield* withTimeout("the server", Deferred.await(opened))
      expect(marks).toEqual(["responsive", "authenticated"])
    })
  )
})

it.scopedLive("a handshake in progress ends when the server stops", () =>
  Effect.gen(function* () {
    const network = makeMemory()
    const failed = yield* Deferred.make<string>()
    const started = yield* Deferred.make<() => void>()
    const { address } = yield* network.listen(anyPort, (connection) =>
      Channel.accept(
        {
          ...connection,
          onDraining: (stop) => {
            Deferred.unsafeDone(started, Effect.succeed(stop))
            return () => {}
          }
        },
        serverKeys
      ).pipe(
        Effect.scoped,
        Effect.catchAll(({ reason }) => Deferred.succeed(failed, reason)),
        Effect.asVoid
      )
    )
    yield* network.connect(address)
    const stop = yield* withTimeout("the server", Deferred.await(started))
    stop()
    expect(yield* withTimeout("the rejection", Deferred.await(failed))).toBe(
      "this server is shutting down"
    )
  })
)

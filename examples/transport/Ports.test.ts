// The laws of every transport, between two ports of one thread.
import { MessageChannel } from "node:worker_threads"
import * as vitest from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Address } from "sealwire"
import { transportLaws } from "sealwire/testing"
import * as Ports from "./Ports.ts"

const KiB = 1024

transportLaws(vitest, {
  layer: Layer.unwrapScoped(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new MessageChannel()),
        ({ port1 }) => Effect.sync(() => port1.close())
      ),
      ({ port1, port2 }) => Ports.layer(port1, port2)
    )
  ),
  freeAddress: Effect.succeed(Address.tcp("localhost", 0)),
  unusedAddress: Address.unix("/nobody"),
  unusedReason: "refused",
  supportsReset: true,
  maxUnreadBytes: 512 * KiB,
  maxReadAheadBytes: 512 * KiB
})

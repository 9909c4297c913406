// A receiver that requests a large file and then reads nothing for a minute: the sender waits, and its memory does not grow.
import { randomBytes } from "node:crypto"
import { closeSync, openSync, writeSync } from "node:fs"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import type { Channel } from "../../src/channel/Channel.ts"
import type { Secret } from "../../src/bytes/Secret.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as Server from "../../src/services/Server.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import { Transport } from "../../src/transports/index.ts"
import { tcp, type Address } from "../../src/transports/Address.ts"
import { dialKeys, serverKeys, suiteOf } from "../channel/rig.ts"
import { bin, it } from "../cli/Sealwire.ts"
import { residentBytes } from "../hostile/channel/TargetServer.ts"
import { waitUntil } from "../../src/testing/steps.ts"
import { maximumInOneMinute, MiB } from "./StartedServer.ts"

/** Reads the manifest, sends ANSWERS with one answer, want, and then reads nothing more. */
const stalling = (channel: Channel, received: { bytes: number }) =>
  Effect.gen(function* () {
    for (let all = Buffer.alloc(0); all.at(-17) !== 18;) {
      const item = yield* channel.read
      if (!(item instanceof Uint8Array)) return
      received.bytes += item.length
      all = Buffer.concat([all, item])
    }
    yield* channel.write(Buffer.from([32, 0, 0, 0, 1, 1]))
    yield* Effect.never
  })

it(
  "a receiver that stalls costs the sender less than 32 MiB",
  { timeout: 180_000 },
  async ({ box }) => {
    box.write("sealwire.key", KeyText.encode(SharedKey, dialKeys(suiteOf("NNpsk0")).psk as Secret))
    const fd = openSync(box.path("big"), "w")
    const piece = randomBytes(MiB)
    for (let index = 0; index < 1024; index++) writeSync(fd, piece)
    closeSync(fd)
    await Effect.gen(function* () {
      const received = { bytes: 0 }
      const listening = yield* Deferred.make<Address>()
      yield* Effect.forkScoped(
        Server.serve({
          address: tcp("127.0.0.1", 0),
          keys: { ...serverKeys, serverName: "" },
          services: [{ name: "file", run: ({ channel }) => stalling(channel, received) }],
          on: (event) =>
            event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
        })
      )
      const address = yield* Deferred.await(listening)
      const port = address._tag === "Tcp" ? address.port : 0
      // A heap limit: otherwise V8 leaves garbage uncollected, and the measurement would include it.
      const args = ["--max-old-space-size=64", bin, "push", "big", "--to", `127.0.0.1:${port}`]
      const push = box.startOther(process.execPath, args)
      yield* waitUntil("the manifest", () => received.bytes > 0)
      const before = residentBytes(push.pid)
      const maximum = yield* maximumInOneMinute(
        () => residentBytes(push.pid),
        () => {}
      )
      expect(push.alive).toBe(true)
      expect(maximum - before).toBeLessThan(32 * MiB)
      push.kill("SIGKILL")
      yield* Effect.promise(() => push.exited())
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise)
  }
)

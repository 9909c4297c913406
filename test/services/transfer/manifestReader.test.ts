// The limits of a manifest that a receiver reads: the memory of its entries, and their number.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { frame, Frames, FrameType } from "../../../src/services/transfer/Frame.ts"
import { protocolLimits } from "../../../src/services/transfer/limits.ts"
import { encode, memoryOf } from "../../../src/services/transfer/Manifest.ts"
import { readManifest } from "../../../src/services/transfer/ManifestReader.ts"
import { encodeLeftOut, encodeManifestEnd } from "../../../src/services/transfer/Messages.ts"
import { Transport } from "../../../src/transports/index.ts"
import { openChannel, suiteOf } from "../../channel/rig.ts"
import { TransferRecord } from "./Transfers.ts"

/** Reads the manifest in these frames, with memory for so many bytes. */
const read = (frames: ReadonlyArray<Uint8Array>, memory = Infinity) =>
  Effect.gen(function* () {
    const [client, { channel }] = yield* openChannel(suiteOf("NNpsk0"))
    yield* Effect.fork(client.channel.write(Buffer.concat(frames)))
    let left = memory
    const { progress } = new TransferRecord()
    return yield* readManifest({
      channel,
      frames: new Frames(channel),
      progress,
      pace: () => Effect.void,
      reserve: (bytes) => (left -= bytes) >= 0
    })
  }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))

const stopped = { _tag: "TransferStopped", reason: "tooMuch", side: "here" }
const end = (entries: number) => frame(FrameType.ManifestEnd, encodeManifestEnd(entries, 0))

describe("a manifest", () => {
  const names = ["a", "b", "longer name"]
  const entries = names.map((text) => ({
    kind: "file" as const,
    path: { text },
    size: 0,
    mode: 0o644,
    mtime: 0
  }))
  // Each entry in a frame of its own.
  const frames = entries.map((entry) => frame(FrameType.Entries, ...encode([entry])))
  const needed = entries.reduce((sum, { path }) => sum + memoryOf(path), 0)

  it.live("whose entries exceed the memory of the peer is refused", () =>
    Effect.gen(function* () {
      const whole = [...frames, end(names.length)]
      const { entries: decoded } = yield* read(whole, needed)
      expect(decoded.map(({ path }) => path.text)).toEqual(names)
      expect(yield* Effect.flip(read(whole, needed - 1))).toMatchObject(stopped)
    })
  )

  it.live("may leave out as many paths as it may have entries", () =>
    Effect.gen(function* () {
      const one = frame(FrameType.LeftOut, encodeLeftOut({ reason: "link", path: "x" }))
      const leftOut = (count: number) => [Buffer.alloc(count * one.length, one), end(0)]
      expect((yield* read(leftOut(protocolLimits.entries))).entries).toEqual([])
      expect(yield* Effect.flip(read(leftOut(protocolLimits.entries + 1)))).toMatchObject(stopped)
    })
  )
})

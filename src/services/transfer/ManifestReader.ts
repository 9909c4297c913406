// What the receiver hears before any file: everything that will come. TRANSFER.md section 3.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { FrameType, type Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import { ManifestDecoder, sizeProblems, type RequestedEntries } from "./Manifest.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { TransferStopped } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

interface ManifestReaderOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** Of a pull: nothing else may come. */
  readonly requested?: RequestedEntries
  readonly progress: TransferProgress
}

/** The manifest, whole. */
export const readManifest = ({
  channel,
  frames,
  requested,
  progress
}: ManifestReaderOptions): Effect.Effect<ManifestDecoder, ChannelError | TransferStopped> =>
  Effect.gen(function* () {
    const decoder = new ManifestDecoder(requested)
    const leftOut = { count: 0, bytes: 0 }
    for (;;) {
      const head = yield* frames.readHeader
      if (head === undefined) return yield* frames.violation("a FIN inside a manifest")
      const body = yield* frames.readBody(head.length)
      if (head.type === FrameType.Entries) {
        const wrong = decoder.decode(body)
        // Too much is no attack; whoever sends it is told.
        if (wrong !== undefined)
          return yield* sizeProblems.has(wrong) ? many() : frames.violation(wrong)
      } else if (head.type === FrameType.LeftOut) {
        const one = Messages.decodeLeftOut(body)
        if (one === undefined)
          return yield* frames.violation("a word about what is left out that is none")
        leftOut.bytes += body.length
        if (
          ++leftOut.count > protocolLimits.entries ||
          leftOut.bytes > protocolLimits.manifestBytes
        )
          return yield* many()
        yield* progress.leftOut(one)
      } else if (head.type === FrameType.ManifestEnd) {
        if (!Messages.matchesTotals(body, decoder.entries.length, decoder.bytes))
          return yield* frames.violation("a manifest with other totals")
        decoder.end()
        return decoder
      } else if (head.type === FrameType.Stop) return yield* failStopped(channel, frames, body)
      else return yield* frames.violation("no manifest")
    }
  })

const many = () => new TransferStopped({ peer: "this side", reason: "many", side: "here" })

/** The other side goes no further, and says why. */
export const failStopped = (
  { peer }: Channel,
  frames: Frames,
  body: Buffer
): Effect.Effect<never, ChannelError | TransferStopped> => {
  const reason = Messages.decodeStop(body)
  return reason === undefined
    ? frames.violation("a stop for no reason")
    : new TransferStopped({ peer, reason, side: "there" })
}

// What the receiver hears before any file: everything that will come. TRANSFER.md section 3.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { FrameType, type Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import { Decoder, tooMuch, type Asked } from "./Manifest.ts"
import type { Progress } from "./Progress.ts"
import { TransferStopped } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

interface Hearing {
  readonly channel: Channel
  readonly frames: Frames
  /** Of a pull: nothing else may come. */
  readonly asked?: Asked
  readonly progress: Progress
}

/** The manifest, whole. */
export const manifest = ({
  channel,
  frames,
  asked,
  progress
}: Hearing): Effect.Effect<Decoder, ChannelError | TransferStopped> =>
  Effect.gen(function* () {
    const decoder = new Decoder(asked)
    const leftOut = { count: 0, bytes: 0 }
    for (;;) {
      const head = yield* frames.head
      if (head === undefined) return yield* frames.broken("a FIN inside a manifest")
      const body = yield* frames.whole(head.length)
      if (head.type === FrameType.Entries) {
        const wrong = decoder.push(body)
        // Too much is no attack; whoever sends it is told.
        if (wrong !== undefined) return yield* tooMuch.has(wrong) ? many() : frames.broken(wrong)
      } else if (head.type === FrameType.LeftOut) {
        const one = Messages.decodeLeftOut(body)
        if (one === undefined)
          return yield* frames.broken("a word about what is left out that is none")
        leftOut.bytes += body.length
        if (
          ++leftOut.count > protocolLimits.entries ||
          leftOut.bytes > protocolLimits.manifestBytes
        )
          return yield* many()
        yield* progress.leftOut(one)
      } else if (head.type === FrameType.ManifestEnd) {
        if (!Messages.isAll(body, decoder.entries.length, decoder.bytes))
          return yield* frames.broken("a manifest with other totals")
        decoder.end()
        return decoder
      } else if (head.type === FrameType.Stop) return yield* stopped(channel, frames, body)
      else return yield* frames.broken("no manifest")
    }
  })

const many = () => new TransferStopped({ peer: "this side", reason: "many", side: "here" })

/** The other side goes no further, and says why. */
export const stopped = (
  { peer }: Channel,
  frames: Frames,
  body: Buffer
): Effect.Effect<never, ChannelError | TransferStopped> => {
  const reason = Messages.decodeStop(body)
  return reason === undefined
    ? frames.broken("a stop for no reason")
    : new TransferStopped({ peer, reason, side: "there" })
}

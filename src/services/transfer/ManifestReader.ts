// Reads the manifest of a sender: ENTRIES and LEFTOUT frames up to MANIFESTEND. TRANSFER.md
// section 3.
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { yieldTurn } from "./Disk.ts"
import { FrameType, headerBytes, type Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import { ManifestDecoder, sizeProblems, type RequestedEntries } from "./Manifest.ts"
import * as Messages from "./Messages.ts"
import { TransferStopped } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

/** Reserves bytes of memory, which the end of the session releases; false if it has too much. */
export type ReserveMemory = (bytes: number) => boolean

interface ManifestReaderOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** The entries that a pull may receive. */
  readonly requested?: RequestedEntries
  readonly progress: TransferProgress
  /** Called with the number of bytes received; delays to limit the rate. */
  readonly pace: (bytes: number) => Effect.Effect<void>
  /** Reserves memory for the entries; false if they are too many. Default: no limit. */
  readonly reserve?: ReserveMemory | undefined
}

/**
 * Reads the whole manifest. Fails with TransferStopped if it exceeds a limit or the peer stops,
 * and with ChannelTampered if it breaks the protocol.
 */
export const readManifest = ({
  channel,
  frames,
  requested,
  progress,
  pace,
  reserve = () => true
}: ManifestReaderOptions): Effect.Effect<ManifestDecoder, ChannelError | TransferStopped> =>
  Effect.gen(function* () {
    const decoder = new ManifestDecoder(requested)
    const leftOut = { count: 0, bytes: 0 }
    for (;;) {
      const header = yield* frames.readHeader
      if (header === undefined) return yield* frames.violation("FIN before MANIFESTEND")
      const body = yield* frames.readBody(header.length)
      yield* pace(headerBytes + body.length)
      switch (header.type) {
        case FrameType.Entries: {
          for (let offset = 0; ;) {
            const before = decoder.memory
            const next = decoder.decodeTurn(body, offset)
            if (!reserve(decoder.memory - before)) return yield* tooMuch()
            if (typeof next === "string")
              return yield* sizeProblems.has(next) ? tooMuch() : frames.violation(next)
            if (next === body.length) break
            offset = next
            yield* yieldTurn
          }
          continue
        }
        case FrameType.LeftOut: {
          const omission = Messages.decodeLeftOut(body)
          if (omission === undefined) return yield* frames.violation("malformed LEFTOUT frame")
          leftOut.count++
          leftOut.bytes += body.length
          if (
            leftOut.count > protocolLimits.entries ||
            leftOut.bytes > protocolLimits.manifestBytes
          )
            return yield* tooMuch()
          yield* progress.leftOut(omission)
          continue
        }
        case FrameType.ManifestEnd:
          if (!Messages.matchesTotals(body, decoder.entries.length, decoder.bytes))
            return yield* frames.violation("the totals of MANIFESTEND do not match the entries")
          decoder.end()
          return decoder
        case FrameType.Stop:
          return yield* failStopped(channel, frames, body)
        default:
          return yield* frames.violation("unexpected frame before MANIFESTEND")
      }
    }
  })

const tooMuch = () => new TransferStopped({ peer: "this side", reason: "tooMuch", side: "here" })

/** Fails with the reason of a STOP frame. */
export const failStopped = (
  { peer }: Channel,
  frames: Frames,
  body: Buffer
): Effect.Effect<never, ChannelError | TransferStopped> => {
  const reason = Messages.decodeStop(body)
  return reason === undefined
    ? frames.violation("malformed STOP frame")
    : new TransferStopped({ peer, reason, side: "there" })
}

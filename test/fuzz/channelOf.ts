// A channel whose peer has sent these items and then FIN, for readers that need nothing else of it.
import * as Effect from "effect/Effect"
import type { Channel } from "../../src/channel/Channel.ts"
import type { ChannelItem } from "../../src/channel/ChannelItem.ts"

export const channelOf = (items: ReadonlyArray<ChannelItem>): Channel => {
  // No record of DATA or CONTROL is empty.
  const left = items.filter((item) => !(item instanceof Uint8Array) || item.length > 0)
  const channel: Pick<Channel, "peer" | "peerAddress" | "read"> = {
    peer: "peer",
    peerAddress: "127.0.0.1:1",
    read: Effect.sync(() => left.shift())
  }
  return channel as Channel
}

/** Cuts bytes into parts of this length: how a stream is cut must change nothing. */
export const cut = (bytes: Buffer, length: number): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
    Buffer.from(bytes.subarray(index * length, (index + 1) * length))
  )

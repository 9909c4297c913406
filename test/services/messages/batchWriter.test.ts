// The memory of frames that are not sent again is freed, and that of a caller's text never.
import { expect, it } from "@effect/vitest"
import type { ChannelFlow } from "../../../src/channel/Channel.ts"
import { BatchWriter } from "../../../src/services/messages/BatchWriter.ts"
import { encodeMessages, type Batch } from "../../../src/services/messages/MessageFrame.ts"

/** A flow that seals at once, and the bytes that it has sealed. */
const sealing = () => {
  let sealed = 0
  const write: ChannelFlow["write"] = (bytes, released) => {
    sealed += bytes.length
    released?.()
    return true
  }
  const writer = new BatchWriter({ write, writeError: () => undefined } as unknown as ChannelFlow)
  return { writer, sealed: () => sealed }
}

const batchOf = (texts: ReadonlyArray<Uint8Array>): Batch => {
  const [batch] = encodeMessages(texts)
  return batch as Batch
}

it("frees the frames of a batch that is written once, and no text", () => {
  const { writer, sealed } = sealing()
  const texts = Array.from({ length: 1000 }, () => Buffer.alloc(100, 7))
  const batch = batchOf(texts)
  writer.writeOnce(batch, () => {})
  expect([sealed(), batch.chunks[0]?.length]).toEqual([batch.size, 0])
  expect(texts.every((text) => text.length === 100 && text[99] === 7)).toBe(true)
})

it("leaves a long text, which it has not copied", () => {
  const { writer, sealed } = sealing()
  const long = new Uint8Array(1024 * 1024).fill(7)
  writer.writeOnce(batchOf([long]), () => {})
  expect([sealed(), long.length, long.at(-1)]).toEqual([20 + 1024 * 1024, 1024 * 1024, 7])
})

it("leaves the frames of a batch that may be sent again", () => {
  const { writer } = sealing()
  const batch = batchOf(Array.from({ length: 1000 }, () => Buffer.alloc(100, 7)))
  writer.writeNow(batch, () => {})
  expect(batch.chunks[0]?.length).toBe(batch.size)
})

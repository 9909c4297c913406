// What the server says of messages: receipts and replies. MESSAGES.md.
import { limits } from "./MessageFrame.ts"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"

const statuses = [
  "handled",
  "refused",
  "limited",
  "later",
  "reply",
  "no replies",
  "reply lost"
] as const

/** Everything up to a count was handled, or the next one was not. */
export interface Receipt {
  /**
   * `limited`: the rules for this client allow no more of them in a minute. `later`: not now; the same may be taken another time.
   * `reply`: the count-th asked for one, and here it is; `reply lost`: it was handled, and its reply is there no more. `no replies`: the
   * next one asks, and none is given here.
   */
  readonly status: (typeof statuses)[number]
  /** Messages of this session, from its first. */
  readonly count: number
  /** Of a reply. */
  readonly text?: Uint8Array
}

const receiptBytes = 9
const replyHeaderBytes = receiptBytes + 4

/** status (1) | count (u64); with a reply: | length (u32) | text. */
export const encodeReceipt = ({ status, count, text }: Receipt): Uint8Array => {
  const frame = Buffer.alloc(text === undefined ? receiptBytes : replyHeaderBytes + text.length)
  frame[0] = statuses.indexOf(status)
  frame.writeBigUInt64BE(BigInt(count), 1)
  if (text !== undefined) {
    frame.writeUInt32BE(text.length, receiptBytes)
    frame.set(text, replyHeaderBytes)
  }
  return frame
}

/** Decodes the stream of receipts. Holds at most one incomplete reply, within `limits.replyBytes`. */
export class ReceiptDecoder {
  readonly #buffer = new FrameBuffer(replyHeaderBytes + limits.replyBytes)

  /** Returns the receipts that this chunk completes, or undefined when the bytes are malformed. */
  push(chunk: Uint8Array): ReadonlyArray<Receipt> | undefined {
    const buffer = this.#buffer
    buffer.append(chunk)
    const receipts: Array<Receipt> = []
    for (;;) {
      const start = buffer.need(receiptBytes)
      if (start === undefined) return receipts
      const status = statuses[start[0] as number]
      if (status === undefined) return undefined
      const count = Number(start.readBigUInt64BE(1))
      if (status !== "reply") {
        receipts.push({ status, count })
        buffer.skip(receiptBytes)
        continue
      }
      const header = buffer.need(replyHeaderBytes)
      if (header === undefined) return receipts
      const length = header.readUInt32BE(receiptBytes)
      if (length > limits.replyBytes) return undefined
      const frame = buffer.take(replyHeaderBytes + length)
      if (frame === undefined) return receipts
      // A copy, because the reply may be kept longer than the record that it came in.
      receipts.push({ status, count, text: new Uint8Array(frame.subarray(replyHeaderBytes)) })
    }
  }
}

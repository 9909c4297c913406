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

/** Bytes become receipts, however they were cut up. Holds one unfinished reply, within `limits.replyBytes`. */
export class ReceiptDecoder {
  readonly #unfinished = new FrameBuffer(receiptBytes)

  /** The receipts that are whole now, or undefined when the bytes are none. */
  push(chunk: Uint8Array): ReadonlyArray<Receipt> | undefined {
    const view = this.#unfinished.add(chunk)
    if (view === undefined) return []
    const receipts: Array<Receipt> = []
    let at = 0
    let wanted = receiptBytes
    while (view.length - at >= receiptBytes) {
      const status = statuses[view[at] as number]
      if (status === undefined) return undefined
      const count = Number(view.readBigUInt64BE(at + 1))
      if (status !== "reply") {
        receipts.push({ status, count })
        at += receiptBytes
        continue
      }
      wanted = replyHeaderBytes
      if (view.length - at < wanted) break
      const length = view.readUInt32BE(at + receiptBytes)
      if (length > limits.replyBytes) return undefined
      wanted += length
      if (view.length - at < wanted) break
      // A copy: it may be kept for longer than the record it came in.
      receipts.push({
        status,
        count,
        text: new Uint8Array(view.subarray(at + replyHeaderBytes, at + wanted))
      })
      at += wanted
      wanted = receiptBytes
    }
    this.#unfinished.keep(view, at, wanted)
    return receipts
  }
}

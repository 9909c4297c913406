// The server's stream of receipts and replies inside the channel. MESSAGES.md.
import { limits } from "./MessageFrame.ts"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"

/** The status byte is the index. */
const statuses = [
  "handled",
  "refused",
  "limited",
  "later",
  "reply",
  "no replies",
  "reply lost"
] as const

/**
 * Acknowledges the first `count` messages of the session; most other statuses refuse the next
 * message.
 */
export interface Receipt {
  /**
   * - `handled`: the first `count` messages are handled.
   * - `refused`: the next message is refused.
   * - `limited`: the next message exceeds a limit of the client: messages or bytes per minute, or memory.
   * - `later`: the next message cannot be handled at the moment, and may be sent again.
   * - `reply`: message `count` requested a reply, and `text` is the reply.
   * - `no replies`: the next message requests a reply, and this server gives none.
   * - `reply lost`: message `count` was handled, and its reply is no longer cached.
   */
  readonly status: (typeof statuses)[number]
  /** Number of handled messages, from the first of the session. */
  readonly count: number
  /** The reply, with status `reply`. */
  readonly text?: Uint8Array | undefined
}

const receiptBytes = 9
const replyHeaderBytes = receiptBytes + 4

/** Encodes status (1) | count (u64), and for a reply | length (u32) | text. */
export const encodeReceipt = ({ status, count, text }: Receipt): Uint8Array => {
  const frame = Buffer.alloc(text === undefined ? receiptBytes : replyHeaderBytes + text.length)
  frame[0] = statuses.indexOf(status)
  // A BigInt would cost more than the rest.
  frame.writeUInt32BE(Math.floor(count / 2 ** 32), 1)
  frame.writeUInt32BE(count >>> 0, 5)
  if (text !== undefined) {
    frame.writeUInt32BE(text.length, receiptBytes)
    frame.set(text, replyHeaderBytes)
  }
  return frame
}

/**
 * Decodes the stream of receipts. Holds at most one incomplete reply, within `limits.replyBytes`.
 */
export class ReceiptDecoder {
  readonly #buffer = new FrameBuffer(replyHeaderBytes + limits.replyBytes)
  #isBroken = false

  /** True after a malformed receipt: nothing after it can be decoded. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Returns the receipts that this chunk completes, up to a malformed one. */
  push(chunk: Uint8Array): ReadonlyArray<Receipt> {
    const buffer = this.#buffer
    buffer.append(chunk)
    const receipts: Array<Receipt> = []
    for (;;) {
      if (!buffer.has(receiptBytes)) return receipts
      const { bytes, offset } = buffer
      const status = statuses[bytes[offset] as number]
      if (status === undefined) {
        this.#isBroken = true
        return receipts
      }
      const count = bytes.readUInt32BE(offset + 1) * 2 ** 32 + bytes.readUInt32BE(offset + 5)
      if (status !== "reply") {
        receipts.push({ status, count })
        buffer.skip(receiptBytes)
        continue
      }
      const header = buffer.need(replyHeaderBytes)
      if (header === undefined) return receipts
      const length = header.readUInt32BE(receiptBytes)
      if (length > limits.replyBytes) {
        this.#isBroken = true
        return receipts
      }
      const frame = buffer.take(replyHeaderBytes + length)
      if (frame === undefined) return receipts
      // A copy, because the reply may be kept longer than the record that it came in.
      receipts.push({ status, count, text: new Uint8Array(frame.subarray(replyHeaderBytes)) })
    }
  }
}

// The server's stream of receipts and replies to messages.
import {
  encodeReceipt,
  ReceiptDecoder,
  type Receipt
} from "../../../src/services/messages/Receipt.ts"
import { cut } from "../channelOf.ts"
import { check, checkSame, type Target } from "../Target.ts"

const statuses = ["handled", "refused", "limited", "later", "no replies", "reply lost"] as const

const decode = (chunks: ReadonlyArray<Uint8Array>) => {
  const decoder = new ReceiptDecoder()
  const receipts: Array<Receipt> = []
  for (const chunk of chunks) if (!decoder.isBroken) receipts.push(...decoder.push(chunk))
  return { receipts, isBroken: decoder.isBroken }
}

export const receipts: Target = {
  maxBytes: 2048,
  seeds: () => [
    Buffer.concat(statuses.map((status, count) => encodeReceipt({ status, count }))),
    Buffer.from(encodeReceipt({ status: "reply", count: 2, text: Buffer.from("an answer") })),
    Buffer.from(encodeReceipt({ status: "reply", count: 1, text: new Uint8Array(0) }))
  ],
  run: (input) => {
    const { receipts, isBroken } = decode([input])
    const inParts = decode(cut(input, 5))
    check(
      receipts.length === inParts.receipts.length && isBroken === inParts.isBroken,
      "the cuts of the stream changed its receipts"
    )
    let at = 0
    for (const receipt of receipts) {
      // Above 2^53 a count is not exact; no session has so many messages.
      if (!Number.isSafeInteger(receipt.count)) return "a count above 2^53"
      const encoded = encodeReceipt(receipt)
      checkSame(
        input.subarray(at, at + encoded.length),
        encoded,
        "a receipt encodes to other bytes"
      )
      at += encoded.length
    }
    return `${receipts.at(-1)?.status} ${isBroken} ${input.length > at}`
  }
}

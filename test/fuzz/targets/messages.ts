// The client's stream of messages.
import { encodeMessages, MessageDecoder } from "../../../src/services/messages/MessageFrame.ts"
import { cut } from "../channelOf.ts"
import { check, checkSame, type Target } from "../Target.ts"

const id = Buffer.alloc(16, 7)
const encode = (wantsReply: boolean, ...texts: ReadonlyArray<string>): Buffer =>
  Buffer.concat(
    [
      ...encodeMessages(
        texts.map((text) => Buffer.from(text)),
        { ids: texts.map(() => id), wantsReply }
      )
    ].flatMap(({ chunks }) => chunks)
  )

interface Decoded {
  readonly id: Buffer
  readonly text: Buffer
  readonly wantsReply: boolean
}

const decode = (chunks: ReadonlyArray<Uint8Array>) => {
  const decoder = new MessageDecoder()
  const messages: Array<Decoded> = []
  for (const chunk of chunks) {
    if (decoder.isBroken) break
    for (const { id, text, wantsReply } of decoder.push(chunk))
      messages.push({ id: Buffer.from(id), text: Buffer.from(text), wantsReply })
  }
  return { messages, isBroken: decoder.isBroken, held: decoder.held }
}

export const messages: Target = {
  maxBytes: 4096,
  seeds: () => [
    encode(false, "one", "", "three"),
    encode(true, "a question"),
    Buffer.concat([encode(false, "x".repeat(300)), encode(true, "y")])
  ],
  run: (input) => {
    const { messages, isBroken, held } = decode([input])
    const inParts = decode(cut(input, 5))
    check(
      messages.length === inParts.messages.length && isBroken === inParts.isBroken,
      "the cuts of the stream changed its messages"
    )
    const encoded = Buffer.concat(
      messages.flatMap(({ id, text, wantsReply }) =>
        [...encodeMessages([text], { ids: [id], wantsReply })].flatMap(({ chunks }) => chunks)
      )
    )
    checkSame(encoded, input.subarray(0, encoded.length), "a message encodes to other bytes")
    check(isBroken || encoded.length + held === input.length, "bytes were lost")
    return `${Math.min(messages.length, 3)} ${isBroken} ${held > 0}`
  }
}

// The batches in which a handler gets messages.
import type { Message } from "./MessageFrame.ts"

/** Splits messages into batches: adjacent plain messages together, each request alone. */
export const batchesOf = (
  messages: ReadonlyArray<Message>
): ReadonlyArray<ReadonlyArray<Message>> => {
  if (messages.length === 0) return []
  if (!messages.some(({ wantsReply }) => wantsReply)) return [messages]
  const batches: Array<Array<Message>> = []
  for (const message of messages) {
    const last = batches.at(-1)
    if (last === undefined || message.wantsReply || last[0]?.wantsReply === true)
      batches.push([message])
    else last.push(message)
  }
  return batches
}

/** Each message alone, so that each has its receipt although the next one fails. */
export const singly: typeof batchesOf = (messages) => messages.map((message) => [message])

/** Bytes of the texts. */
export const sizeOf = (messages: ReadonlyArray<Message>): number =>
  messages.reduce((sum, { size }) => sum + size, 0)

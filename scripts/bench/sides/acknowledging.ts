// Messages over TLS as Sealwire has them: frames of length, id and text, a handler for each message,
// and the count of handled messages back after each batch.
import { randomFillSync } from "node:crypto"
import { messageBytes, seconds, type Side } from "../Side.ts"
import { tlsStreams } from "./tls.ts"

const idBytes = 16
const headerBytes = 4 + idBytes
const batchMessages = 1000
/** 16 batches in flight, as for Sealwire. */
const batchesInFlight = 16

let handled = 0
/** Stands for a program's handler. */
const handle = (_id: Buffer, _text: Buffer): void => void handled++

export const acknowledging: Side = {
  messages: {
    serve: () =>
      tlsStreams.listen((stream) => {
        let rest: Buffer = Buffer.alloc(0)
        stream.on("error", () => {})
        stream.on("data", (chunk: Buffer) => {
          const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
          let [at, count] = [0, 0]
          while (bytes.length - at >= headerBytes) {
            const end = at + headerBytes + bytes.readUInt32BE(at)
            if (end > bytes.length) break
            handle(bytes.subarray(at + 4, at + headerBytes), bytes.subarray(at + headerBytes, end))
            at = end
            count++
          }
          rest = bytes.subarray(at)
          if (count === 0) return
          const receipt = Buffer.allocUnsafe(4)
          receipt.writeUInt32BE(count)
          stream.write(receipt)
        })
      }),
    run: async (port, amount) => {
      const stream = await tlsStreams.connect(port)
      const text = Buffer.alloc(messageBytes, 1)
      const encode = (count: number) => {
        const frameBytes = headerBytes + messageBytes
        const batch = Buffer.allocUnsafe(count * frameBytes)
        const ids = randomFillSync(Buffer.allocUnsafe(count * idBytes))
        for (let index = 0; index < count; index++) {
          const at = batch.writeUInt32BE(messageBytes, index * frameBytes)
          ids.copy(batch, at, index * idBytes, (index + 1) * idBytes)
          text.copy(batch, at + idBytes)
        }
        return batch
      }
      let [sent, acknowledged] = [0, 0]
      let finish = () => {}
      const finished = new Promise<void>((resolve) => (finish = resolve))
      const more = () => {
        while (sent < amount && sent - acknowledged <= (batchesInFlight - 1) * batchMessages) {
          const count = Math.min(batchMessages, amount - sent)
          sent += count
          stream.write(encode(count))
        }
      }
      let rest: Buffer = Buffer.alloc(0)
      stream.on("data", (chunk: Buffer) => {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        let at = 0
        for (; bytes.length - at >= 4; at += 4) acknowledged += bytes.readUInt32BE(at)
        rest = bytes.subarray(at)
        if (acknowledged === amount) finish()
        else more()
      })
      const took = await seconds(async () => {
        more()
        await finished
      })
      stream.on("error", () => {}).destroy()
      return { seconds: took }
    }
  }
}

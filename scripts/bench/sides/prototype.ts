// The minimum of an encrypted flow: Noise records, AES-256-GCM, eight per write, and no Effect.
// Bulk only; the key is fixed.
import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto"
import { once } from "node:events"
import { seconds, type Side } from "../Side.ts"
import { connectSocket, listenSockets } from "./sockets.ts"

const recordBytes = 65_519
const tagBytes = 16
const frameBytes = 2 + recordBytes + tagBytes
const recordsPerWrite = 8

const key = createSecretKey(Buffer.alloc(32, 7))
const options = { authTagLength: tagBytes }

const nonces = () => {
  const nonce = Buffer.alloc(12)
  let count = 0
  return () => {
    nonce.writeUInt32BE(count++, 8)
    return nonce
  }
}

const sealer = () => {
  const nonce = nonces()
  const plaintext = Buffer.alloc(recordBytes, 1)
  return (): Buffer => {
    const out = Buffer.allocUnsafeSlow(recordsPerWrite * frameBytes)
    for (let at = 0; at < out.length; at += frameBytes) {
      const cipher = createCipheriv("aes-256-gcm", key, nonce(), options)
      out.writeUInt16BE(recordBytes + tagBytes, at)
      out.set(cipher.update(plaintext), at + 2)
      cipher.final()
      out.set(cipher.getAuthTag(), at + 2 + recordBytes)
    }
    return out
  }
}

const opener = () => {
  const nonce = nonces()
  return (frame: Buffer): number => {
    const decipher = createDecipheriv("aes-256-gcm", key, nonce(), options)
    decipher.setAuthTag(frame.subarray(-tagBytes))
    const plaintext = decipher.update(frame.subarray(2, -tagBytes))
    decipher.final()
    return plaintext.length
  }
}

/** Opens complete frames in place; copies those that span chunks. */
const deframer = (take: (frame: Buffer) => void) => {
  const gathered = Buffer.allocUnsafeSlow(frameBytes)
  let have = 0
  return (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      if (have === 0 && chunk.length - at >= frameBytes) {
        take(chunk.subarray(at, at + frameBytes))
        at += frameBytes
        continue
      }
      const piece = chunk.subarray(at, at + frameBytes - have)
      gathered.set(piece, have)
      have += piece.length
      at += piece.length
      if (have < frameBytes) continue
      have = 0
      take(gathered)
    }
  }
}

export const prototype: Side = {
  bulk: {
    serve: (amount) =>
      listenSockets((socket) => {
        const open = opener()
        let left = amount
        const deframe = deframer((frame) => {
          left -= open(frame)
          if (left <= 0) socket.write(Buffer.from([1]))
        })
        socket.on("data", deframe).on("error", () => {})
      }),
    run: async (port, amount) => {
      const socket = await connectSocket(port)
      const seal = sealer()
      const took = await seconds(async () => {
        const answer = once(socket, "data")
        for (let left = amount; left > 0; left -= recordsPerWrite * recordBytes)
          if (!socket.write(seal())) await once(socket, "drain")
        await answer
      })
      socket.destroy()
      return { seconds: took }
    }
  }
}

import { once } from "node:events"
import type { Duplex } from "node:stream"
import SecretStream from "@hyperswarm/secret-stream"
import { connectSocket, listenSockets } from "./sockets.ts"
import { overStreams } from "./streams.ts"

const keyPair = SecretStream.keyPair()

/** Noise XX and the secretstream of libsodium. */
export const secretStream = overStreams({
  listen: (newcomer) =>
    listenSockets((socket) => {
      const stream: Duplex = new SecretStream(false, socket, { keyPair })
      stream.on("error", () => {})
      stream.once("connect", () => newcomer(stream))
    }),
  connect: async (port) => {
    const stream: Duplex = new SecretStream(true, await connectSocket(port), { keyPair })
    // The stream may close without an error.
    await Promise.race([once(stream, "connect"), once(stream, "close")])
    return stream
  }
})

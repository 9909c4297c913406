import { Duplex } from "node:stream"
import { noise, type Noise, type ByteStream } from "@chainsafe/libp2p-noise"
import { generateKeyPair } from "@libp2p/crypto/keys"
import { peerIdFromPrivateKey } from "@libp2p/peer-id"
import type { Socket } from "node:net"
import { connectSocket, listenSockets } from "./sockets.ts"
import { overStreams, type Streams } from "./streams.ts"

const makeNoise = async (): Promise<Noise> => {
  const privateKey = await generateKeyPair("Ed25519")
  const logger = {
    forComponent: () =>
      Object.assign(() => {}, { error: () => {}, trace: () => {}, enabled: false })
  }
  return noise()({
    privateKey,
    peerId: peerIdFromPrivateKey(privateKey),
    logger,
    upgrader: { getStreamMuxers: () => new Map() }
  })
}

const own = makeNoise()

/** A socket in the form of libp2p: a source to iterate over, and a sink that iterates. */
const toByteStream = (socket: Socket): ByteStream => ({
  source: socket,
  sink: async (source) => {
    for await (const piece of source) {
      const bytes = "subarray" in piece ? piece.subarray() : piece
      if (!socket.write(bytes)) await new Promise((resolve) => socket.once("drain", resolve))
    }
    socket.end()
  }
})

const toDuplex = ({ source, sink }: ByteStream): Duplex => {
  const pieces = async function* () {
    for await (const piece of source) yield Buffer.from(piece.subarray())
  }
  return Duplex.from({ readable: pieces(), writable: sink })
}

const listen: Streams["listen"] = async (newcomer) => {
  const ours = await own
  return listenSockets((socket) => {
    ours.secureInbound(toByteStream(socket)).then(
      ({ conn }) => newcomer(toDuplex(conn)),
      () => socket.destroy()
    )
  })
}

const connect: Streams["connect"] = async (port) => {
  const { conn } = await (await own).secureOutbound(toByteStream(await connectSocket(port)))
  return toDuplex(conn)
}

export const libp2pNoise = overStreams({ listen, connect })

// Plain sockets of Node, without any code of Sealwire.
import { once } from "node:events"
import net from "node:net"
import { within, type Box } from "../cli/Sealwire.ts"

/** The result of a connection: the bytes of the peer, and how it ended. */
export interface Answer {
  readonly bytes: Buffer
  /** "FIN" for an orderly end, otherwise the error code. */
  readonly ending: string
}

/** A port, or the path of a Unix socket. */
export type Place = number | string

/** Opens a connection that is destroyed at the end of the test. */
export const connected = async (box: Box, place: Place): Promise<net.Socket> => {
  const socket = open(box, place)
  await within(once(socket, "connect"), `a connection to ${place}`)
  return socket
}

const open = (box: Box, place: Place): net.Socket => {
  const socket =
    typeof place === "number"
      ? net.connect({ host: "127.0.0.1", port: place, allowHalfOpen: true })
      : net.connect(place)
  box.defer(() => {
    socket.destroy()
  })
  return socket
}

/** Reads until the peer ends the connection. */
export const answerOf = (socket: net.Socket): Promise<Answer> =>
  within(
    new Promise((resolve) => {
      const chunks: Array<Buffer> = []
      let ending = "closed without FIN"
      socket.on("data", (chunk: Buffer) => chunks.push(chunk))
      socket.once("end", () => {
        ending = "FIN"
        socket.end()
      })
      socket.once("error", (error: NodeJS.ErrnoException) => {
        ending = error.code ?? error.message
      })
      socket.once("close", () => resolve({ bytes: Buffer.concat(chunks), ending }))
    }),
    "the end of the connection",
    20_000
  )

/** Sends bytes and FIN, and returns the answer. */
export const exchange = (box: Box, place: Place, bytes: Uint8Array): Promise<Answer> => {
  const socket = open(box, place)
  const answer = answerOf(socket)
  socket.end(bytes)
  return answer
}

export interface RecordingServer {
  readonly place: Place
  /** The number of connections so far. */
  readonly connections: () => number
  /** The chunks of the first connection until its FIN. */
  readonly received: () => Promise<ReadonlyArray<Buffer>>
}

/** A server that records all bytes and sends none. */
export const recordingServer = async (box: Box, place: Place = 0): Promise<RecordingServer> => {
  let connections = 0
  const server = net.createServer({ allowHalfOpen: true })
  const received = new Promise<ReadonlyArray<Buffer>>((resolve) => {
    server.on("connection", (socket) => {
      connections++
      const chunks: Array<Buffer> = []
      socket.on("data", (chunk: Buffer) => chunks.push(chunk))
      socket.on("error", () => {})
      socket.once("end", () => {
        socket.end()
        resolve(chunks)
      })
    })
  })
  box.defer(() => {
    server.close()
  })
  server.listen(typeof place === "number" ? { host: "127.0.0.1", port: place } : { path: place })
  await within(once(server, "listening"), "the server to listen")
  const address = server.address()
  return {
    place: typeof address === "object" && address !== null ? address.port : place,
    connections: () => connections,
    received: () => within(received, "a message")
  }
}

// Plain sockets of Node, as a program knows them that has never heard of us.
import { once } from "node:events"
import net from "node:net"
import { within, type Box } from "../cli/Sealwire.ts"

/** How the other side treated a connection. */
export interface Answer {
  readonly bytes: Buffer
  /** "FIN" when it ended its stream in good order, else the error's code. */
  readonly ending: string
}

/** A port, or the path of a Unix socket. */
export type Place = number | string

/** Connected, and destroyed when the test is over. */
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

/** What comes back until the other side ends. */
export const answerOf = (socket: net.Socket): Promise<Answer> =>
  within(
    new Promise((resolve) => {
      const chunks: Array<Buffer> = []
      let ending = "closed without a word"
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

/** Sends bytes and FIN, and gives what comes back. */
export const exchange = (box: Box, place: Place, bytes: Uint8Array): Promise<Answer> => {
  const socket = open(box, place)
  const answer = answerOf(socket)
  socket.end(bytes)
  return answer
}

export interface Catcher {
  readonly place: Place
  /** How many have connected so far. */
  readonly connections: () => number
  /** What the first connection brought until its FIN, piece by piece. */
  readonly caught: () => Promise<ReadonlyArray<Buffer>>
}

/** A server that takes whatever comes and answers nothing. */
export const catcher = async (box: Box, place: Place = 0): Promise<Catcher> => {
  let connections = 0
  const server = net.createServer({ allowHalfOpen: true })
  const caught = new Promise<ReadonlyArray<Buffer>>((resolve) => {
    server.on("connection", (socket) => {
      connections++
      const pieces: Array<Buffer> = []
      socket.on("data", (piece: Buffer) => pieces.push(piece))
      socket.on("error", () => {})
      socket.once("end", () => {
        socket.end()
        resolve(pieces)
      })
    })
  })
  box.defer(() => {
    server.close()
  })
  server.listen(typeof place === "number" ? { host: "127.0.0.1", port: place } : { path: place })
  await within(once(server, "listening"), "the catcher to listen")
  const address = server.address()
  return {
    place: typeof address === "object" && address !== null ? address.port : place,
    connections: () => connections,
    caught: () => within(caught, "a message for the catcher")
  }
}

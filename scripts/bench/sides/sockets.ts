// Plain TCP on loopback, below the other contestants.
import { once } from "node:events"
import net from "node:net"

export const listenSockets = async (newcomer: (socket: net.Socket) => void): Promise<number> => {
  const server = net.createServer({ noDelay: true }, newcomer).listen(0, "127.0.0.1", 1024)
  await once(server, "listening")
  return (server.address() as net.AddressInfo).port
}

export const connectSocket = async (port: number): Promise<net.Socket> => {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
  await once(socket, "connect")
  return socket
}

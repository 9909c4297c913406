import { once } from "node:events"
import type { AddressInfo } from "node:net"
import nodeTls from "node:tls"
import { certificate, type Certificate } from "../secrets.ts"
import { overStreams, type Streams } from "./streams.ts"

/**
 * TLS 1.3 with AES-256-GCM and a certificate on each side. Keeps one SecureContext, as a server
 * does, and resumes no session.
 */
const options = (): nodeTls.SecureContextOptions => {
  const { key, cert } = certificate() as Certificate
  return { key, cert, ca: cert, minVersion: "TLSv1.3", ciphers: "TLS_AES_256_GCM_SHA384" }
}

const listen: Streams["listen"] = async (newcomer) => {
  const server = nodeTls.createServer({ ...options(), requestCert: true, noDelay: true }, newcomer)
  server.listen(0, "127.0.0.1", 1024)
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

let shared: nodeTls.SecureContext | undefined

const connect: Streams["connect"] = async (port) => {
  shared ??= nodeTls.createSecureContext(options())
  const socket = nodeTls.connect({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    secureContext: shared
  })
  socket.setNoDelay(true)
  await once(socket, "secureConnect")
  return socket
}

export const tls = overStreams({ listen, connect })

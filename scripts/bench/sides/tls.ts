import { once } from "node:events"
import type { AddressInfo } from "node:net"
import nodeTls from "node:tls"
import { certificate } from "../secrets.ts"
import { overStreams, type Streams } from "./streams.ts"

/**
 * TLS 1.3 with AES-256-GCM and a certificate on each side, signed by an authority. Keeps one
 * SecureContext, as a server does, and resumes no session.
 */
const contextOf = (owner?: "stranger-"): nodeTls.SecureContextOptions => ({
  ...certificate(owner),
  minVersion: "TLSv1.3",
  ciphers: "TLS_AES_256_GCM_SHA384"
})

const listen: Streams["listen"] = async (newcomer) => {
  const server = nodeTls.createServer(
    { ...contextOf(), requestCert: true, noDelay: true },
    newcomer
  )
  server.listen(0, "127.0.0.1", 1024)
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

/** Connects with a certificate, and tells when both sides have seen the other's. */
const connector = (owner?: "stranger-"): Streams["connect"] => {
  let shared: nodeTls.SecureContext | undefined
  return async (port) => {
    shared ??= nodeTls.createSecureContext(contextOf(owner))
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
}

export const tlsStreams: Streams = {
  listen,
  connect: connector(),
  connectStranger: connector("stranger-")
}

export const tls = overStreams(tlsStreams)

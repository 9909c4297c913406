// A real `sealwire serve` under attack, and honest clients within this process.
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import net from "node:net"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { Secret } from "../../../src/bytes/Secret.ts"
import { SharedKey } from "../../../src/keys/KeyKind.ts"
import * as KeyText from "../../../src/keys/KeyText.ts"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { tcp } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import {
  listening,
  bin,
  eventsOf,
  within,
  type Box,
  type JsonLine,
  type Running
} from "../../cli/Sealwire.ts"

export const sharedKey = new Secret(randomBytes(32))

export interface TargetServer {
  readonly server: Running
  readonly port: number
  readonly events: (name: string) => ReadonlyArray<JsonLine>
  /** Sends a text over a channel and awaits its receipt, with a time limit. */
  readonly sendHonestly: (text: string) => Promise<void>
}

/** Starts `sealwire serve` with a shared key, with a limit of file descriptors. */
export const startTarget = async (box: Box, descriptors?: number): Promise<TargetServer> => {
  // Attacks on its memory and descriptors shall meet the server alone.
  box.useProcesses("serve")
  box.write("sealwire.key", KeyText.encode(SharedKey, sharedKey))
  const args = ["serve", "--listen", "127.0.0.1:0", "--json", "--log-level", "debug"]
  const server = await listening(
    descriptors === undefined
      ? box.start(args)
      : box.startOther("bash", [
          "-c",
          `ulimit -n ${descriptors}; exec "$0" "$@"`,
          process.execPath,
          bin,
          ...args
        ])
  )
  const { port } = server
  // A refusal that follows another of its kind is counted later, and logged at level debug at once.
  const events = (name: string) =>
    [...eventsOf(server.stdout), ...eventsOf(server.stderr)].filter(
      ({ event, count = 1 }) => event === name && count === 1
    )
  return {
    server,
    port,
    events,
    sendHonestly: async (text) => {
      const before = events("message-received").length
      await within(
        Effect.gen(function* () {
          const client = yield* MessageClient.connect({
            address: tcp("127.0.0.1", port),
            keys: { serverName: "", psk: sharedKey }
          })
          yield* client.send([Buffer.from(text)])
        }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise),
        `the honest message ${text}`
      )
      await server.until(`the message ${text}`, () => events("message-received").length > before)
      expect(events("message-received").at(-1)).toMatchObject({ text })
    }
  }
}

/** The bytes that a connection received, and how and when, after connecting, it ended. */
export interface Outcome {
  readonly bytes: number
  readonly millis: number
  readonly code: string
}

export interface Attacker {
  readonly socket: net.Socket
  /** Its address, as the server sees it. */
  readonly address: string
  readonly outcome: Promise<Outcome>
}

/** Connects from a local address; the connection is destroyed at the end of the test. */
export const connectAttacker = (
  box: Box,
  port: number,
  localAddress = "127.0.0.1"
): Promise<Attacker> => {
  const socket = net.connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true })
  box.defer(() => socket.destroy())
  const outcome = new Promise<Outcome>((resolve) => {
    let bytes = 0
    let came = Date.now()
    let code = "FIN"
    socket.once("connect", () => {
      came = Date.now()
    })
    socket.on("data", (chunk) => {
      bytes += chunk.length
    })
    socket.once("error", (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message
    })
    socket.once("end", () => socket.end())
    socket.once("close", () => resolve({ bytes, millis: Date.now() - came, code }))
  })
  return within(
    new Promise((resolve) => {
      const attacker = () =>
        resolve({ socket, outcome, address: `${localAddress}:${socket.localPort}` })
      socket.once("connect", attacker)
      // A connection refused at once has an outcome too.
      socket.once("close", attacker)
    }),
    `a connection from ${localAddress}`
  )
}

/** Returns the resident memory of a process, in bytes. */
export const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024

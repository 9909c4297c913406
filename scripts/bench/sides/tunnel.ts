// Programs that tunnel TCP: source -> program -> program -> sink. Plain TCP goes in and out, two
// hops more than for contestants that encrypt in the source's process.
import { once } from "node:events"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import net from "node:net"
import path from "node:path"
import { start } from "../programs.ts"
import { secretsFolder } from "../secrets.ts"
import type { Side } from "../Side.ts"
import { connectSocket, listenSockets } from "./sockets.ts"
import { overStreams } from "./streams.ts"

/** The ports on 127.0.0.1, and the folder of the secrets. */
export interface End {
  /** The port that this end listens on. */
  readonly from: number
  /** The port that this end connects to: the other end or, at the server's end, the sink. */
  readonly to: number
  readonly sink: number
  readonly folder: string
}

export type Command = readonly [program: string, args: ReadonlyArray<string>]

export interface Tunnel {
  readonly name: string
  /**
   * Creates the credentials of both ends; returns why the program cannot run on this machine, if it
   * cannot.
   */
  readonly missing: (folder: string) => string | undefined
  readonly server: (end: End) => Command
  readonly client: (end: End) => Command
}

/** Returns why the program cannot run here, or its CPU time cannot be measured. */
export const missingTunnel = ({ missing }: Tunnel): string | undefined =>
  existsSync("/proc/self/stat") ? missing(secretsFolder()) : "needs /proc for its CPU time"

export const freePort = async (): Promise<number> => {
  const probe = net.createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const { port } = probe.address() as net.AddressInfo
  probe.close()
  return port
}

/** Waits until the port accepts a connection. */
export const listens = async (port: number, program: string): Promise<void> => {
  for (let tries = 0; tries < 200; tries++) {
    const heard = await connectSocket(port).catch(() => undefined)
    if (heard !== undefined) return void heard.on("error", () => {}).destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${program} does not listen`)
}

/** Starts one end; returns the port that it listens on. */
const open = async (command: (end: End) => Command, to: number, sink: number): Promise<number> => {
  const from = await freePort()
  const [program, args] = command({ from, to, sink, folder: secretsFolder() })
  start(program, args)
  await listens(from, program)
  return from
}

/** The jobs through a tunnel; `bulk` divides its bytes among `flows` connections, if given. */
export const through = (
  tunnel: Tunnel,
  flows?: number
): Pick<Required<Side>, "bulk" | "handshakes" | "roundTrips" | "firstBytes"> => {
  // The client's end of ssh names the port of the sink.
  const note = () => path.join(secretsFolder(), `${tunnel.name}.sink`)
  let entrance: Promise<number> | undefined
  const { bulk, handshakes, roundTrips, firstBytes } = overStreams({
    ...(flows === undefined ? {} : { flows }),
    listen: async (newcomer) => {
      const sink = await listenSockets(newcomer)
      writeFileSync(note(), String(sink))
      return open(tunnel.server, sink, sink)
    },
    connect: async (port) =>
      connectSocket(
        await (entrance ??= open(tunnel.client, port, Number(readFileSync(note(), "utf8"))))
      )
  })
  return { bulk, handshakes, roundTrips, firstBytes }
}

// A network between a server and its clients that can lose every packet, in both directions, without
// a word to either side: two network namespaces, or for other users a proxy that forwards nothing.
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import net from "node:net"
import { once } from "node:events"
import type { Box } from "../cli/Sealwire.ts"

export interface Network {
  /** What to write before the command of the server, and of a client. */
  readonly beforeServer: ReadonlyArray<string>
  readonly beforeClient: ReadonlyArray<string>
  /** The address at which the server listens, and the one that clients use then. */
  readonly listen: string
  readonly addressFor: (server: string) => Promise<string>
  /** From now on nothing arrives on either side. */
  readonly cut: () => void
  readonly heal: () => void
}

/** A hardware address that no device has. */
const nobody = "02:00:00:00:00:99"

const ip = (...args: ReadonlyArray<string>): boolean => spawnSync("ip", args).status === 0

/** True for a user who may make network namespaces with `ip`. */
export const canMakeNamespaces = (() => {
  const name = `sealwire-${randomBytes(3).toString("hex")}`
  return ip("netns", "add", name) && ip("netns", "del", name)
})()

/** Two namespaces and a cable. A wrong hardware address of the other side loses each packet. */
export const namespaces = (box: Box): Network => {
  const id = randomBytes(3).toString("hex")
  const subnet = `10.231.${(randomBytes(1)[0] ?? 0) & 0x7f}`
  const ends = ["1", "2"].map((host) => ({
    name: `sealwire-${id}-${host}`,
    device: `sw${id}${host}`,
    address: `${subnet}.${host}`
  }))
  const [server, client] = ends
  if (server === undefined || client === undefined) throw new Error("two ends")
  const must = (...args: ReadonlyArray<string>) => {
    const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" })
    if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`)
  }
  for (const { name } of ends) {
    must("netns", "add", name)
    box.defer(() => ip("netns", "del", name))
  }
  must("link", "add", server.device, "type", "veth", "peer", "name", client.device)
  for (const { name, device, address } of ends) {
    must("link", "set", device, "netns", name)
    must("-n", name, "addr", "add", `${address}/24`, "dev", device)
    must("-n", name, "link", "set", device, "up")
    must("-n", name, "link", "set", "lo", "up")
  }
  const neighbours = [
    [server, client],
    [client, server]
  ] as const
  return {
    beforeServer: ["ip", "netns", "exec", server.name],
    beforeClient: ["ip", "netns", "exec", client.name],
    listen: `${server.address}:0`,
    addressFor: (address) => Promise.resolve(address),
    cut: () => {
      for (const [{ name, device }, { address }] of neighbours)
        must(
          ...`-n ${name} neigh replace ${address} lladdr ${nobody} nud permanent dev ${device}`.split(
            " "
          )
        )
    },
    heal: () => {
      for (const [{ name, device }, { address }] of neighbours)
        must("-n", name, "neigh", "del", address, "dev", device)
    }
  }
}

/** A proxy that keeps its connections and forwards nothing. */
export const proxy = (box: Box): Network => {
  let isCut = false
  return {
    beforeServer: [],
    beforeClient: [],
    listen: "127.0.0.1:0",
    addressFor: async (address) => {
      const server = net.createServer({ allowHalfOpen: true }, (near) => {
        const far = net.connect({ port: Number(address.split(":").at(-1)), allowHalfOpen: true })
        for (const [one, other] of [
          [near, far],
          [far, near]
        ] as const) {
          one.on("error", () => {})
          one.on("data", (bytes: Buffer) => {
            if (isCut) return
            if (!other.write(bytes)) {
              one.pause()
              other.once("drain", () => one.resume())
            }
          })
          one.on("end", () => !isCut && other.end())
          one.on("close", () => !isCut && other.destroy())
        }
      })
      box.defer(() => server.close())
      await once(server.listen(0, "127.0.0.1"), "listening")
      return `127.0.0.1:${(server.address() as net.AddressInfo).port}`
    },
    cut: () => (isCut = true),
    heal: () => (isCut = false)
  }
}

/** Both sides on one machine: nothing is cut. */
export const loopback: Network = {
  beforeServer: [],
  beforeClient: [],
  listen: "127.0.0.1:0",
  addressFor: (address) => Promise.resolve(address),
  cut: () => {},
  heal: () => {}
}

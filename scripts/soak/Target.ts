import { createHash } from "node:crypto"
import { once } from "node:events"
import net from "node:net"
import type { Fault } from "./faults.ts"

/** Bytes that the target sends in a flow of kind `first`. */
export const greeting = Buffer.alloc(65_536, "sealwire ")

/**
 * The program behind the tunnels. The first byte of a connection selects what it does:
 *
 * - `E` (echo) returns every byte, and ends its side after the client has ended.
 * - `D` (digest) reads to the end, and then answers with the SHA-256 of all bytes.
 * - `F` (first) sends its greeting and ends its side first, and goes on reading.
 */
export class Target {
  readonly #server: net.Server
  /** Digests of what flows of kind `first` received in full. */
  readonly #received = new Set<string>()

  constructor(plant: Fault | undefined) {
    let isPlanted = plant !== "echo"
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const hash = createHash("sha256")
      let mode = ""
      // A server that is killed resets its connections to the target.
      socket.on("error", () => socket.destroy())
      socket.on("data", (chunk: Buffer) => {
        let bytes = chunk
        if (mode === "") {
          mode = bytes.subarray(0, 1).toString()
          bytes = bytes.subarray(1)
          if (mode === "F") socket.end(greeting)
        }
        hash.update(bytes)
        if (mode !== "E" || bytes.length === 0) return
        if (!isPlanted) {
          bytes[0] = (bytes[0] ?? 0) ^ 1
          isPlanted = true
        }
        if (socket.write(bytes)) return
        socket.pause()
        socket.once("drain", () => socket.resume())
      })
      socket.on("end", () => {
        const digest = hash.digest()
        if (mode === "F") this.#received.add(digest.toString("hex"))
        else if (mode === "D") socket.end(digest)
        else socket.end()
      })
    })
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1")
    await once(this.#server, "listening")
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  /** True if a flow of kind `first` brought content with this digest, and then its end; once. */
  hasReceived(digest: string): boolean {
    return this.#received.delete(digest)
  }

  close(): void {
    this.#server.close()
  }
}

import * as Layer from "effect/Layer"
import { makeMemory, type MemoryOptions } from "./Memory.ts"
import * as Net from "./Net.ts"
import { Transport as TransportTag } from "./Transport.ts"

/**
 * The transport service, with one layer for each kind of network.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const transport = yield* Transport
 *   const connection = yield* transport.connect(Address.tcp("127.0.0.1", 8080))
 *   yield* connection.write(Buffer.from("hello"))
 * }).pipe(Effect.scoped)
 * Effect.provide(program, Transport.layerNet) // or Transport.layerMemory()
 */
export class Transport extends TransportTag {
  /** TCP and Unix sockets of the operating system, on node:net. */
  static readonly layerNet: Layer.Layer<Transport> = Layer.sync(TransportTag, () => Net)

  /**
   * Connections within this process. The options limit chunk sizes, delay bytes and reset
   * connections.
   */
  static readonly layerMemory = (options?: MemoryOptions): Layer.Layer<Transport> =>
    Layer.sync(TransportTag, () => makeMemory(options))
}

export declare namespace Transport {
  /** The operations of a transport. */
  type Shape = TransportTag.Shape
  /** A listening socket; it stays open as long as its scope. */
  type Listener = TransportTag.Listener
}

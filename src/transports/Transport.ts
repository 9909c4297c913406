import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Handler, ListenOptions } from "./Acceptor.ts"
import type { Address } from "./Address.ts"
import type { Connection } from "./Connection.ts"
import { makeMemory, type MemoryOptions } from "./Memory.ts"
import * as Net from "./Net.ts"
import type { ConnectFailed, ListenFailed, PortInUse } from "./TransportErrors.ts"

/**
 * How bytes travel between two programs.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const transport = yield* Transport
 *   const connection = yield* transport.connect(Address.tcp("127.0.0.1", 8080))
 *   yield* connection.write(Buffer.from("hello"))
 * }).pipe(Effect.scoped)
 * Effect.provide(program, Transport.layerNet) // or Transport.layerMemory()
 */
export class Transport extends Context.Tag("sealwire/transports/Transport")<
  Transport,
  Transport.Shape
>() {
  /** TCP and Unix sockets of this machine, on node:net. */
  static readonly layerNet: Layer.Layer<Transport> = Layer.sync(Transport, () => Net)

  /** Connections inside this process; `chunkBytes` cuts what is written into pieces of at most that size. */
  static readonly layerMemory = (options?: MemoryOptions): Layer.Layer<Transport> =>
    Layer.sync(Transport, () => makeMemory(options))
}

/** What a transport must look at before it connects. */
export interface ConnectOptions {
  /** A name must lead to this machine at this moment, and nowhere else. An address of another machine is the caller's to refuse. */
  readonly onlyThisMachine?: boolean
}

export declare namespace Transport {
  /** What a Transport does. */
  interface Shape {
    /** A connection that lives as long as the scope. */
    readonly connect: (
      address: Address,
      options?: ConnectOptions
    ) => Effect.Effect<Connection, ConnectFailed, Scope.Scope>
    /** Runs the handler for each connection until the scope closes; then drains. Port 0 takes a free one. */
    readonly listen: <R>(
      address: Address,
      handler: Handler<R>,
      options?: ListenOptions
    ) => Effect.Effect<Listener, PortInUse | ListenFailed, R | Scope.Scope>
  }

  /** One that listens, as long as its scope is open. */
  interface Listener {
    /** Where it listens, with the port that port 0 became. */
    readonly address: Address
    /** The same as the system has it: of a name what it led to, of an inherited socket what it is bound to. */
    readonly reachable: Address
    /** Connections that are not established, now. */
    readonly halfOpen: () => number
  }
}

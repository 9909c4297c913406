import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Handler, ListenOptions } from "./Acceptor.ts"
import type { Address } from "./Address.ts"
import type { Connection } from "./Connection.ts"
import type { ConnectFailed, ListenFailed, PortInUse } from "./TransportErrors.ts"

/** The service that connects and listens. `index.ts` adds its layers. */
export class Transport extends Context.Tag("sealwire/transports/Transport")<
  Transport,
  Transport.Shape
>() {}

/** Checks to make before connecting. */
export interface ConnectOptions {
  /**
   * Resolves a host name at connect time and fails with reason "elsewhere" unless every result is
   * a loopback address. A literal address is not checked; the caller must do that.
   */
  readonly loopbackOnly?: boolean
}

export declare namespace Transport {
  /** The operations of a transport. */
  interface Shape {
    /** Opens a connection that lives as long as the scope. */
    readonly connect: (
      address: Address,
      options?: ConnectOptions
    ) => Effect.Effect<Connection, ConnectFailed, Scope.Scope>
    /**
     * Runs the handler for each incoming connection until the scope closes; then drains the open
     * ones. Port 0 selects a free port.
     */
    readonly listen: <R>(
      address: Address,
      handler: Handler<R>,
      options?: ListenOptions
    ) => Effect.Effect<Listener, PortInUse | ListenFailed, R | Scope.Scope>
  }

  /** A listening socket; it stays open as long as its scope. */
  interface Listener {
    /** The requested address, with port 0 replaced by the port that was selected. */
    readonly address: Address
    /**
     * The address as the operating system reports it: the result of a name's resolution, or the
     * address to which an inherited socket is bound.
     */
    readonly boundAddress: Address
    /** The number of connections that are not authenticated yet. */
    readonly halfOpen: () => number
  }
}

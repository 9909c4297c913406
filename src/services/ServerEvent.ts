// The events of a server.
import * as Data from "effect/Data"
import type { Address } from "../transports/Address.ts"
import type { Counters, RemotePeer, SessionError, SessionFailure } from "./Service.ts"

/** An event of a server. */
export type ServerEvent<E = SessionFailure> = Data.TaggedEnum<{
  Listening: {
    readonly address: Address
    /** Returns the number of connections whose handshake is not complete. */
    readonly halfOpen: () => number
  }
  /** The server accepts no more connections, and waits for open sessions. */
  Stopping: {}
  /** `counted` is live: it changes while the session goes on. */
  SessionStarted: {
    readonly sender: RemotePeer
    readonly service: string
    readonly counted: Readonly<Counters>
  }
  SessionEnded: {
    readonly sender: RemotePeer
    readonly service: string
    readonly counted: Readonly<Counters>
    readonly error: SessionError<E> | undefined
  }
  /**
   * A connection was refused: its handshake failed, or its peer has too many. `publicKey` is the
   * client's, where it has shown one. `isSilent`: it closed without having sent a byte.
   */
  ConnectionRefused: {
    readonly from: string
    readonly reason: string
    readonly publicKey?: Uint8Array | undefined
    readonly isSilent?: boolean
  }
}>
/** The constructors and `$match`. */
export const ServerEvent: Data.TaggedEnum.Constructor<ServerEvent> = Data.taggedEnum<ServerEvent>()

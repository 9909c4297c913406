// The two sides of a splice, its options and its errors.
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type { ChannelItem } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import type { Flow } from "../../transports/Connection.ts"
import type { ConnectionLost } from "../../transports/TransportErrors.ts"

/** No byte passed in either direction for the time `idle`, so the connection was ended. */
export class TunnelIdle extends Data.TaggedError("TunnelIdle")<{
  readonly peer: string
  readonly idle: Duration.Duration
}> {
  override get message(): string {
    return `the connection of ${this.peer} was ended: idle for ${Duration.format(this.idle)}`
  }
}

/** The unencrypted side of a tunnel: a socket, or standard input and output. */
export interface PlainConnection {
  /** Names the connection in errors. */
  readonly peer: string
  readonly flow: Flow
}

export type SpliceError<E> = ConnectionLost | ChannelError | TunnelIdle | E

export interface SpliceOptions<E> {
  /** Called with the number of bytes that pass, before they are written. */
  readonly onBytes: {
    readonly toPlain: (bytes: number) => void
    readonly toChannel: (bytes: number) => void
  }
  /** Longest time without a byte in either direction. It is exceeded by one eighth at most. */
  readonly idle?: Duration.Duration | undefined
  /**
   * Checks each item from the channel before it takes effect, and FIN (undefined). An error ends
   * the splice. Without `check` every CONTROL message breaks the protocol.
   */
  readonly check?: ((item: ChannelItem | undefined) => E | undefined) | undefined
  /**
   * Counts bytes of either direction, and returns for how many milliseconds to stop reading both.
   * Called with 0 at the start, and after that time.
   */
  readonly throttle?: ((bytes: number) => number) | undefined
  /** Time within which the channel's first item must arrive, and the error otherwise. */
  readonly firstItem?: { readonly millis: number; readonly onTimeout: () => E } | undefined
  /**
   * Returns true for an error that must leave the plain connection open, to be spliced with another
   * channel. Called only before any byte of the plain connection has entered the channel.
   */
  readonly keepsPlain?: ((error: SpliceError<E>) => boolean) | undefined
  /**
   * Ends when the peer has sent FIN and all is written, even if the plain side still sends: the
   * behaviour of a pipe.
   */
  readonly untilPeerEnds?: boolean
  /**
   * The CONTROL message that takes the place of FIN, in a channel that is used again. Once it has
   * passed in both directions, the channel is left to its next reader.
   */
  readonly endMessage?: Uint8Array | undefined
}

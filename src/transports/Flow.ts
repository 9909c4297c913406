// A connection as callbacks, and what a stream of Node must add to become one.
import type { Duplex } from "node:stream"

/**
 * A connection with callbacks: with small messages an Effect per read and write is the whole CPU
 * cost.
 */
export interface Flow {
  /**
   * Sends every chunk to the listener, synchronously and in order, buffered chunks first. `read`
   * must not be used afterwards. An end or a loss that has already happened is reported at once.
   */
  readonly start: (listener: FlowListener) => void
  /** Detaches the listener. `unread` and later bytes wait for the next listener or for `read`. */
  readonly stop: (unread: Uint8Array) => void
  /** Pauses reading; chunks already read are still delivered. */
  readonly pause: () => void
  /** Resumes reading. */
  readonly resume: () => void
  /**
   * Writes bytes now. Returns false when the send buffer is full; the listener's `drained` follows.
   * Does nothing after a loss. Calls `released` when the memory may be reused.
   */
  readonly write: (bytes: Uint8Array, released?: () => void) => boolean
  /**
   * Frees the memory of a delivered chunk, which may be empty afterwards. It is not needed.
   */
  readonly release: (chunk: Uint8Array) => void
  /** Ends this side's stream after all written bytes. */
  readonly end: () => void
  /** Ends both streams at once, as `Connection.abort`. */
  readonly reset: () => void
  /**
   * Checks whether the peer has reset the connection, where the transport can tell. While nothing
   * is read or written, no event reports it.
   */
  readonly isResetByPeer: () => boolean
}

/** Receives the events of a Flow. */
export interface FlowListener {
  /**
   * The next bytes. They are valid during the call only, because the next read may use their
   * memory again: a listener that keeps bytes copies them.
   */
  readonly bytes: (chunk: Uint8Array) => void
  /** The send buffer has room again. */
  readonly drained: () => void
  /** The peer has ended its stream. */
  readonly end: () => void
  /** The connection is lost in both directions. May follow `end`. */
  readonly lost: (code: string) => void
}

/**
 * A Node stream and the operations that its kind adds: net.Socket, the memory pair, standard input
 * and output.
 */
export interface Wire {
  readonly stream: Duplex
  readonly peer: string
  readonly local?: string | undefined
  /** The stream's chunks share no memory, so that it can be freed explicitly. */
  readonly ownsChunks?: boolean
  /** The stream emits no 'data': it reads into the buffer of SharedReads. */
  readonly sharesReads?: boolean
  /** Ends both directions abruptly. */
  readonly reset: () => void
  /**
   * Called at the end of the stream. Returns the error that the stream has presented as an end, if
   * any.
   */
  readonly endError?: () => Error | undefined
  /** Flow.isResetByPeer. */
  readonly isResetByPeer?: () => boolean
}

// A channel of a pool, in callbacks: offered by the server, lent to a connection, and returned for
// the next one. TUNNEL.md section 4.
import { Control, type Channel, type ChannelItem } from "../../channel/Channel.ts"
import { ChannelClosed, ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import type { Timers } from "../../transports/Timers.ts"
import { limits } from "./ChannelPoolEvents.ts"
import { decode } from "./Messages.ts"
import * as Opening from "./Opening.ts"

/** The use of one channel for one connection. The server has offered the target on it. */
export interface Lease {
  readonly channel: Channel
  /**
   * Ends the use. A channel whose connection is over may carry another one; every other channel is
   * closed: with FIN and CLOSE, or with close code 3 when the connection failed.
   */
  readonly release: (use: Use) => void
}

/** The end of the use of a channel. */
export type Use = "unused" | "over" | "failed"

/** The events of a channel. */
export interface PooledChannelListener {
  /** The server has offered the channel. Sent again after each `returned`. */
  readonly offered: () => void
  /** The connection is over, and the server may offer the channel again. */
  readonly returned: () => void
  /** The channel is not used any more: it was released, or lost. Sent once, and last. */
  readonly ended: (reason: ChannelError | Use) => void
}

type State = "returning" | "offered" | "lent" | "ended"

export class PooledChannel implements Lease {
  readonly channel: Channel
  /** True for a channel that carries several connections. */
  readonly isReused: boolean
  readonly #listener: PooledChannelListener
  readonly #timers: Timers
  readonly #openedAt: number
  #state: State = "returning"
  /** When its last connection was over; undefined before. */
  #returnedAt: number | undefined

  constructor(channel: Channel, timers: Timers, listener: PooledChannelListener) {
    this.channel = channel
    this.isReused = Opening.isReused(channel.opening)
    this.#listener = listener
    this.#timers = timers
    this.#openedAt = timers.monotonic
  }

  /** Waits for the server to offer the channel, and then for its loss. */
  start(): void {
    this.channel.flow.start({
      item: (item) => this.#item(item),
      drained: () => {},
      end: () => this.#lost(new ChannelClosed({ peer: this.channel.peer, reason: this.#reason })),
      closed: (error) => this.#lost(error)
    })
  }

  /** Leaves the channel to a connection. */
  lend(): void {
    this.#state = "lent"
    this.channel.flow.stop()
  }

  release(use: Use): void {
    if (this.#state === "ended") return
    if (use !== "over" || !this.isReused || this.#isOld) return this.#end(use)
    this.#state = "returning"
    this.#returnedAt = this.#timers.monotonic
    this.#listener.returned()
    // A pool that is closed releases the channel at once.
    if (this.#isReturning) this.start()
  }

  /** True when it waits for a use that it is too old for, or for an offer that does not come. */
  get isExpired(): boolean {
    if (this.#returnedAt === undefined || this.#state === "lent") return false
    if (this.#state === "offered") return this.#isOld
    return this.#timers.monotonic - this.#returnedAt >= limits.returnMillis
  }

  get #isOld(): boolean {
    return this.#timers.monotonic - this.#openedAt >= limits.reuseMillis
  }

  get #isReturning(): boolean {
    return this.#state === "returning"
  }

  get #reason(): string {
    return this.#isReturning ? "before it offered the tunnel" : "before it was used"
  }

  /** A server sends `offered`, and nothing else before `go`. */
  #item(item: ChannelItem): void {
    if (this.#isReturning && item instanceof Control && decode(item.body) === "offered") {
      this.#state = "offered"
      return this.#listener.offered()
    }
    const detail = this.#isReturning ? "a message other than offered" : "a message before go"
    this.#lost(new ChannelTampered({ peer: this.channel.peer, detail }))
  }

  #lost(error: ChannelError): void {
    if (this.#state !== "ended") this.#end(error)
  }

  #end(reason: ChannelError | Use): void {
    this.#state = "ended"
    this.channel.flow.stop()
    this.#listener.ended(reason)
  }
}

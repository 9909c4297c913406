// Joins a plain connection and a channel: bytes pass both ways, each end of stream becomes the
// other side's, and a slow reader holds back the writer. TUNNEL.md section 3.
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { release } from "../../bytes/Release.ts"
import type { Channel, ChannelItem } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import type { Flow } from "../../transports/Connection.ts"
import { ConnectionLost } from "../../transports/TransportErrors.ts"

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

type SpliceError<E> = ConnectionLost | ChannelError | TunnelIdle | E

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
}

/** Number of checks within the idle limit. */
const idleChecks = 8

/** Interval at which a plain side that is not being read is asked whether it still exists. */
const resetCheckMillis = 15_000

/**
 * Succeeds when both directions have ended and all is written. Otherwise the plain side is reset
 * (unless `keepsPlain`), and the error names the side that failed. The caller ends the channel, and
 * sets its close reason.
 */
export const splice = <E = never>(
  plain: PlainConnection,
  channel: Channel,
  options: SpliceOptions<E>
): Effect.Effect<void, SpliceError<E>> =>
  Effect.flatMap(Timers.current, (timers) =>
    Effect.async((resume) => {
      const splice = new Splice(plain, channel, options, timers, resume)
      splice.start()
      return Effect.sync(() => splice.interrupt())
    })
  )

const noTimer = () => {}

/** Two streams and their timers. Everything here runs synchronously in socket callbacks. */
class Splice<E> {
  readonly #plain: Flow
  readonly #peer: string
  readonly #channel: Channel
  readonly #options: SpliceOptions<E>
  readonly #timers: Timers
  readonly #resume: (result: Effect.Effect<void, SpliceError<E>>) => void
  #over = false
  #plainEnded = false
  #channelEnded = false
  /** No byte of the plain side has entered the channel. */
  #untouched = true
  /** The plain side takes no more bytes for now. */
  #plainFull = false
  /** The channel takes no more bytes for now. */
  #channelFull = false
  #throttled = false
  #isPlainStarted = false
  /** Bytes have passed since the last idle check. */
  #active = true
  #idleChecks = 0
  #stopIdleCheck = noTimer
  #stopThrottle = noTimer
  #stopFirstItem = noTimer
  #stopResetCheck = noTimer

  constructor(
    { peer, flow }: PlainConnection,
    channel: Channel,
    options: SpliceOptions<E>,
    timers: Timers,
    resume: (result: Effect.Effect<void, SpliceError<E>>) => void
  ) {
    this.#plain = flow
    this.#peer = peer
    this.#channel = channel
    this.#options = options
    this.#timers = timers
    this.#resume = resume
  }

  start(): void {
    this.#startTimers()
    // A limit that other streams have exceeded holds for the first byte too.
    this.#spend(0)
    this.#channel.flow.start({
      item: (item) => this.#fromChannel(item),
      drained: () => {
        this.#channelFull = false
        this.#resumePlain()
      },
      end: () => this.#endFromChannel(),
      closed: (error) => {
        // After both FINs the manner in which the channel closes has no meaning.
        if (!this.#bothEnded) this.#fail(error)
      }
    })
    this.#resumePlain()
  }

  /** Starts the plain side. Not while throttled: it would deliver what has been read ahead. */
  #startPlain(): void {
    if (this.#over) return
    this.#isPlainStarted = true
    // No listener was told that earlier writes have drained.
    this.#plainFull = false
    this.#plain.start({
      bytes: (bytes) => this.#fromPlain(bytes),
      drained: () => {
        this.#plainFull = false
        this.#resumeChannel()
      },
      end: () => {
        if (this.#over) return
        this.#plainEnded = true
        this.#channel.flow.end()
      },
      lost: (code) => this.#lost(code)
    })
    // `start` ends with reading, whatever its chunks have caused.
    if (!this.#over && (this.#channelFull || this.#throttled)) this.#plain.pause()
  }

  interrupt(): void {
    if (this.#over) return
    this.#over = true
    this.#stopTimers()
    this.#plain.reset()
  }

  get #bothEnded(): boolean {
    return this.#channelEnded && (this.#plainEnded || this.#options.untilPeerEnds === true)
  }

  #fromChannel(item: ChannelItem): void {
    if (this.#over) return
    this.#stopFirstItem()
    this.#stopFirstItem = noTimer
    const { check } = this.#options
    const error = check?.(item)
    if (error !== undefined) this.#fail(error)
    else if (item instanceof Uint8Array) this.#toPlain(item)
    else if (check === undefined)
      this.#fail(new ChannelTampered({ peer: this.#channel.peer, detail: "an unexpected message" }))
  }

  #endFromChannel(): void {
    const error = this.#over ? undefined : this.#options.check?.(undefined)
    if (error !== undefined) this.#fail(error)
    if (this.#over) return
    this.#channelEnded = true
    this.#plain.end()
  }

  #toPlain(bytes: Uint8Array): void {
    const { length } = bytes
    this.#active = true
    this.#options.onBytes.toPlain(length)
    // Each opened record has memory of its own, which may be released once it is written.
    if (!this.#plain.write(bytes, () => release(bytes))) {
      this.#plainFull = true
      this.#channel.flow.pause()
    }
    this.#spend(length)
  }

  #fromPlain(bytes: Uint8Array): void {
    if (this.#over) return
    this.#active = true
    this.#untouched = false
    const { length } = bytes
    this.#options.onBytes.toChannel(length)
    if (!this.#channel.flow.writeNow(bytes)) {
      this.#channelFull = true
      this.#plain.pause()
    }
    this.#plain.release(bytes)
    this.#spend(length)
  }

  #resumeChannel(): void {
    if (!this.#over && !this.#plainFull && !this.#throttled) this.#channel.flow.resume()
  }

  #resumePlain(): void {
    if (this.#over || this.#channelFull || this.#throttled) return
    if (this.#isPlainStarted) this.#plain.resume()
    else this.#startPlain()
  }

  #spend(bytes: number): void {
    const millis = this.#options.throttle?.(bytes) ?? 0
    if (millis > 0 && !this.#throttled && !this.#over) this.#throttle(millis)
  }

  #throttle(millis: number): void {
    this.#throttled = true
    this.#channel.flow.pause()
    this.#plain.pause()
    this.#stopThrottle = this.#timers.schedule(millis, () => {
      // A stream that waits for its limit is not idle.
      this.#active = true
      const more = this.#options.throttle?.(0) ?? 0
      if (more > 0) return this.#throttle(more)
      this.#throttled = false
      this.#resumePlain()
      this.#resumeChannel()
    })
  }

  #startTimers(): void {
    const { idle, firstItem } = this.#options
    if (idle !== undefined) this.#checkIdle(idle)
    if (firstItem !== undefined)
      this.#stopFirstItem = this.#timers.schedule(firstItem.millis, () =>
        this.#fail(firstItem.onTimeout())
      )
    this.#scheduleResetCheck()
  }

  #checkIdle(idle: Duration.Duration): void {
    this.#idleChecks = this.#active ? 0 : this.#idleChecks + 1
    this.#active = false
    if (this.#idleChecks >= idleChecks)
      return this.#fail(new TunnelIdle({ peer: this.#peer, idle }))
    this.#stopIdleCheck = this.#timers.schedule(Duration.toMillis(idle) / idleChecks, () =>
      this.#checkIdle(idle)
    )
  }

  /** Polls for a reset of the plain side while it is not read: only reads and writes report one. */
  #scheduleResetCheck(): void {
    this.#stopResetCheck = this.#timers.schedule(resetCheckMillis, () => {
      if ((this.#plainEnded || this.#channelFull) && this.#plain.isResetByPeer())
        return this.#lost("ECONNRESET")
      this.#scheduleResetCheck()
    })
  }

  #stopTimers(): void {
    this.#stopIdleCheck()
    this.#stopThrottle()
    this.#stopFirstItem()
    this.#stopResetCheck()
  }

  #lost(code: string): void {
    // After both ends of stream, with all bytes written, the socket is simply closed.
    if (code === "CLOSED" && this.#bothEnded) this.#settle(Effect.void)
    else this.#fail(new ConnectionLost({ peer: this.#peer, code }))
  }

  #fail(error: SpliceError<E>): void {
    if (this.#over) return
    // Reset before anything else: a truncated stream must never look complete.
    if (this.#untouched && this.#options.keepsPlain?.(error) === true)
      this.#plain.stop(new Uint8Array(0))
    else this.#plain.reset()
    this.#settle(Effect.fail(error))
  }

  #settle(result: Effect.Effect<void, SpliceError<E>>): void {
    if (this.#over) return
    this.#over = true
    this.#stopTimers()
    this.#resume(result)
  }
}

// Joins a plain connection and a channel: bytes pass both ways, each end of stream becomes the
// other side's, and a slow reader holds back the writer. TUNNEL.md section 3.
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { release } from "../../bytes/Release.ts"
import { Control, type Channel, type ChannelItem } from "../../channel/Channel.ts"
import { ChannelClosed, ChannelTampered } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import type { Flow } from "../../transports/Connection.ts"
import { ConnectionLost } from "../../transports/TransportErrors.ts"
import {
  TunnelIdle,
  type PlainConnection,
  type SpliceError,
  type SpliceOptions
} from "./SpliceOptions.ts"

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
  /** The channel is left to its next reader. */
  #isDetached = false
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
      end: () => {
        if (this.#options.endMessage === undefined) this.#endFromChannel()
        // The channel ends within the connection, which has not ended.
        else this.#fail(new ChannelClosed({ peer: this.#channel.peer, reason: "in a connection" }))
      },
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
        if (!this.#over) this.#endFromPlain()
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
    if (this.#channelEnded) return this.#violate("a message after its end")
    if (this.#isEnd(item)) return this.#endFromChannel()
    const { check } = this.#options
    const error = check?.(item)
    if (error !== undefined) this.#fail(error)
    else if (item instanceof Uint8Array) this.#toPlain(item)
    else if (check === undefined) this.#violate("an unexpected message")
  }

  #isEnd(item: ChannelItem): boolean {
    const { endMessage } = this.#options
    return (
      endMessage !== undefined &&
      item instanceof Control &&
      Buffer.compare(item.body, endMessage) === 0
    )
  }

  #endFromChannel(): void {
    const error = this.#over ? undefined : this.#options.check?.(undefined)
    if (error !== undefined) this.#fail(error)
    if (this.#over) return
    this.#channelEnded = true
    this.#plain.end()
    this.#detach()
  }

  #endFromPlain(): void {
    const { endMessage } = this.#options
    this.#plainEnded = true
    if (endMessage === undefined) this.#channel.flow.end()
    else this.#channel.flow.sendControl(endMessage)
    this.#detach()
  }

  /** Leaves a channel that is used again to its next reader, once both ends have passed. */
  #detach(): void {
    if (this.#options.endMessage === undefined || !this.#bothEnded) return
    this.#isDetached = true
    this.#channel.flow.stop()
  }

  #violate(detail: string): void {
    this.#fail(new ChannelTampered({ peer: this.#channel.peer, detail }))
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
    if (this.#over || this.#isDetached || this.#plainFull || this.#throttled) return
    this.#channel.flow.resume()
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
    if (this.#isDetached) return
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

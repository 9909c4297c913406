// A plain connection and a channel, joined: bytes both ways, each end as the other side's, and nobody buffers. TUNNEL.md section 3.
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { release } from "../../bytes/Release.ts"
import type { Channel, ChannelItem } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import type { Flow } from "../../transports/Connection.ts"
import { ConnectionLost } from "../../transports/TransportErrors.ts"

/** Nothing went either way for so long that the connection was ended. */
export class TunnelIdle extends Data.TaggedError("TunnelIdle")<{
  readonly peer: string
  readonly idle: Duration.Duration
}> {
  override get message(): string {
    return `the connection of ${this.peer} was ended: nothing went through it for ${Duration.format(this.idle)}`
  }
}

/** A plain side: a socket, or standard input and output. */
export interface Plain {
  readonly peer: string
  readonly flow: Flow
}

/** Bytes so far: from the channel's client, and to it. */
export interface Moved {
  in: number
  out: number
}

export interface SpliceOptions<E> {
  readonly moved: {
    readonly toPlain: (bytes: number) => void
    readonly toChannel: (bytes: number) => void
  }
  /** The longest silence in both directions. */
  readonly idle?: Duration.Duration | undefined
  /** Looks at what comes from the channel before it counts, its FIN (undefined) too; an error ends it. A control message that nobody looks at breaks the protocol. */
  readonly judge?: ((item: ChannelItem | undefined) => E | undefined) | undefined
  /** Asked for what came from the channel: for how many milliseconds nothing more is taken from there. */
  readonly hold?: ((bytes: number) => number) | undefined
  /** By when the first item of the channel must have come, and the error when it has not. */
  readonly first?: { readonly millis: number; readonly late: () => E } | undefined
  /** True for an error that leaves the plain side as it is, for another channel. Asked only while nothing of it has gone. */
  readonly spares?: ((error: ConnectionLost | ChannelError | TunnelIdle | E) => boolean) | undefined
  /** Over when the peer has said FIN and all was written, whatever the plain side still says: what a pipe does. */
  readonly untilPeerEnds?: boolean
}

/** How often within the idle limit it is looked whether something moved. */
const looks = 8

/** How often a plain side that says nothing more, or must not, is asked whether it is still there. */
const goneMillis = 15_000

/**
 * Done when both directions have ended and all is written. Else the plain side is reset (or spared), and the error says which side it was: the
 * channel is left to the caller, who says in its close that it failed.
 */
export const splice = <E = never>(
  { peer, flow: plain }: Plain,
  channel: Channel,
  { moved, idle, judge, hold, first, spares, untilPeerEnds = false }: SpliceOptions<E>
): Effect.Effect<void, ConnectionLost | ChannelError | TunnelIdle | E> =>
  Effect.flatMap(Timers.current, (timers) =>
    Effect.async((resume) => {
      const { flow } = channel
      let over = false
      let moves = true
      const ended = { plain: false, channel: false }
      /** Nothing of the plain side's has gone into the channel. */
      let untouched = true

      const settle = (
        result: Effect.Effect<void, ConnectionLost | ChannelError | TunnelIdle | E>
      ) => {
        if (over) return
        over = true
        stopAll()
        resume(result)
      }
      const fail = (error: ConnectionLost | ChannelError | TunnelIdle | E) => {
        if (over) return
        // Before anything else: what was cut must never look whole.
        if (untouched && spares?.(error) === true) plain.stop(new Uint8Array(0))
        else plain.reset()
        settle(Effect.fail(error))
      }
      const lost = (code: string) => {
        // Both ends are there, and what was written has gone: the socket is closed.
        if (code === "CLOSED" && ended.channel && (ended.plain || untilPeerEnds))
          settle(Effect.void)
        else fail(new ConnectionLost({ peer, code }))
      }

      /** Why nothing is taken from the channel now. */
      const stopped = { full: false, held: false }
      const take = () => {
        if (!over && !stopped.full && !stopped.held) flow.resume()
      }
      let stopHold = () => {}
      const rest = (millis: number) => {
        stopped.held = true
        flow.pause()
        stopHold = timers.schedule(millis, () => {
          stopped.held = false
          take()
        })
      }

      const toPlain = (bytes: Uint8Array) => {
        moves = true
        moved.toPlain(bytes.length)
        // A record that was opened lies in memory of its own.
        const { length } = bytes
        if (!plain.write(bytes, () => release(bytes))) {
          stopped.full = true
          flow.pause()
        }
        const millis = hold?.(length) ?? 0
        if (millis > 0) rest(millis)
      }
      let stopIdle = () => {}
      let quiet = 0
      const look = (millis: number) => {
        quiet = moves ? 0 : quiet + 1
        moves = false
        if (quiet >= looks) return fail(new TunnelIdle({ peer, idle: idle as Duration.Duration }))
        stopIdle = timers.schedule(millis, () => look(millis))
      }
      if (idle !== undefined) look(Duration.toMillis(idle) / looks)

      let stopFirst =
        first === undefined ? () => {} : timers.schedule(first.millis, () => fail(first.late()))
      const heard = () => {
        stopFirst()
        stopFirst = () => {}
      }
      /** Its bytes wait for the channel to take others. */
      let waits = false
      const lookForIt = () => {
        if ((ended.plain || waits) && plain.isResetByPeer()) return lost("ECONNRESET")
        stopGone = timers.schedule(goneMillis, lookForIt)
      }
      let stopGone = timers.schedule(goneMillis, lookForIt)
      const stopAll = () => {
        stopIdle()
        stopHold()
        stopFirst()
        stopGone()
      }

      flow.start({
        item: (item) => {
          if (over) return
          heard()
          const error = judge?.(item)
          if (error !== undefined) fail(error)
          else if (item instanceof Uint8Array) toPlain(item)
          else if (judge === undefined)
            fail(new ChannelTampered({ peer: channel.peer, detail: "an unexpected message" }))
        },
        drained: () => {
          waits = false
          if (!over) plain.resume()
        },
        end: () => {
          const error = over ? undefined : judge?.(undefined)
          if (error !== undefined) fail(error)
          if (over) return
          ended.channel = true
          plain.end()
        },
        closed: (why) => {
          // Both have said all: how the channel then goes tells nothing more.
          if (!(ended.channel && (ended.plain || untilPeerEnds))) fail(why)
        }
      })
      if (over) return undefined
      plain.start({
        bytes: (bytes) => {
          if (over) return
          moves = true
          untouched = false
          moved.toChannel(bytes.length)
          if (flow.write(bytes, () => plain.release(bytes))) return
          waits = true
          plain.pause()
        },
        drained: () => {
          stopped.full = false
          take()
        },
        end: () => {
          if (over) return
          ended.plain = true
          flow.end()
        },
        lost
      })
      return Effect.sync(() => {
        if (over) return
        over = true
        stopAll()
        plain.reset()
      })
    })
  )

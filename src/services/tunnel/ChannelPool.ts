// The channels of a tunnel's near end: some kept ready, so that a connection waits for no handshake; and made again when the server
// was away. TUNNEL.md section 2.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { Control, type Channel } from "../../channel/Channel.ts"
import { ChannelClosed, ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import { awaitAtMost } from "../../transports/Deadline.ts"
import type { SessionError } from "../Service.ts"
import { decode } from "./Messages.ts"

/** Every bound of a pool, by name. */
export const limits = {
  /** Channels kept ready. */
  ready: 2,
  /** The most that may be asked for. */
  mostReady: 64,
  /** Channels that are being made at once. */
  opening: 32,
  /** The pause after a failure, in milliseconds; it doubles, and a random part of it is left out. */
  firstPause: 100,
  longestPause: 5000,
  /** How long after one was taken another is made, while there are more. */
  refillMillis: 20,
  /** How long a connection waits for a channel. */
  patience: "10 seconds",
  /** The time of day is looked at so often; when it has jumped by more than `slept`, the machine has slept, and nothing that was ready is. */
  beatMillis: 5000,
  sleptMillis: 20_000,
  /** How long the end waits for channels that are not needed any more to close in good order. */
  closing: "6 seconds"
} as const

/** There was no channel for a connection in time. */
export class NoChannel extends Data.TaggedError("NoChannel")<{ readonly reason: string }> {
  override get message(): string {
    return `no channel in time: ${this.reason}`
  }
}

/** A channel that the server has offered a target on, for one connection. */
export interface Lease {
  readonly channel: Channel
  /** Ends it: in good order, or saying that it failed. */
  readonly leave: (failed: boolean) => void
}

interface Member extends Lease {
  readonly taken: Deferred.Deferred<void>
}

/** Runs one session: connects, uses the channel, ends it. */
export type Open<E, R> = (
  use: (channel: Channel) => Effect.Effect<void, ChannelError>
) => Effect.Effect<void, E | ChannelError, R>

/** How many channels are kept ready, and to where. */
export interface ChannelPoolOptions<E, R> {
  readonly open: Open<E, R>
  readonly size?: number
  /** How long a connection waits for a channel. Default: `limits.patience`. */
  readonly patience?: Duration.DurationInput
  /** Told when channels can no longer be had, once, and when they can again. */
  readonly onAway?: (error: E | ChannelError) => Effect.Effect<void>
  /** They can be had again. */
  readonly onBack?: () => Effect.Effect<void>
}

/** Channels that are kept ready. */
export interface ChannelPool<E> {
  /** Done when the first channel was offered; or how the first attempt failed. */
  readonly first: Effect.Effect<void, E | ChannelError>
  readonly take: Effect.Effect<Lease, NoChannel>
  /** One that was not ready before: for a connection whose channel had gone. */
  readonly takeNew: Effect.Effect<Lease, NoChannel>
  /** Channels that wait to be used. */
  readonly ready: () => number
}

/** With the scope: no more are made, and those that nobody uses are closed. */
export const make = <E extends SessionError, R>({
  open,
  size = limits.ready,
  patience = limits.patience,
  onAway = () => Effect.void,
  onBack = () => Effect.void
}: ChannelPoolOptions<E, R>): Effect.Effect<ChannelPool<E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<R>()
    const timers = yield* Timers.current
    const first = Deferred.unsafeMake<void, E | ChannelError>(FiberId.none)
    const ready: Array<Member> = []
    const waiting = new Set<(member: Member) => void>()
    const attempts = new Set<Fiber.RuntimeFiber<void>>()
    const closed = yield* Deferred.make<void>()
    let stopped = false
    let opening = 0
    /** How it failed last, until it works again. */
    let away: E | ChannelError | undefined
    let told = false
    let pause: number = limits.firstPause
    let stopPause: (() => void) | undefined

    const run = (effect: Effect.Effect<void, never, R>) => Runtime.runFork(runtime)(effect)

    /** As many attempts as are wanted; after a failure one at a time. */
    const fill = () => {
      const wanted = size + waiting.size - ready.length
      const most = Math.min(wanted, away === undefined ? limits.opening : 1)
      while (!stopped && stopPause === undefined && opening < most) attempt()
    }

    const attempt = () => {
      opening++
      let offered = false
      const standing = (channel: Channel) =>
        Effect.gen(function* () {
          yield* untilOffered(channel)
          offered = true
          opening--
          const member = yield* memberOf(channel)
          yield* works
          hand(member)
          fill()
          // While it waits: an end is noticed, and the next takes its place.
          yield* Effect.raceFirst(Deferred.await(member.taken), spoken(channel))
          if (yield* Deferred.await(member.left)) yield* channel.setCloseReason("Failed")
        }).pipe(Effect.ensuring(Effect.sync(() => forget(channel))))
      const fiber = run(
        // Not before this function is done: an attempt may fail at once.
        Effect.zipRight(Effect.yieldNow(), open(standing)).pipe(
          Effect.catchAll((error) => fails(error, offered)),
          Effect.ensuring(
            Effect.sync(() => {
              if (!offered) opening--
              attempts.delete(fiber)
              if (stopped && attempts.size === 0) Deferred.unsafeDone(closed, Effect.void)
              fill()
            })
          )
        )
      )
      attempts.add(fiber)
    }

    const works = Effect.suspend(() => {
      const before = told
      away = undefined
      told = false
      pause = limits.firstPause
      Deferred.unsafeDone(first, Effect.void)
      return before ? onBack() : Effect.void
    })

    const fails = (error: E | ChannelError, offered: boolean) =>
      Effect.suspend(() => {
        Deferred.unsafeDone(first, Effect.fail(error))
        // A server that goes closes what it had ready: the next attempt tells whether it is away.
        if (stopped || offered) return Effect.void
        // While one is ready it is no news: the rules may allow no more at once.
        const news = !told && ready.length === 0
        told ||= news
        away = error
        const millis = pause * (0.5 + Math.random() / 2)
        pause = Math.min(2 * pause, limits.longestPause)
        stopPause ??= timers.schedule(millis, () => {
          stopPause = undefined
          fill()
        })
        return news ? onAway(error) : Effect.void
      })

    const hand = (member: Member) => {
      const [next] = waiting
      if (next !== undefined) next(member)
      // One that nobody wants has shown that the server is there.
      else if (stopped || ready.length >= size) member.leave(false)
      else {
        ready.push(member)
        member.channel.keepAlive(true)
      }
    }

    const forget = (channel: Channel) => {
      const at = ready.findIndex((member) => member.channel === channel)
      if (at >= 0) ready.splice(at, 1)
    }

    /** The handshake of the next must not delay the first byte of this one, while there are others. */
    const refill = () => {
      if (ready.length === 0) return void fill()
      stopRefill ??= timers.schedule(limits.refillMillis, () => {
        stopRefill = undefined
        fill()
      })
    }
    let stopRefill: (() => void) | undefined

    let beat = timers.now
    /** What was ready before a sleep is no more: the other end may have forgotten it, and no timer of ours ran meanwhile. */
    const lookAtTheTime = () => {
      const now = timers.now
      if (Math.abs(now - beat) > limits.sleptMillis)
        for (const { leave } of ready.splice(0)) leave(true)
      beat = now
    }
    const beats = () => {
      lookAtTheTime()
      stopBeat = timers.schedule(limits.beatMillis, beats)
    }
    let stopBeat = timers.schedule(limits.beatMillis, beats)

    const lease = (ofThoseReady: boolean): Effect.Effect<Lease, NoChannel> =>
      Effect.async((resume) => {
        lookAtTheTime()
        // The newest: it is the likeliest to stand.
        const member = ofThoseReady ? ready.pop() : undefined
        if (member !== undefined) {
          member.channel.keepAlive(false)
          Deferred.unsafeDone(member.taken, Effect.void)
          resume(Effect.succeed(member))
          return refill()
        }
        const stop = () => {
          stopTimer()
          waiting.delete(got)
        }
        const got = (one: Member) => {
          stop()
          Deferred.unsafeDone(one.taken, Effect.void)
          resume(Effect.succeed(one))
        }
        const stopTimer = timers.schedule(Duration.toMillis(patience), () => {
          stop()
          resume(new NoChannel({ reason: away?.message ?? "the server does not answer" }))
        })
        waiting.add(got)
        fill()
        return Effect.sync(stop)
      })

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        stopped = true
        stopPause?.()
        stopRefill?.()
        stopBeat()
        for (const { leave } of ready.splice(0)) leave(false)
        if (attempts.size === 0) return Effect.void
        return Effect.zipRight(awaitAtMost(closed, limits.closing), Fiber.interruptAll(attempts))
      })
    )
    // One: it may show that no other is worth the try.
    attempt()
    return {
      first: Deferred.await(first),
      take: lease(true),
      takeNew: lease(false),
      ready: () => ready.length
    }
  })

const memberOf = (channel: Channel) =>
  Effect.gen(function* () {
    const taken = yield* Deferred.make<void>()
    /** Whether its use failed. */
    const left = yield* Deferred.make<boolean>()
    const leave = (failed: boolean) => {
      Deferred.unsafeDone(taken, Effect.void)
      Deferred.unsafeDone(left, Effect.succeed(failed))
    }
    return { channel, taken, left, leave }
  })

/** The server allows what the channel is for. */
export const untilOffered = (channel: Channel): Effect.Effect<void, ChannelError> =>
  Effect.flatMap(channel.read, (item): Effect.Effect<void, ChannelError> =>
    item instanceof Control && decode(item.body) === "offered"
      ? Effect.void
      : item === undefined
        ? new ChannelClosed({ peer: channel.peer, reason: "before it offered the tunnel" })
        : new ChannelTampered({ peer: channel.peer, detail: "something else than an offer" })
  )

/** A server says nothing on a channel that is not used yet, but that it goes. */
const spoken = (channel: Channel): Effect.Effect<never, ChannelError> =>
  Effect.flatMap(channel.read, (item): Effect.Effect<never, ChannelError> =>
    item === undefined
      ? new ChannelClosed({ peer: channel.peer, reason: "before it was needed" })
      : new ChannelTampered({ peer: channel.peer, detail: "something before go" })
  )

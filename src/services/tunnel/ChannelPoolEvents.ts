// The states, events and actions of a ChannelPool, and its limits. ChannelPoolState.ts relates them.
import type * as Data from "effect/Data"

/** Every limit of a pool, by name. */
export const limits = {
  /** Default number of channels kept ready. */
  ready: 2,
  /**
   * Largest number of channels that may be kept ready, those included that have carried a
   * connection.
   */
  maxReady: 64,
  /** Maximum number of channels being opened at once. */
  maxOpening: 32,
  /** Pause after the first failure, in milliseconds. It doubles with each further failure. */
  minBackoffMillis: 100,
  maxBackoffMillis: 5000,
  /**
   * Delay between the use of a ready channel and the opening of its replacement, in milliseconds,
   * while other channels are ready: the replacement's handshake would delay the first byte.
   */
  refillMillis: 20,
  /**
   * Age in milliseconds from which on a channel carries no further connection: it bounds how much
   * one pair of keys has sealed. The server's limit is the same.
   */
  reuseMillis: 120_000,
  /** Longest wait for the server to offer a channel again, in milliseconds. */
  returnMillis: 15_000,
  /** Longest wait of a connection for a channel. */
  takeTimeout: "10 seconds",
  /** Longest wait of a check whether the server offers channels. */
  checkTimeout: "1500 millis",
  /** Interval at which the wall clock is checked, in milliseconds. */
  clockCheckMillis: 5000,
  /** A larger step of the wall clock between two checks means that the machine was suspended. */
  clockJumpMillis: 20_000,
  /** Longest wait for channels to close at the end of the pool. */
  closeTimeout: "6 seconds"
} as const

/**
 * The phases of a pool.
 *
 * - `Available`: the last attempt succeeded, or none has ended yet.
 * - `BackingOff`: an attempt failed; no attempt starts until the pause has elapsed.
 * - `Probing`: the pause has elapsed; attempts run one at a time until one succeeds.
 * - `Closed`: no attempt starts and no channel is kept ready.
 */
export type Phase = "Available" | "BackingOff" | "Probing" | "Closed"

/** Maximum number of channels being opened at once, in each phase. */
export const maxOpening: Readonly<Record<Phase, number>> = {
  Available: limits.maxOpening,
  BackingOff: 0,
  Probing: 1,
  Closed: 0
}

/** Identifies a channel, from the attempt to open it until its session has ended. */
export type ChannelId = number

/** Identifies a connection that waits for a channel. */
export type WaiterId = number

export interface PoolState<E> {
  readonly phase: Phase
  /** Number of channels to keep ready. */
  readonly size: number
  /** Channels being opened. */
  readonly opening: ReadonlyArray<ChannelId>
  /** Channels that the server has offered and nobody uses, oldest first. */
  readonly ready: ReadonlyArray<ChannelId>
  /** Channels whose connection is over, and which the server has not offered again. */
  readonly returning: ReadonlyArray<ChannelId>
  /** The smallest number of ready channels since the last check of the clock. */
  readonly leastReady: number
  /** Connections without a channel, oldest first. */
  readonly waiting: ReadonlyArray<WaiterId>
  /** Failures since the last success. */
  readonly failures: number
  /** Error of the last attempt; undefined after a success. */
  readonly lastError: E | undefined
  /** True from `ReportUnavailable` to `ReportAvailable`. */
  readonly reportedUnavailable: boolean
  readonly refillScheduled: boolean
  /** Wall-clock time of the last check, in milliseconds since 1970. */
  readonly checkedAt: number
  readonly nextId: ChannelId
}

export type PoolEvent<E> = Data.TaggedEnum<{
  /** The pool starts with one attempt: its failure may show that further ones are pointless. */
  Started: {}
  /** The server has offered the channel, for the first time or again. */
  Offered: {
    readonly id: ChannelId
    /** The channel carries several connections, and is worth keeping. Default: false. */
    readonly isReused?: boolean
  }
  /** The connection of a channel is over, and the server may offer the channel again. */
  Returned: { readonly id: ChannelId }
  /** The channel is too old for another connection, or the server does not offer it again. */
  Expired: { readonly id: ChannelId }
  /** The channel was not opened, or it was lost later. */
  Failed: { readonly id: ChannelId; readonly error: E }
  /** The channel was lost or its use is over; its session is closing. */
  Released: { readonly id: ChannelId }
  /** The channel's session is over. Follows `Failed` and `Released`. */
  Ended: { readonly id: ChannelId }
  BackoffElapsed: {}
  RefillDue: {}
  /** A connection needs a channel; with `fresh`, one that was not ready before. */
  Taken: { readonly waiter: WaiterId; readonly fresh: boolean; readonly now: number }
  /** The connection has waited for `takeTimeout`. */
  TimedOut: { readonly waiter: WaiterId }
  /** The connection was lost while it waited. */
  Cancelled: { readonly waiter: WaiterId }
  ClockChecked: { readonly now: number }
  ScopeClosed: {}
}>

export type PoolAction<E> = Data.TaggedEnum<{
  /** Starts to open a channel. */
  Open: { readonly id: ChannelId }
  /** Gives a channel to the connection that waits for it. */
  Lend: { readonly id: ChannelId; readonly waiter: WaiterId; readonly wasReady: boolean }
  /** Keeps a channel ready, with frequent keepalives. */
  Keep: { readonly id: ChannelId }
  /** Closes a channel that nobody uses: in good order, or as failed. */
  Discard: { readonly id: ChannelId; readonly failed: boolean }
  /** Ends the wait of a connection without a channel. */
  Refuse: { readonly waiter: WaiterId; readonly error: E | undefined }
  /** Sends `BackoffElapsed` after a random time of `millis / 2` to `millis`. */
  BackOff: { readonly millis: number }
  /** Sends `RefillDue` after `refillMillis`. */
  ScheduleRefill: {}
  /** No channel can be opened and none is ready. Sent once per outage. */
  ReportUnavailable: { readonly error: E }
  /** Channels can be opened again. Follows `ReportUnavailable`. */
  ReportAvailable: {}
  /** Stops all timers of the pool. */
  StopTimers: {}
}>

/** The next state, and the actions to perform in this order. */
export interface Step<E> {
  readonly state: PoolState<E>
  readonly actions: ReadonlyArray<PoolAction<E>>
}

export const initial = <E>(size: number, now: number): PoolState<E> => ({
  phase: "Available",
  size,
  opening: [],
  ready: [],
  returning: [],
  leastReady: 0,
  waiting: [],
  failures: 0,
  lastError: undefined,
  reportedUnavailable: false,
  refillScheduled: false,
  checkedAt: now,
  nextId: 0
})

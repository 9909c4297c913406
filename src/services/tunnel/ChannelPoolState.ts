// The state machine of a ChannelPool: (state, event) -> (state, actions). No I/O, no clock, no
// Effect; ChannelPool.ts performs the actions.
import type * as Data from "effect/Data"

/** Every limit of a pool, by name. */
export const limits = {
  /** Default number of channels kept ready. */
  ready: 2,
  /** Largest number of channels that may be kept ready. */
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
  /** The server has offered the channel. */
  Offered: { readonly id: ChannelId }
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
  waiting: [],
  failures: 0,
  lastError: undefined,
  reportedUnavailable: false,
  refillScheduled: false,
  checkedAt: now,
  nextId: 0
})

export const transition = <E>(state: PoolState<E>, event: PoolEvent<E>): Step<E> => {
  const handler = table[state.phase][event._tag] as Transition<PoolEvent<unknown>>
  return handler(state, event) as Step<E>
}

type Transition<Event> = (state: PoolState<unknown>, event: Event) => Step<unknown>
type EventOf<Tag extends PoolEvent<unknown>["_tag"]> = Extract<
  PoolEvent<unknown>,
  { readonly _tag: Tag }
>
type Row = { readonly [Tag in PoolEvent<unknown>["_tag"]]: Transition<EventOf<Tag>> }

/** No transition: the event is impossible in this phase, or changes nothing. */
const ignore: Transition<unknown> = (state) => ({ state, actions: [] })

const andThen = (
  first: Step<unknown>,
  next: (state: PoolState<unknown>) => Step<unknown>
): Step<unknown> => {
  const { state, actions } = next(first.state)
  return { state, actions: [...first.actions, ...actions] }
}

/** Opens `count` channels. */
const open = (state: PoolState<unknown>, count: number): Step<unknown> => {
  const ids = Array.from({ length: Math.max(0, count) }, (_, index) => state.nextId + index)
  return {
    state: { ...state, opening: [...state.opening, ...ids], nextId: state.nextId + ids.length },
    actions: ids.map((id) => ({ _tag: "Open", id }))
  }
}

/** Opens the channels that are wanted, as many at once as the phase allows. */
const fill = (state: PoolState<unknown>): Step<unknown> => {
  const { phase, size, opening, ready, waiting } = state
  const wanted = size + waiting.length - ready.length
  return open(state, Math.min(wanted, maxOpening[phase]) - opening.length)
}

/** Keeps the channel, lends it to the first that waits, or discards it when nobody needs it. */
const place = (state: PoolState<unknown>, id: ChannelId): Step<unknown> => {
  const [waiter, ...waiting] = state.waiting
  if (waiter !== undefined)
    return {
      state: { ...state, waiting },
      actions: [{ _tag: "Lend", id, waiter, wasReady: false }]
    }
  if (state.phase === "Closed" || state.ready.length >= state.size)
    return { state, actions: [{ _tag: "Discard", id, failed: false }] }
  return {
    state: { ...state, ready: [...state.ready, id] },
    actions: [{ _tag: "Keep", id }]
  }
}

const succeed =
  (phase: Phase): Transition<EventOf<"Offered">> =>
  (state, { id }) => {
    if (!state.opening.includes(id)) return ignore(state, undefined)
    const next: PoolState<unknown> = {
      ...state,
      phase,
      opening: state.opening.filter((other) => other !== id),
      failures: 0,
      lastError: undefined,
      reportedUnavailable: false
    }
    const actions: ReadonlyArray<PoolAction<unknown>> = state.reportedUnavailable
      ? [{ _tag: "ReportAvailable" }]
      : []
    return andThen(
      andThen({ state: next, actions }, (state) => place(state, id)),
      fill
    )
  }

const fail: Transition<EventOf<"Failed">> = (state, { id, error }) => {
  // A server that stops closes its ready channels: the next attempt shows whether it is reachable.
  if (!state.opening.includes(id)) return ignore(state, undefined)
  // With a channel ready the server is reachable: its rules may allow no further connection.
  const unavailable = !state.reportedUnavailable && state.ready.length === 0
  const millis = Math.min(limits.minBackoffMillis * 2 ** state.failures, limits.maxBackoffMillis)
  const actions: Array<PoolAction<unknown>> = []
  if (state.phase !== "BackingOff") actions.push({ _tag: "BackOff", millis })
  if (unavailable) actions.push({ _tag: "ReportUnavailable", error })
  return {
    state: {
      ...state,
      phase: "BackingOff",
      opening: state.opening.filter((other) => other !== id),
      failures: state.failures + 1,
      lastError: error,
      reportedUnavailable: state.reportedUnavailable || unavailable
    },
    actions
  }
}

/** The replacement is not opened before `Ended`: the channel still counts in the peer's rules. */
const release: Transition<{ readonly id: ChannelId }> = (state, { id }) => ({
  state: { ...state, ready: state.ready.filter((other) => other !== id) },
  actions: []
})

const end: Transition<{ readonly id: ChannelId }> = (state, { id }) =>
  fill({ ...state, opening: state.opening.filter((other) => other !== id) })

const resume: Transition<EventOf<"BackoffElapsed">> = (state) =>
  fill({ ...state, phase: state.lastError === undefined ? "Available" : "Probing" })

const refill: Transition<EventOf<"RefillDue">> = (state) =>
  fill({ ...state, refillScheduled: false })

/**
 * Discards all ready channels after the machine was suspended: the peer may have dropped them, and
 * no keepalive timer has run meanwhile.
 */
const checkClock: Transition<{ readonly now: number }> = (state, { now }) =>
  Math.abs(now - state.checkedAt) > limits.clockJumpMillis
    ? {
        state: { ...state, ready: [], checkedAt: now },
        actions: state.ready.map((id) => ({ _tag: "Discard", id, failed: true }))
      }
    : { state: { ...state, checkedAt: now }, actions: [] }

const take: Transition<EventOf<"Taken">> = (state, { waiter, fresh, now }) =>
  andThen(checkClock(state, { now }), (state) => {
    // The newest channel is the one most likely to be alive.
    const id = fresh ? undefined : state.ready.at(-1)
    if (id === undefined) return fill({ ...state, waiting: [...state.waiting, waiter] })
    const lent: Step<unknown> = {
      state: { ...state, ready: state.ready.slice(0, -1) },
      actions: [{ _tag: "Lend", id, waiter, wasReady: true }]
    }
    if (lent.state.ready.length === 0) return andThen(lent, fill)
    if (lent.state.refillScheduled) return lent
    return andThen(lent, (state) => ({
      state: { ...state, refillScheduled: true },
      actions: [{ _tag: "ScheduleRefill" }]
    }))
  })

const cancel: Transition<EventOf<"Cancelled">> = (state, { waiter }) => ({
  state: { ...state, waiting: state.waiting.filter((other) => other !== waiter) },
  actions: []
})

const timeOut: Transition<EventOf<"TimedOut">> = (state, { waiter }) =>
  state.waiting.includes(waiter)
    ? andThen(cancel(state, { _tag: "Cancelled", waiter }), (state) => ({
        state,
        actions: [{ _tag: "Refuse", waiter, error: state.lastError }]
      }))
    : ignore(state, undefined)

const close: Transition<EventOf<"ScopeClosed">> = (state) => ({
  state: { ...state, phase: "Closed", ready: [], refillScheduled: false },
  actions: [
    { _tag: "StopTimers" },
    ...state.ready.map((id): PoolAction<unknown> => ({ _tag: "Discard", id, failed: false }))
  ]
})

const available: Row = {
  Started: (state) => open(state, 1),
  Offered: succeed("Available"),
  Failed: fail,
  Released: release,
  Ended: end,
  BackoffElapsed: ignore,
  RefillDue: refill,
  Taken: take,
  TimedOut: timeOut,
  Cancelled: cancel,
  ClockChecked: checkClock,
  ScopeClosed: close
}

/** Each phase as it differs from `Available`; `maxOpening` is the other difference. */
const table: Readonly<Record<Phase, Row>> = {
  Available: available,
  BackingOff: {
    ...available,
    Started: ignore,
    // The pause goes on: other attempts have failed, perhaps by the server's rules.
    Offered: succeed("BackingOff"),
    BackoffElapsed: resume
  },
  Probing: { ...available, Started: ignore },
  Closed: {
    ...available,
    Started: ignore,
    // A connection that was accepted before the end still gets a channel that was being opened.
    Offered: succeed("Closed"),
    Failed: end,
    RefillDue: ignore,
    ClockChecked: ignore,
    ScopeClosed: ignore
  }
}

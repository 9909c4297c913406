// The state machine of a ChannelPool: (state, event) -> (state, actions). No I/O, no clock, no
// Effect; ChannelPool.ts performs the actions.
import {
  limits,
  maxOpening,
  type ChannelId,
  type Phase,
  type PoolAction,
  type PoolEvent,
  type PoolState,
  type Step
} from "./ChannelPoolEvents.ts"

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

const without = (ids: ReadonlyArray<ChannelId>, id: ChannelId): ReadonlyArray<ChannelId> =>
  ids.filter((other) => other !== id)

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

/**
 * Opens the channels that are wanted, as many at once as the phase allows, and at least `least`.
 * Channels that the server is about to offer again need no replacement.
 */
const fill = (state: PoolState<unknown>, least = 0): Step<unknown> => {
  const { phase, size, opening, ready, returning, waiting } = state
  const wanted = Math.max(least, size + waiting.length - ready.length - returning.length)
  return open(state, Math.min(wanted, maxOpening[phase]) - opening.length)
}

/** Removes channels from those that are ready. */
const unready = (
  state: PoolState<unknown>,
  isRemoved: (id: ChannelId, index: number) => boolean
): PoolState<unknown> => {
  const ready = state.ready.filter((id, index) => !isRemoved(id, index))
  return { ...state, ready, leastReady: Math.min(state.leastReady, ready.length) }
}

/** Discards ready channels. */
const discard = (
  state: PoolState<unknown>,
  isDiscarded: (id: ChannelId, index: number) => boolean,
  failed = false
): Step<unknown> => ({
  state: unready(state, isDiscarded),
  actions: state.ready.filter(isDiscarded).map((id) => ({ _tag: "Discard", id, failed }))
})

const scheduleRefill = (state: PoolState<unknown>): Step<unknown> =>
  state.refillScheduled
    ? { state, actions: [] }
    : { state: { ...state, refillScheduled: true }, actions: [{ _tag: "ScheduleRefill" }] }

/** Keeps the channel, lends it to the first that waits, or discards it when nobody needs it. */
const place = (
  state: PoolState<unknown>,
  { id, isReused = false }: Omit<EventOf<"Offered">, "_tag">
): Step<unknown> => {
  const [waiter, ...waiting] = state.waiting
  if (waiter !== undefined)
    return {
      state: { ...state, waiting },
      actions: [{ _tag: "Lend", id, waiter, wasReady: false }]
    }
  const room = isReused && state.size > 0 ? limits.maxReady : state.size
  if (state.phase === "Closed" || state.ready.length >= room)
    return { state, actions: [{ _tag: "Discard", id, failed: false }] }
  return {
    state: { ...state, ready: [...state.ready, id] },
    actions: [{ _tag: "Keep", id }]
  }
}

const succeed =
  (phase: Phase): Transition<EventOf<"Offered">> =>
  (state, { id, isReused = false }) => {
    if (state.returning.includes(id))
      return place({ ...state, returning: without(state.returning, id) }, { id, isReused })
    if (!state.opening.includes(id)) return ignore(state, undefined)
    const next: PoolState<unknown> = {
      ...state,
      phase,
      opening: without(state.opening, id),
      failures: 0,
      lastError: undefined,
      reportedUnavailable: false
    }
    const actions: ReadonlyArray<PoolAction<unknown>> = state.reportedUnavailable
      ? [{ _tag: "ReportAvailable" }]
      : []
    return andThen(
      andThen({ state: next, actions }, (state) => place(state, { id, isReused })),
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
      opening: without(state.opening, id),
      failures: state.failures + 1,
      lastError: error,
      reportedUnavailable: state.reportedUnavailable || unavailable
    },
    actions
  }
}

/** The replacement is not opened before `Ended`: the channel still counts in the peer's rules. */
const release: Transition<{ readonly id: ChannelId }> = (state, { id }) => ({
  state: {
    ...unready(state, (other) => other === id),
    returning: without(state.returning, id)
  },
  actions: []
})

const end: Transition<{ readonly id: ChannelId }> = (state, { id }) =>
  fill({ ...state, opening: without(state.opening, id) })

const giveBack: Transition<EventOf<"Returned">> = (state, { id }) => ({
  state: { ...state, returning: [...state.returning, id] },
  actions: []
})

/** A channel that is in use expires when its connection is over. */
const expire: Transition<EventOf<"Expired">> = (state, { id }) =>
  state.returning.includes(id)
    ? {
        state: { ...state, returning: without(state.returning, id) },
        actions: [{ _tag: "Discard", id, failed: false }]
      }
    : discard(state, (other) => other === id)

const resume: Transition<EventOf<"BackoffElapsed">> = (state) =>
  fill({ ...state, phase: state.lastError === undefined ? "Available" : "Probing" })

/** Whoever still waits for a channel that was to be offered again gets a new one. */
const refill: Transition<EventOf<"RefillDue">> = (state) =>
  fill({ ...state, refillScheduled: false }, state.waiting.length)

/**
 * Discards all ready channels after the machine was suspended: the peer may have dropped them, and
 * no keepalive timer has run meanwhile.
 */
const checkClock: Transition<{ readonly now: number }> = (state, { now }) =>
  Math.abs(now - state.checkedAt) > limits.clockJumpMillis
    ? discard({ ...state, checkedAt: now }, () => true, true)
    : { state: { ...state, checkedAt: now }, actions: [] }

/** Discards the channels, the oldest first, that nobody has needed since the last check. */
const trim = (state: PoolState<unknown>): Step<unknown> => {
  const surplus = state.leastReady - state.size
  const { state: next, actions } = discard(state, (_, index) => index < surplus)
  return { state: { ...next, leastReady: next.ready.length }, actions }
}

const tick: Transition<EventOf<"ClockChecked">> = (state, event) =>
  andThen(checkClock(state, event), trim)

const take: Transition<EventOf<"Taken">> = (state, { waiter, fresh, now }) =>
  andThen(checkClock(state, { now }), (state) => {
    // The newest channel is the one most likely to be alive.
    const id = fresh ? undefined : state.ready.at(-1)
    if (id === undefined) {
      const filled = fill({ ...state, waiting: [...state.waiting, waiter] })
      return state.returning.length === 0 ? filled : andThen(filled, scheduleRefill)
    }
    const lent: Step<unknown> = {
      state: unready(state, (other) => other === id),
      actions: [{ _tag: "Lend", id, waiter, wasReady: true }]
    }
    return andThen(lent, lent.state.ready.length === 0 ? fill : scheduleRefill)
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
  state: {
    ...state,
    phase: "Closed",
    ready: [],
    returning: [],
    leastReady: 0,
    refillScheduled: false
  },
  actions: [
    { _tag: "StopTimers" },
    ...[...state.ready, ...state.returning].map((id): PoolAction<unknown> => ({
      _tag: "Discard",
      id,
      failed: false
    }))
  ]
})

const available: Row = {
  Started: (state) => open(state, 1),
  Offered: succeed("Available"),
  Failed: fail,
  Returned: giveBack,
  Expired: expire,
  Released: release,
  Ended: end,
  BackoffElapsed: ignore,
  RefillDue: refill,
  Taken: take,
  TimedOut: timeOut,
  Cancelled: cancel,
  ClockChecked: tick,
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
    Returned: (state, { id }) => ({ state, actions: [{ _tag: "Discard", id, failed: false }] }),
    Expired: ignore,
    RefillDue: ignore,
    ClockChecked: ignore,
    ScopeClosed: ignore
  }
}

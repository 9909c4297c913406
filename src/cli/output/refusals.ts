// Events about what a listener refused. Anybody can cause them, as often as the network allows: each
// source and reason has one event at once, and then one per interval with their number. So has each
// of the first keys of a source: behind one address, a stranger must not hide a new client's key.
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { sourceOf } from "../../transports/AdmissionControl.ts"
import { Repeats } from "../../transports/Repeats.ts"
import { Timers } from "../../transports/Timers.ts"
import { Event } from "./events/index.ts"
import { KeysBySource } from "./KeysBySource.ts"

/** The place of the addresses that are not told apart while the table of them is full. */
const others = "other addresses"

interface RefusalOptions<R> {
  /** Network address that was refused. */
  readonly from: (refused: R) => string
  /** Returns the reason; refusals of one source with the same reason are counted together. */
  readonly reason: (refused: R) => string
  /** The key that the client has shown. */
  readonly publicKey?: (refused: R) => Uint8Array | undefined
  /**
   * Emits `count` refusals; `from` is the address of one, and the source of several. `sameKey`: all
   * of them have shown the key of `refused`.
   */
  readonly emit: (refused: R, from: string, count: number, sameKey: boolean) => Effect.Effect<void>
}

/** Returns a function that emits the first refusal of each source and reason, and counts others. */
export const countRepeats = <R>({
  from,
  reason,
  publicKey,
  emit
}: RefusalOptions<R>): Effect.Effect<(refused: R) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    interface Counted {
      readonly refused: R
      readonly source: string
      readonly sameKey: boolean
    }
    const keys = yield* Effect.acquireRelease(
      Effect.map(Timers.current, (timers) => new KeysBySource(timers)),
      (opened) => Effect.sync(() => opened.stop())
    )
    const repeats = yield* Effect.acquireRelease(
      Effect.map(
        Timers.current,
        (timers) =>
          new Repeats<Counted>({
            timers,
            onRepeated: ({ refused, source, sameKey }, count) =>
              void Runtime.runFork(runtime)(emit(refused, source, count, sameKey)),
            other: ({ refused }) => ({ refused, source: others, sameKey: false })
          })
      ),
      (opened) => Effect.sync(() => opened.stop())
    )
    return (refused) =>
      Effect.suspend(() => {
        const source = sourceOf(from(refused))
        const shownKey = publicKey?.(refused)
        const key = shownKey === undefined ? "" : Buffer.from(shownKey).toString("latin1")
        const sameKey = key !== "" && keys.selects(source, key)
        const group = `${source}\0${reason(refused)}\0${sameKey ? key : ""}`
        const first = repeats.add(group, { refused, source, sameKey })
        if (first === undefined) return logRefusal(from(refused), reason(refused))
        return emit(refused, first.source === others ? others : from(refused), 1, sameKey)
      })
  })

/** Logs one refusal of many at level debug. */
const logRefusal = (from: string, reason: string) =>
  Effect.logDebug(`refused ${from}: ${reason}`).pipe(
    Effect.annotateLogs({ event: "connection-refused", from, reason })
  )

/** A refused connection, as a listener reports it. */
export interface RefusedConnection {
  readonly from: string
  readonly reason: string
  readonly target?: string
  readonly publicKey?: Uint8Array | undefined
  /** The other side closed it before it had sent a byte, as a health check does. */
  readonly isSilent?: boolean | undefined
}

/** Returns a function for the connections of a listener. A silent one is logged at level debug. */
export const connectionRefusals = (
  emit: (event: Event) => Effect.Effect<void>
): Effect.Effect<(refused: RefusedConnection) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.map(
    countRepeats<RefusedConnection>({
      from: ({ from }) => from,
      reason: ({ reason, target }) => (target === undefined ? reason : `${reason} (${target})`),
      publicKey: ({ publicKey }) => publicKey,
      emit: ({ reason, target, publicKey }, from, count, sameKey) =>
        emit(
          Event.ConnectionRefused({
            from,
            reason,
            count,
            ...(target === undefined ? {} : { target }),
            ...((count === 1 || sameKey) && publicKey !== undefined ? { publicKey } : {})
          })
        )
    }),
    (count) => (refused) =>
      refused.isSilent === true ? logRefusal(refused.from, refused.reason) : count(refused)
  )

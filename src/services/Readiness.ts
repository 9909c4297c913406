// Whether a server or tunnel can do its work now. Its parts are checked when somebody asks.
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { prose } from "../bytes/excerpt.ts"
import { metrics } from "./Metrics.ts"
import type { ServerEvent } from "./Server.ts"

export const limits = {
  /** Longest time of the check of one part. */
  checkTimeout: "2 seconds",
  /** Time for which a result is given again, so that many questions cause one check. */
  cacheTime: "1 second"
} as const

/** A reason why a server is not ready. */
export interface NotReady<Reason extends string> {
  /** One of a few words, for a label of a metric. */
  readonly reason: Reason
  /** One line for a person. */
  readonly text: string
}

/** A part that the server depends on. */
export interface Part<Reason extends string> {
  /** The name of the part at the start of the line: "inbox". */
  readonly name: string
  /** Fails with the reason while the part cannot do its work. */
  readonly check: Effect.Effect<void, NotReady<Reason>>
  /** The reason when the check takes longer than `limits.checkTimeout`. */
  readonly whenSilent: Reason
}

/** Reasons of the server itself. */
export type Phase = "starting" | "stopping"

/** The parts of a server, from its start to its end. */
export class Readiness<Reason extends string> {
  readonly #parts: Array<Part<Reason>> = []
  /** Listeners that have not started yet. */
  #starting: number
  #isStopping = false

  /** It is ready when so many listeners have started. */
  constructor(listeners: number) {
    this.#starting = listeners
  }

  add(part: Part<Reason>): void {
    this.#parts.push(part)
  }

  /** Records an event of the server: its start, and that it accepts no new work. */
  record({ _tag }: Pick<ServerEvent, "_tag">): void {
    if (_tag === "Listening") this.#starting--
    if (_tag === "Stopping") this.#isStopping = true
  }

  /**
   * Makes the question whether the server is ready; no reasons mean yes. The parts are checked at
   * the same time.
   */
  readonly make: Effect.Effect<Effect.Effect<ReadonlyArray<NotReady<Reason | Phase>>>> =
    Effect.suspend(() => {
      const cached = Effect.cachedWithTTL(
        Effect.suspend(() => this.#check),
        limits.cacheTime
      )
      return Effect.map(cached, (parts) =>
        Effect.suspend((): Effect.Effect<ReadonlyArray<NotReady<Reason | Phase>>> => {
          // Not cached: a balancer must learn it at once.
          const phase = this.#isStopping ? "stopping" : this.#starting > 0 ? "starting" : undefined
          return phase === undefined
            ? parts
            : Effect.succeed([{ reason: phase, text: `it is ${phase}` }])
        }).pipe(
          Effect.tap((reasons) => Effect.sync(() => metrics.up.set(reasons.length === 0 ? 1 : 0)))
        )
      )
    })

  get #check(): Effect.Effect<ReadonlyArray<NotReady<Reason>>> {
    const checks = this.#parts.map(({ name, check, whenSilent }) =>
      Effect.disconnect(check).pipe(
        Effect.timeoutFail({
          duration: limits.checkTimeout,
          onTimeout: () => ({
            reason: whenSilent,
            text: `no answer within ${Duration.format(limits.checkTimeout)}`
          })
        }),
        Effect.match({
          onSuccess: () => [],
          onFailure: ({ reason, text }) => [{ reason, text: `${name}: ${prose(text)}` }]
        })
      )
    )
    return Effect.map(Effect.all(checks, { concurrency: "unbounded" }), (found) => found.flat())
  }
}

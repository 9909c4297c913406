// Work on a long list that lets the event loop run in between: a file of 100,000 peers takes a
// second, in which a server would neither read nor write.
import * as Effect from "effect/Effect"

/** Items that are handled between two turns of the event loop: 250 lines take about 3 ms. */
export const itemsPerTurn = 250

/** Work in steps: it yields where the event loop may run. */
export type Steps<A> = Generator<void, A>

/** Does all steps at once. */
export const atOnce = <A>(steps: Steps<A>): A => {
  for (let next = steps.next(); ; next = steps.next()) if (next.done === true) return next.value
}

/** Does the steps in turns of the event loop. Interruption ends the work after a step. */
export const inTurns = <A>(start: () => Steps<A>): Effect.Effect<A> =>
  Effect.async<A>((resume) => {
    const steps = start()
    let next: NodeJS.Immediate
    const step = () => {
      try {
        const { done, value } = steps.next()
        if (done === true) resume(Effect.succeed(value))
        else next = setImmediate(step)
      } catch (defect) {
        resume(Effect.die(defect))
      }
    }
    step()
    return Effect.sync(() => clearImmediate(next))
  })

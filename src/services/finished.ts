// Effect.map and Effect.mapError for effects that may be finished already, as Effect.void is. Their
// results are then finished too, and whoever runs them needs no fiber.
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Returns the outcome of an effect that needs not be run; undefined for any other. */
export const exitOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? (effect as Exit.Exit<A, E>) : undefined

export const map = <A, B, E, R>(
  effect: Effect.Effect<A, E, R>,
  f: (value: A) => B
): Effect.Effect<B, E, R> => {
  const exit = exitOf(effect)
  return exit === undefined ? Effect.map(effect, f) : Exit.map(exit, f)
}

export const mapError = <A, E, F, R>(
  effect: Effect.Effect<A, E, R>,
  f: (error: E) => F
): Effect.Effect<A, F, R> => {
  const exit = exitOf(effect)
  return exit === undefined ? Effect.mapError(effect, f) : Exit.mapError(exit, f)
}

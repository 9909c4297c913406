// Replaces a function of a module of Node while an effect runs, to observe how it is called: the
// flags of an open file, a moment between two calls.
import { syncBuiltinESMExports } from "node:module"
import * as Effect from "effect/Effect"

/**
 * Runs the effect with `module[name]` replaced; `module` is the default export of a module of Node.
 * Every importer sees the replacement, so tests that use it must not run concurrently.
 */
export const withReplaced = <Module extends object, Name extends keyof Module, A, E, R>(
  module: Module,
  name: Name,
  replace: (original: Module[Name]) => Module[Name],
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const original = module[name]
      module[name] = replace(original)
      syncBuiltinESMExports()
      return original
    }),
    () => effect,
    (original) =>
      Effect.sync(() => {
        module[name] = original
        syncBuiltinESMExports()
      })
  )

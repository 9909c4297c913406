import type * as EffectVitest from "@effect/vitest"

/** What runs the laws: the module `@effect/vitest`, as it is. */
export type Runner = Pick<typeof EffectVitest, "describe" | "expect" | "it">

import type * as EffectVitest from "@effect/vitest"

/** The test runner of the law suites: pass the module `@effect/vitest`. */
export type Runner = Pick<typeof EffectVitest, "describe" | "expect" | "it">

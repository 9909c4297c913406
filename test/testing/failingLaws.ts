// Runs law suites without a test runner, and reports the laws that a subject violates.
import * as EffectVitest from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Scope from "effect/Scope"
import * as TestContext from "effect/TestContext"
import type { Runner } from "../../src/testing/Runner.ts"

interface Law {
  readonly name: string
  readonly run: () => Promise<unknown>
}

type Body = (given?: unknown) => Effect.Effect<unknown, unknown, Scope.Scope>
type Arbitraries = Readonly<Record<string, FastCheck.Arbitrary<unknown>>>
interface PropertyOptions {
  readonly fastCheck?: FastCheck.Parameters<[unknown]>
}

/** Returns the names of the laws that fail, in order. */
export const failingLaws = async (
  define: (runner: Runner) => void
): Promise<ReadonlyArray<string>> => {
  const laws: Array<Law> = []
  const tester = (live: boolean) => {
    const run = (body: Body, given?: unknown) => {
      const effect = Effect.scoped(Effect.suspend(() => body(given)))
      return Effect.runPromise(live ? effect : Effect.provide(effect, TestContext.TestContext))
    }
    const prop = (
      name: string,
      arbitraries: Arbitraries,
      body: Body,
      { fastCheck = {} }: PropertyOptions = {}
    ) =>
      laws.push({
        name,
        run: () =>
          FastCheck.assert(
            FastCheck.asyncProperty(
              FastCheck.record(arbitraries),
              async (given) => void (await run(body, given))
            ),
            fastCheck
          )
      })
    return Object.assign((name: string, body: Body) => laws.push({ name, run: () => run(body) }), {
      prop
    })
  }
  const [effect, live] = [tester(false), tester(true)]
  define({
    expect: EffectVitest.expect,
    describe: (_: string, body: () => void) => body(),
    it: { effect, live, scoped: effect, scopedLive: live }
  } as unknown as Runner)
  const names: Array<string> = []
  for (const { name, run } of laws)
    await run().catch(() => {
      names.push(name)
    })
  return names
}

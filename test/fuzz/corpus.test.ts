// Every kept input of every target, among them each that once failed.
import { expect, it } from "vitest"
import * as Corpus from "./Corpus.ts"
import { limits } from "./limits.ts"
import { runOne } from "./runOne.ts"
import { loadTarget, targetNames } from "./targets/index.ts"

it.each(targetNames)("%s holds for its corpus", async (name) => {
  const target = await loadTarget(name)
  if (target === undefined) throw new Error(`no target ${name}`)
  const inputs = Corpus.read(name)
  const kept = inputs.filter((input) => !Corpus.isFault(input))
  expect(kept.length).toBeGreaterThan(0)
  expect(kept.length).toBeLessThanOrEqual(limits.corpusFiles)
  const failed: Array<string> = []
  const outcomes = new Set<string>()
  for (const { file, bytes } of inputs)
    try {
      outcomes.add(await runOne(target, bytes))
    } catch (cause) {
      failed.push(`${file}: ${String(cause)}`)
    }
  expect(failed).toEqual([])
  // A target that ended every input at the same place would test nothing.
  expect(outcomes.size).toBeGreaterThan(1)
})

it("has no corpus without a target", () => expect(Corpus.names()).toEqual(targetNames.toSorted()))

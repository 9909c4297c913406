// Runs the tests of one mutant after the other in a copy of the repository. One vitest for all of
// them transforms the unchanged files once; every run has a new process for the tests.
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { createVitest } from "vitest/node"
import { mutate, type Mutant } from "./Mutant.ts"

const [copy = ""] = process.argv.slice(2)
process.chdir(copy)
const vitest = await createVitest("test", {
  root: copy,
  watch: false,
  bail: 1,
  reporters: [{}],
  minWorkers: 1,
  maxWorkers: 1
})

/** The test files that are known to pass without a mutant. */
const passing = new Set<string>()

/** Runs a test file; returns true when a test failed. */
const fails = async (test: string): Promise<boolean> => {
  const specifications = await vitest.globTestSpecifications([path.join(copy, test)])
  if (specifications.length === 0) throw new Error(`there is no ${test}`)
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications)
  // vitest returns the modules of earlier runs too.
  const own = testModules.find(({ moduleId }) => moduleId === specifications[0]?.moduleId)
  if (own === undefined) throw new Error(`${test} did not run`)
  return unhandledErrors.length > 0 || !own.ok()
}

/** Runs the tests of the mutant, one file after the other; returns true when one failed. */
const isCaught = async (mutant: Mutant): Promise<boolean> => {
  const file = path.join(copy, mutant.file)
  const source = readFileSync(file, "utf8")
  const write = (text: string) => {
    writeFileSync(file, text)
    vitest.invalidateFile(file)
  }
  write(mutate(source, mutant))
  try {
    for (const test of mutant.tests)
      if (await fails(test)) {
        write(source)
        if (!passing.has(test) && (await fails(test)))
          throw new Error(`${test} fails without a mutant`)
        passing.add(test)
        return true
      }
    return false
  } finally {
    write(source)
  }
}

process.on("message", (mutant: Mutant) => {
  isCaught(mutant).then(
    (caught) => process.send?.({ caught }),
    (error) => process.send?.({ error: String(error) })
  )
})
process.once("disconnect", () => process.exit())

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
  poolOptions: { forks: { minForks: 1, maxForks: 1, isolate: false } }
})

/** Runs the tests of the mutant; returns true when one failed. */
const isCaught = async (mutant: Mutant): Promise<boolean> => {
  const file = path.join(copy, mutant.file)
  const source = readFileSync(file, "utf8")
  writeFileSync(file, mutate(source, mutant))
  vitest.invalidateFile(file)
  try {
    for (const test of mutant.tests) {
      const specifications = await vitest.globTestSpecifications([path.join(copy, test)])
      if (specifications.length === 0) throw new Error(`there is no ${test}`)
      const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications)
      if (unhandledErrors.length > 0 || testModules.some((module) => !module.ok())) return true
    }
    return false
  } finally {
    writeFileSync(file, source)
    vitest.invalidateFile(file)
  }
}

process.on("message", (mutant: Mutant) => {
  isCaught(mutant).then(
    (caught) => process.send?.({ caught }),
    (error) => process.send?.({ error: String(error) })
  )
})
process.once("disconnect", () => process.exit())

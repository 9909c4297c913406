import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { defineConfig } from "vitest/config"

const tests = path.join(import.meta.dirname, "..")

/** The test files that run a sample of their cases in `npm test`. */
const sweeps = readdirSync(tests, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .filter((file) => /fixtures\/sample\.ts"/.test(readFileSync(path.join(tests, file), "utf8")))
  .map((file) => `test/${file}`)

// `npm run test:slow`: tests that take minutes, and the sweeps with all their cases. One worker,
// because they measure memory.
export default defineConfig({
  test: {
    include: ["test/slow/**/*.slow.ts", ...sweeps],
    setupFiles: ["test/fixtures/compareBytes.ts"],
    env: { SEALWIRE_TEST_WHOLE: "1" },
    testTimeout: 900_000,
    hookTimeout: 30_000,
    pool: "forks",
    poolOptions: { forks: { singleFork: true } },
    passWithNoTests: false
  }
})

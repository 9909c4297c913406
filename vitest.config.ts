import { defineConfig } from "vitest/config"

const asked = process.argv.find((arg) => arg.startsWith("--maxWorkers="))
// Many tests wait: on two cores vitest would take one worker.
const workers = asked === undefined ? 4 : Number(asked.split("=")[1])

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/fixtures/compareBytes.ts"],
    // Real sockets, real processes, two cores: generous, and every wait inside a test has its own limit.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    pool: "forks",
    // As many at least as at most: tinypool fails when it removes an idle worker twice.
    minWorkers: workers,
    maxWorkers: workers,
    // The files of one worker share what they import: to load it for each took a quarter of the time.
    poolOptions: { forks: { isolate: false } },
    passWithNoTests: false
  }
})

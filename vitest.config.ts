import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/fixtures/compareBytes.ts"],
    // Real sockets, real processes, two cores: generous, and every wait inside a test has its own limit.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    // Many tests wait: on two cores vitest would take one worker.
    pool: "forks",
    minWorkers: 1,
    maxWorkers: 3,
    // The files of one worker share what they import: to load it for each took a quarter of the time.
    poolOptions: { forks: { isolate: false } },
    passWithNoTests: false
  }
})

import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/fixtures/compareBytes.ts"],
    // Real sockets, real processes, two cores: generous, and every wait inside a test has its own limit.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    // Most tests wait for processes: on two cores vitest would take one worker.
    pool: "forks",
    // The files of one worker share what they import: to load it for each took a quarter of the time.
    poolOptions: { forks: { minForks: 1, maxForks: 3, isolate: false } },
    passWithNoTests: false
  }
})

import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Real sockets, real processes, two cores: generous, and every wait inside a test has its own limit.
    testTimeout: 20_000,
    hookTimeout: 30_000,
    passWithNoTests: false
  }
})

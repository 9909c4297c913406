import { defineConfig } from "vitest/config"

export default defineConfig({
  cacheDir: "../node_modules/.vite",
  test: {
    include: ["**/*.test.ts"],
    testTimeout: 60_000,
    // One after the other, and what they import is loaded once.
    poolOptions: { forks: { singleFork: true, isolate: false } }
  }
})

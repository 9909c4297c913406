import { defineConfig } from "vitest/config"

export default defineConfig({
  cacheDir: "../node_modules/.vite",
  test: {
    include: ["**/*.test.ts"],
    testTimeout: 60_000,
    // One process for all files, so that their imports are loaded once.
    poolOptions: { forks: { singleFork: true, isolate: false } }
  }
})

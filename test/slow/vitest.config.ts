import { defineConfig } from "vitest/config"

// `npm run test:slow`: what takes minutes. One worker: what is measured is memory.
export default defineConfig({
  test: {
    include: ["test/slow/**/*.slow.ts"],
    testTimeout: 900_000,
    hookTimeout: 30_000,
    pool: "forks",
    poolOptions: { forks: { singleFork: true } },
    passWithNoTests: false
  }
})

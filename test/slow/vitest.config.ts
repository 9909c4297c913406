import { defineConfig } from "vitest/config"

// `npm run test:slow`: tests that take minutes. One worker, because they measure memory.
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

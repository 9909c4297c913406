import { accessSync, constants, readFileSync, statfsSync } from "node:fs"
import { defineConfig } from "vitest/config"

const asked = process.argv.find((arg) => arg.startsWith("--maxWorkers="))
// Half of the time of a test file is waiting: six keep two cores busy, and vitest would take one.
const workers = asked === undefined ? 6 : Number(asked.split("=")[1])

/**
 * Returns the folder in memory of Linux, if it has room and programs can run there. Otherwise, or if
 * TMPDIR is set, temporary files are where they always are, and tests wait for the disk.
 */
const temporaryFolder = (folder = "/dev/shm"): { readonly TMPDIR?: string } => {
  try {
    const mount = readFileSync("/proc/mounts", "utf8").match(/^\S+ \/dev\/shm tmpfs \S+/m)?.[0]
    const { bavail, bsize } = statfsSync(folder)
    accessSync(folder, constants.W_OK)
    const isFit = mount !== undefined && !/\bnoexec\b/.test(mount) && bavail * bsize > 4 * 1024 ** 3
    return isFit && process.env.TMPDIR === undefined ? { TMPDIR: folder } : {}
  } catch {
    return {}
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/fixtures/compareBytes.ts"],
    // Real sockets, real processes, two cores: generous, and every wait inside a test has its own limit.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    env: temporaryFolder(),
    pool: "forks",
    // As many at least as at most: tinypool fails when it removes an idle worker twice.
    minWorkers: workers,
    maxWorkers: workers,
    // The files of one worker share what they import: to load it for each took a quarter of the time.
    // The threads of the garbage collector would only take the cores from the other workers.
    poolOptions: { forks: { isolate: false, execArgv: ["--single-threaded-gc"] } },
    passWithNoTests: false
  }
})

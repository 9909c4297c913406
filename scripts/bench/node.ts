// `--node 22`: the whole benchmark runs on another version of Node, from the packages of the matrix.
import { spawnSync } from "node:child_process"
import { installRuntimes, runtimes } from "../matrix/runtimes.ts"

/** Runs the benchmark on a major version of Node; returns its exit code. */
export const runOnNode = (major: string, args: ReadonlyArray<string>): number => {
  const runtime = runtimes.find(({ name }) => name === `node${major}`)
  if (runtime === undefined) {
    const known = runtimes.flatMap(({ name }) => /^node(\d+)$/.exec(name)?.[1] ?? [])
    console.error(`no Node ${major} here; --node takes ${known.join(", ")}`)
    return 2
  }
  installRuntimes()
  const script = `${import.meta.dirname}/run.ts`
  const { status } = spawnSync(runtime.binary, ["--import", "tsx", script, ...args], {
    stdio: "inherit"
  })
  return status ?? 1
}

// Runs a chunk job: in worker threads, or in the main thread if it is small.
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type { ThreadData } from "./chunkWorker.ts"
import { batchRunner, JobState, type ChunkFailure, type ChunkJob } from "./ChunkJob.ts"
import { limits } from "../limits.ts"

/**
 * Runs a job. Fails with the failure of the lowest chunk. When interrupted, it stops at the next
 * batch, before the files are closed.
 */
export const run = (job: ChunkJob): Effect.Effect<void, ChunkFailure> =>
  Effect.gen(function* () {
    const { url } = yield* Effect.promise(() => import("./chunkWorker.ts"))
    // Node 20 runs no TypeScript in threads, so a run from the sources uses the main thread.
    const inThreads = job.bytes >= limits.minThreadedBytes && !url.endsWith(".ts")
    const failures = yield* inThreads ? runInThreads(job, new URL(url)) : runInMainThread(job)
    const [first] = failures.toSorted((one, other) => orderOf(one) - orderOf(other))
    if (first !== undefined) return yield* Effect.fail(first)
  })

const orderOf = (failure: ChunkFailure): number => (failure.on === "chunk" ? failure.index : -1)

const runInThreads = (job: ChunkJob, url: URL): Effect.Effect<ReadonlyArray<ChunkFailure>> =>
  Effect.forEach(Array.from({ length: limits.threads }), () => runInThread(job, url), {
    concurrency: "unbounded"
  }).pipe(Effect.map((results) => results.flat()))

/** The buffers of node:crypto are short-lived: a small young generation frees them early. */
const resourceLimits = { maxYoungGenerationSizeMb: 1 }

/** `execArgv` is empty: no thread starts with the flags of `node --input-type=module -e`. */
const runInThread = (job: ChunkJob, url: URL): Effect.Effect<ReadonlyArray<ChunkFailure>> =>
  Effect.async((resume) => {
    const data: ThreadData = { sealwireJob: job }
    const thread = new Worker(url, { workerData: data, resourceLimits, execArgv: [] })
    const failures: Array<ChunkFailure> = []
    thread.on("message", (failure: ChunkFailure) => failures.push(failure))
    thread.once("error", (error) => resume(Effect.die(error)))
    thread.once("exit", () => resume(Effect.succeed(failures)))
    return Effect.async<void>((stopped) => {
      new JobState(job.state).stop()
      thread.once("exit", () => stopped(Effect.void))
    })
  })

/** Runs a batch at a time and yields to the event loop in between. */
const runInMainThread = (job: ChunkJob): Effect.Effect<ReadonlyArray<ChunkFailure>> =>
  Effect.gen(function* () {
    const runBatch = batchRunner(job)
    for (;;) {
      const result = runBatch()
      if (result === "done") return []
      if (result !== "more") return [result]
      yield* Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
    }
  })

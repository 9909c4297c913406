// Who does a job: threads, or for what is small this one.
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type { ThreadData } from "./chunkWorker.ts"
import { JobState, batchRunner, type ChunkFailure, type ChunkJob } from "./ChunkJob.ts"
import { limits } from "../limits.ts"

/** Does the job; the first failure, by the order of the chunks. Interrupted, it stops at the next piece, before the files are closed. */
export const run = (job: ChunkJob): Effect.Effect<void, ChunkFailure> =>
  Effect.gen(function* () {
    const { url } = yield* Effect.promise(() => import("./chunkWorker.ts"))
    // Node 20 runs no TypeScript in a thread: from the sources there are none.
    const threaded = job.bytes >= limits.threadedBytes && !url.endsWith(".ts")
    const failures = yield* threaded ? inThreads(job, new URL(url)) : here(job)
    const [first] = failures.toSorted((one, other) => orderOf(one) - orderOf(other))
    if (first !== undefined) return yield* Effect.fail(first)
  })

const orderOf = (failure: ChunkFailure): number => (failure.on === "chunk" ? failure.index : -1)

const inThreads = (job: ChunkJob, url: URL): Effect.Effect<ReadonlyArray<ChunkFailure>> =>
  Effect.forEach(Array.from({ length: limits.threads }), () => inThread(job, url), {
    concurrency: "unbounded"
  }).pipe(Effect.map((results) => results.flat()))

/** What node:crypto gives is thrown away at once: a small young generation keeps less of it. */
const resourceLimits = { maxYoungGenerationSizeMb: 1 }

/** Without the flags of the process: with those of `node --input-type=module -e` no thread starts. */
const inThread = (job: ChunkJob, url: URL): Effect.Effect<ReadonlyArray<ChunkFailure>> =>
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

/** A piece at a time, and in between whatever else is to be done. */
const here = (job: ChunkJob): Effect.Effect<ReadonlyArray<ChunkFailure>> =>
  Effect.gen(function* () {
    const step = batchRunner(job)
    for (;;) {
      const result = step()
      if (result === "done") return []
      if (result !== "more") return [result]
      yield* Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
    }
  })

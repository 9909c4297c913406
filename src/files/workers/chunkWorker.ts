// The entry point of a worker thread: processes batches of a job until none is left. The main
// thread imports this file too, for `url`.
import { isMainThread, parentPort, workerData } from "node:worker_threads"
import { batchRunner, type ChunkFailure, type ChunkJob } from "./ChunkJob.ts"

/** URL of this file, wherever the build put it. */
export const url: string = import.meta.url

/** The data of Sealwire's worker threads; a program's own threads have other data. */
export interface ThreadData {
  readonly sealwireJob: ChunkJob
}

const job = isMainThread ? undefined : (workerData as Partial<ThreadData> | undefined)?.sealwireJob
if (job !== undefined) {
  const runBatch = batchRunner(job)
  let result: "more" | "done" | ChunkFailure = "more"
  while (result === "more") result = runBatch()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  if (result !== "done") parentPort?.postMessage(result)
}

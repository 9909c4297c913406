// A thread that does pieces of a job until none is left. This file is both: what starts the thread asks it for `url`.
import { isMainThread, parentPort, workerData } from "node:worker_threads"
import { batchRunner, type ChunkFailure, type ChunkJob } from "./ChunkJob.ts"

/** Where this file is, wherever it was built into. */
export const url: string = import.meta.url

/** What a thread of ours is given, and no other. */
export interface ThreadData {
  readonly sealwireJob: ChunkJob
}

const job = isMainThread ? undefined : (workerData as Partial<ThreadData> | undefined)?.sealwireJob
if (job !== undefined) {
  const step = batchRunner(job)
  let result: "more" | "done" | ChunkFailure = "more"
  while (result === "more") result = step()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  if (result !== "done") parentPort?.postMessage(result)
}

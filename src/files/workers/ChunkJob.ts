// Seals or opens the chunks of a message from one open file to another, in any order. Synchronous:
// it runs in worker threads, or between other work of the main thread.
import { readSync, writeSync } from "node:fs"
import {
  chunkBytes,
  openChunk,
  sealChunk,
  sealedChunkBytes,
  type MessageKeys
} from "../Cobblestone.ts"
import { limits } from "../limits.ts"

/** A job. It can be sent to a thread. */
export interface ChunkJob {
  readonly direction: keyof typeof directions
  readonly keys: MessageKeys
  readonly input: FilePosition
  /**
   * Length of the input: of plaintext, or of chunks (a length that `plaintextLength` accepted).
   */
  readonly bytes: number
  readonly output: FilePosition
  /** Memory that all workers of the job share: see `JobState`. */
  readonly state: SharedArrayBuffer
}

/** An open file, and the position of the plaintext or the first chunk in it. */
export interface FilePosition {
  readonly fd: number
  readonly offset: number
}

/** Why a job failed. */
export type ChunkFailure =
  | { readonly on: "chunk"; readonly index: number; readonly isLast: boolean }
  | { readonly on: "input" | "output"; readonly code: string }

const cells = { next: 0, done: 1, stopped: 2 } as const

/** The state of a job: atomic operations ensure that no batch is processed twice. */
export class JobState {
  static readonly make = (): SharedArrayBuffer =>
    new SharedArrayBuffer(Object.keys(cells).length * 4)
  readonly #cells: Int32Array

  constructor(shared: SharedArrayBuffer) {
    this.#cells = new Int32Array(shared)
  }

  /** Returns the number of a batch that no other worker gets. */
  takeBatch(): number {
    return Atomics.add(this.#cells, cells.next, 1)
  }

  countDone(): void {
    Atomics.add(this.#cells, cells.done, 1)
  }

  stop(): void {
    Atomics.store(this.#cells, cells.stopped, 1)
  }

  get isStopped(): boolean {
    return Atomics.load(this.#cells, cells.stopped) === 1
  }

  get doneBatches(): number {
    return Atomics.load(this.#cells, cells.done)
  }
}

/** Lengths of a full chunk in the input and in the output. */
const directions = {
  seal: { inputBytes: chunkBytes, outputBytes: sealedChunkBytes, run: sealChunk },
  open: { inputBytes: sealedChunkBytes, outputBytes: chunkBytes, run: openChunk }
} as const

/** Returns the input length of a full batch. */
export const batchBytes = (direction: ChunkJob["direction"]): number =>
  directions[direction].inputBytes * limits.batchChunks

/**
 * Makes a function that processes one batch per call. It returns "more", "done" when no batch is
 * left, or the failure that stopped the job.
 */
export const batchRunner = ({
  direction,
  keys,
  input,
  bytes,
  output,
  state: shared
}: ChunkJob): (() => "more" | "done" | ChunkFailure) => {
  const { inputBytes, outputBytes, run } = directions[direction]
  const state = new JobState(shared)
  const batch = inputBytes * limits.batchChunks
  // There is always a last chunk, even an empty one.
  const chunks = Math.floor(bytes / inputBytes) + 1
  const source = Buffer.allocUnsafeSlow(batch)
  const target = Buffer.allocUnsafeSlow(limits.batchChunks * sealedChunkBytes)
  const fail = (failure: ChunkFailure): ChunkFailure => {
    state.stop()
    return failure
  }

  return () => {
    const number = state.takeBatch()
    const first = number * limits.batchChunks
    if (first >= chunks || state.isStopped) return "done"
    const length = Math.min(batch, bytes - number * batch)
    const readCode = transfer(readSync, input.fd, source, length, input.offset + number * batch)
    if (readCode !== undefined) return fail({ on: "input", code: readCode })
    let end = 0
    for (let index = first; index < Math.min(chunks, first + limits.batchChunks); index++) {
      const start = (index - first) * inputBytes
      const chunk = source.subarray(start, Math.min(start + inputBytes, length))
      end = run(keys, index, chunk, target, end)
      if (end < 0) return fail({ on: "chunk", index, isLast: index === chunks - 1 })
    }
    const writeCode = transfer(
      writeSync,
      output.fd,
      target,
      end,
      output.offset + first * outputBytes
    )
    if (writeCode !== undefined) return fail({ on: "output", code: writeCode })
    state.countDone()
    return "more"
  }
}

/** The code of an input that ends before its known length. */
export const inputEndedEarly = "input ended early"

/** Reads or writes all bytes. Returns an error code when that fails. */
const transfer = (
  run: (fd: number, buffer: Buffer, offset: number, length: number, position: number) => number,
  fd: number,
  buffer: Buffer,
  length: number,
  position: number
): string | undefined => {
  try {
    for (let offset = 0; offset < length;) {
      const moved = run(fd, buffer, offset, length - offset, position + offset)
      if (moved === 0) return inputEndedEarly
      offset += moved
    }
    return undefined
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code ?? "unknown error"
  }
}

// The chunks of a message from one open file to another, in any order. Synchronous: it runs in threads, or between other things.
import { readSync, writeSync } from "node:fs"
import {
  chunkBytes,
  openChunk,
  sealChunk,
  sealedChunkBytes,
  type MessageKeys
} from "../Cobblestone.ts"
import { limits } from "../limits.ts"

/** What is to be done; it can be sent to a thread. */
export interface ChunkJob {
  readonly direction: keyof typeof directions
  readonly keys: MessageKeys
  readonly input: FilePosition
  /** Bytes of the input: of plaintext, or of chunks (where `plaintextLength` has found that they can be whole). */
  readonly bytes: number
  readonly output: FilePosition
  /** What all that do it share: see `Shared`. */
  readonly state: SharedArrayBuffer
}

/** An open file, and where in it the message stands. */
export interface FilePosition {
  readonly fd: number
  readonly offset: number
}

/** Why a job is not done. */
export type ChunkFailure =
  | { readonly on: "chunk"; readonly index: number; readonly isLast: boolean }
  | { readonly on: "input" | "output"; readonly code: string }

const fields = { next: 0, done: 1, stopped: 2 } as const

/** Which piece is next, how many are done, and whether to stop: by atomic operations, so that no piece is done twice. */
export class JobState {
  static readonly make = (): SharedArrayBuffer =>
    new SharedArrayBuffer(Object.keys(fields).length * 4)
  readonly #cells: Int32Array

  constructor(shared: SharedArrayBuffer) {
    this.#cells = new Int32Array(shared)
  }

  /** A piece that nobody else gets. */
  take(): number {
    return Atomics.add(this.#cells, fields.next, 1)
  }

  done(): void {
    Atomics.add(this.#cells, fields.done, 1)
  }

  stop(): void {
    Atomics.store(this.#cells, fields.stopped, 1)
  }

  get isStopped(): boolean {
    return Atomics.load(this.#cells, fields.stopped) === 1
  }

  get pieces(): number {
    return Atomics.load(this.#cells, fields.done)
  }
}

/** Chunks as they are on either side. */
const directions = {
  seal: { from: chunkBytes, to: sealedChunkBytes, run: sealChunk },
  open: { from: sealedChunkBytes, to: chunkBytes, run: openChunk }
} as const

/** The input bytes of a full piece. */
export const batchBytes = (direction: ChunkJob["direction"]): number =>
  directions[direction].from * limits.pieceChunks

/** Does a piece each time it is called: "more", "done" when there is none left, or why it stopped. */
export const batchRunner = ({
  direction,
  keys,
  input,
  bytes,
  output,
  state: cells
}: ChunkJob): (() => "more" | "done" | ChunkFailure) => {
  const { from, to, run } = directions[direction]
  const shared = new JobState(cells)
  const piece = from * limits.pieceChunks
  // A last chunk is always there, if only an empty one.
  const chunks = Math.floor(bytes / from) + 1
  const source = Buffer.allocUnsafeSlow(piece)
  const target = Buffer.allocUnsafeSlow(limits.pieceChunks * sealedChunkBytes)
  const fail = (failure: ChunkFailure): ChunkFailure => {
    shared.stop()
    return failure
  }

  return () => {
    const number = shared.take()
    const first = number * limits.pieceChunks
    if (first >= chunks || shared.isStopped) return "done"
    const length = Math.min(piece, bytes - number * piece)
    const missing = transfer(readSync, input.fd, source, length, input.offset + number * piece)
    if (missing !== undefined) return fail({ on: "input", code: missing })
    let end = 0
    for (let index = first; index < Math.min(chunks, first + limits.pieceChunks); index++) {
      const start = (index - first) * from
      end = run(keys, index, source.subarray(start, Math.min(start + from, length)), target, end)
      if (end < 0) return fail({ on: "chunk", index, isLast: index === chunks - 1 })
    }
    const unwritten = transfer(writeSync, output.fd, target, end, output.offset + first * to)
    if (unwritten !== undefined) return fail({ on: "output", code: unwritten })
    shared.done()
    return "more"
  }
}

/** An input that ends before its time. */
export const endedEarly = "shorter"

/** Reads or writes all of it; the error code when that is not possible. */
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
      if (moved === 0) return endedEarly
      offset += moved
    }
    return undefined
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code ?? "unknown error"
  }
}

// Seals and opens the payload, one Cobblestone message: between two files in worker threads, else
// as a stream.
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  chunkBytes,
  plaintextLength,
  prefixBytes,
  resumeMessage,
  type Message,
  type MessageKeys
} from "./Cobblestone.ts"
import {
  FileTampered,
  FileTruncated,
  FileUnreadable,
  type FileExists,
  type FileUnwritable
} from "./FileErrors.ts"
import type { Input } from "./Input.ts"
import {
  batchBytes,
  inputEndedEarly,
  JobState,
  type ChunkFailure,
  type ChunkJob
} from "./workers/ChunkJob.ts"
import { isOpenFailure, Opener, type OpenFailure } from "./Opener.ts"
import { writeError, type Output } from "./Output.ts"
import { Sealer } from "./Sealer.ts"
import * as ChunkWorkers from "./workers/ChunkWorkers.ts"

/** Progress, in bytes of the input. */
export class ByteCounter {
  /** Length of the input; undefined when it is unknown. */
  total: number | undefined
  /** Returns the bytes processed so far. */
  current = (): number => this.#bytes
  #bytes = 0

  /** Counts bytes as processed. */
  add(bytes: number): void {
    this.#bytes += bytes
  }
}

/** A sink of files waits or fails at an empty element: a write of no bytes is an error to it. */
const isNotEmpty = ({ length }: Uint8Array): boolean => length > 0

/** Seals a plaintext and emits the chunks. No element is empty. */
export const sealStream = <E, R>(
  message: Message,
  plaintext: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    const sealer = new Sealer(message)
    return Stream.concat(
      Stream.map(plaintext, (bytes) => sealer.update(bytes)),
      Stream.sync(() => sealer.finish())
    )
  }).pipe(Stream.filter(isNotEmpty))

/** Opens chunks and emits the plaintext. No element is empty. `file` is the name in errors. */
export const openStream = <E, R>(
  keys: MessageKeys,
  chunks: Stream.Stream<Uint8Array, E, R>,
  file: string
): Stream.Stream<Uint8Array, E | FileTampered | FileTruncated, R> =>
  Stream.suspend(() => {
    const opener = new Opener(keys)
    const orFail = (result: Uint8Array | OpenFailure) =>
      isOpenFailure(result)
        ? Effect.fail(damageError(file, result, opener.index))
        : Effect.succeed(result)
    return Stream.concat(
      Stream.mapEffect(chunks, (bytes) => orFail(opener.update(bytes))),
      Stream.suspend(() => Stream.fromEffect(orFail(opener.finish())))
    )
  }).pipe(Stream.filter(isNotEmpty))

/** Counts the bytes of a stream. */
export const counted = <E>(
  stream: Stream.Stream<Uint8Array, E>,
  counter: ByteCounter
): Stream.Stream<Uint8Array, E> =>
  Stream.tap(stream, ({ length }) => Effect.sync(() => counter.add(length)))

/** Writes the prelude, then the message whose plaintext is the rest of the input. */
export const sealInto = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  prelude: Uint8Array,
  message: Message,
  counter = new ByteCounter()
): Effect.Effect<void, E1 | E2 | FileUnreadable | FileUnwritable | FileExists> => {
  const start = Buffer.concat([prelude, message.prefix])
  if (input.file === undefined || output.fd === undefined)
    return Effect.zipRight(
      output.write(start),
      Stream.runForEach(sealStream(message, counted(input.rest, counter)), output.write)
    )
  const job: ChunkJob = {
    direction: "seal",
    keys: message.keys,
    input: { fd: input.file.fd, offset: 0 },
    bytes: input.file.size,
    output: { fd: output.fd, offset: start.length },
    state: JobState.make()
  }
  return Effect.zipRight(
    output.write(start),
    Effect.catchAll(run(job, counter), (failure) =>
      // Sealing verifies nothing, so no chunk can fail.
      failure.on === "chunk" ? Effect.die(failure) : Effect.fail(fileError(failure, input, output))
    )
  )
}

/** The position of a sealed message in its input, and the key that opens it. */
export interface SealedPayload<E> {
  readonly key: Uint8Array
  readonly context: Uint8Array
  /** Number of bytes before the message, which were taken from the input. */
  readonly at: number
  /** The error when the commitment does not match the key. */
  readonly wrongKey: E
}

/** Takes the message's prefix from the input and derives the message keys. */
export const readMessageKeys = <E1, E2>(
  input: Input<E1>,
  { key, context, wrongKey }: SealedPayload<E2>
): Effect.Effect<MessageKeys, E1 | E2 | FileTruncated> =>
  Effect.gen(function* () {
    const prefix = yield* input.take(prefixBytes)
    if (prefix.length < prefixBytes) return yield* new FileTruncated({ file: input.name })
    const keys = resumeMessage(key, context, prefix)
    return keys === undefined ? yield* Effect.fail(wrongKey) : keys
  })

/** Opens the message and writes its plaintext. */
export const openInto = <E1, E2, E3>(
  input: Input<E1>,
  output: Output<E2>,
  payload: SealedPayload<E3>,
  counter = new ByteCounter()
): Effect.Effect<
  void,
  E1 | E2 | E3 | FileTampered | FileTruncated | FileUnreadable | FileUnwritable | FileExists
> =>
  Effect.gen(function* () {
    const file = input.name
    const keys = yield* readMessageKeys(input, payload)
    if (input.file === undefined || output.fd === undefined)
      return yield* Stream.runForEach(
        openStream(keys, counted(input.rest, counter), file),
        output.write
      )
    const offset = payload.at + prefixBytes
    const bytes = input.file.size - offset
    if (plaintextLength(bytes) === undefined) return yield* new FileTruncated({ file })
    const job: ChunkJob = {
      direction: "open",
      keys,
      input: { fd: input.file.fd, offset },
      bytes,
      output: { fd: output.fd, offset: 0 },
      state: JobState.make()
    }
    yield* Effect.mapError(run(job, counter), (failure) =>
      failure.on === "chunk"
        ? damageError(file, failure.isLast ? "changed or truncated" : "changed", failure.index)
        : fileError(failure, input, output)
    )
  })

const run = (job: ChunkJob, counter: ByteCounter): Effect.Effect<void, ChunkFailure> => {
  const state = new JobState(job.state)
  const batch = batchBytes(job.direction)
  counter.total = job.bytes
  counter.current = () => Math.min(job.bytes, state.doneBatches * batch)
  return ChunkWorkers.run(job)
}

const fileError = (
  { on, code }: Exclude<ChunkFailure, { readonly on: "chunk" }>,
  input: Pick<Input, "name">,
  output: Pick<Output, "name">
) =>
  on === "output"
    ? writeError(output.name, { code })
    : new FileUnreadable({
        file: input.name,
        detail:
          code === inputEndedEarly ? "became shorter while it was read" : `cannot be read (${code})`
      })

const damageError = (
  file: string,
  failure: OpenFailure,
  index: number
): FileTampered | FileTruncated =>
  failure === "truncated"
    ? new FileTruncated({ file })
    : new FileTampered({
        file,
        detail:
          failure === "changed"
            ? `its content was changed, within 16 KiB from byte ${(index * chunkBytes).toLocaleString("en-US")}`
            : "its end was changed or cut off"
      })

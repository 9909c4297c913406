// One Cobblestone message from where it comes to where it goes: between two files by threads, else as a stream.
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
  endedEarly,
  JobState,
  type ChunkFailure,
  type ChunkJob
} from "./workers/ChunkJob.ts"
import { isOpenFailure, Opener, type OpenFailure } from "./Opener.ts"
import { writeError as unwritable, type Output } from "./Output.ts"
import { Sealer } from "./Sealer.ts"
import * as ChunkWorkers from "./workers/ChunkWorkers.ts"

/** How far it is, in bytes of the input. */
export class ByteCounter {
  /** Undefined where nobody knows. */
  total: number | undefined
  /** Bytes so far. */
  current = (): number => this.#counted
  #counted = 0

  /** So many bytes more. */
  add(bytes: number): void {
    this.#counted += bytes
  }
}

/** The chunks of this plaintext. */
export const sealStream = <E>(
  message: Message,
  plaintext: Stream.Stream<Uint8Array, E>
): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    const sealer = new Sealer(message)
    return Stream.concat(
      Stream.map(plaintext, (bytes) => sealer.update(bytes)),
      Stream.sync(() => sealer.finish())
    )
  })

/** The plaintext of these chunks. `file` is for the errors. */
export const openStream = <E>(
  keys: MessageKeys,
  chunks: Stream.Stream<Uint8Array, E>,
  file: string
): Stream.Stream<Uint8Array, E | FileTampered | FileTruncated> =>
  Stream.suspend(() => {
    const opener = new Opener(keys)
    const proven = (result: Uint8Array | OpenFailure) =>
      isOpenFailure(result)
        ? Effect.fail(damage(file, result, opener.index))
        : Effect.succeed(result)
    return Stream.concat(
      Stream.mapEffect(chunks, (bytes) => proven(opener.update(bytes))),
      Stream.suspend(() => Stream.fromEffect(proven(opener.finish())))
    )
  })

/** Writes `head`, then the message whose plaintext is what the input has left. */
export const sealInto = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  head: Uint8Array,
  message: Message,
  meter = new ByteCounter()
): Effect.Effect<void, E1 | E2 | FileUnreadable | FileUnwritable | FileExists> => {
  const before = Buffer.concat([head, message.prefix])
  if (input.file === undefined || output.fd === undefined)
    return Effect.zipRight(
      output.write(before),
      Stream.runForEach(sealStream(message, metered(input.rest, meter)), output.write)
    )
  const job: ChunkJob = {
    direction: "seal",
    keys: message.keys,
    input: { fd: input.file.fd, offset: 0 },
    bytes: input.file.size,
    output: { fd: output.fd, offset: before.length },
    state: JobState.make()
  }
  return Effect.zipRight(
    output.write(before),
    Effect.catchAll(run(job, meter), (failure) =>
      // There is nothing that sealing could find changed.
      failure.on === "chunk" ? Effect.die(failure) : Effect.fail(unmoved(failure, input, output))
    )
  )
}

/** Where a message stands in its input, and what opens it. */
export interface SealedPayload<E> {
  readonly key: Uint8Array
  readonly context: Uint8Array
  /** What was taken of the input before it. */
  readonly at: number
  /** What a commitment means that is not that of the key. */
  readonly wrongKey: E
}

/** The keys of a message that the input goes on with; its prefix is taken. */
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

/** Writes the plaintext of the message. */
export const openInto = <E1, E2, E3>(
  input: Input<E1>,
  output: Output<E2>,
  message: SealedPayload<E3>,
  meter = new ByteCounter()
): Effect.Effect<
  void,
  E1 | E2 | E3 | FileTampered | FileTruncated | FileUnreadable | FileUnwritable | FileExists
> =>
  Effect.gen(function* () {
    const file = input.name
    const keys = yield* readMessageKeys(input, message)
    if (input.file === undefined || output.fd === undefined)
      return yield* Stream.runForEach(
        openStream(keys, metered(input.rest, meter), file),
        output.write
      )
    const at = message.at + prefixBytes
    const bytes = input.file.size - at
    if (plaintextLength(bytes) === undefined) return yield* new FileTruncated({ file })
    const job: ChunkJob = {
      direction: "open",
      keys,
      input: { fd: input.file.fd, offset: at },
      bytes,
      output: { fd: output.fd, offset: 0 },
      state: JobState.make()
    }
    yield* Effect.mapError(run(job, meter), (failure) =>
      failure.on === "chunk"
        ? damage(file, failure.isLast ? "changed or truncated" : "changed", failure.index)
        : unmoved(failure, input, output)
    )
  })

const metered = <E>(
  stream: Stream.Stream<Uint8Array, E>,
  meter: ByteCounter
): Stream.Stream<Uint8Array, E> =>
  Stream.tap(stream, ({ length }) => Effect.sync(() => meter.add(length)))

const run = (job: ChunkJob, meter: ByteCounter): Effect.Effect<void, ChunkFailure> => {
  const shared = new JobState(job.state)
  const piece = batchBytes(job.direction)
  meter.total = job.bytes
  meter.current = () => Math.min(job.bytes, shared.pieces * piece)
  return ChunkWorkers.run(job)
}

const unmoved = (
  { on, code }: Exclude<ChunkFailure, { readonly on: "chunk" }>,
  input: Pick<Input, "name">,
  output: Pick<Output, "name">
) =>
  on === "output"
    ? unwritable(output.name, { code })
    : new FileUnreadable({
        file: input.name,
        detail:
          code === endedEarly ? "became shorter while it was read" : `cannot be read (${code})`
      })

const damage = (file: string, refusal: OpenFailure, index: number): FileTampered | FileTruncated =>
  refusal === "truncated"
    ? new FileTruncated({ file })
    : new FileTampered({
        file,
        detail:
          refusal === "changed"
            ? `its content was changed, at byte ${(index * chunkBytes).toLocaleString("en-US")} or up to 16 KiB behind`
            : "its end was changed or cut off"
      })

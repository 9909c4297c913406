// A file for somebody: FORMAT.md. The steps are those of its last section.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Secret } from "../bytes/Secret.ts"
import { beginMessage } from "./Cobblestone.ts"
import {
  FileFromNewer,
  FileTampered,
  FileTruncated,
  NotEncrypted,
  type DamagedError,
  type FileExists,
  type FileUnreadable,
  type FileUnwritable
} from "./FileErrors.ts"
import * as Prelude from "./Prelude.ts"
import type { Kind } from "./Header.ts"
import { fromStream, type Input } from "./Input.ts"
import { wrap, unwrap, type DecryptionKeys, type WrapError, type UnwrapError } from "./Stanzas.ts"
import type { Output } from "./Output.ts"
import * as Payload from "./Payload.ts"
import type { Recipients } from "./Recipients.ts"

/** Who a file is from and for, as far as its head proves it. */
export interface Origin {
  readonly kind: Kind
  /** The public key of who wrote the head, where it says so. FORMAT.md has what that proves of the content. */
  readonly sender: Uint8Array | undefined
  /** The public key it was opened by, where it was. */
  readonly reader: Uint8Array | undefined
  readonly recipients: number
  /** The content is older than the head: who could read it before may have written it. */
  readonly rekeyed: boolean
}

/** For whom a file was written. */
export type EncryptionSummary = Pick<Origin, "kind" | "recipients">

/** A file whose head was opened. */
export interface UnlockedFile {
  readonly origin: Origin
  readonly payload: Payload.SealedPayload<FileTampered>
}

/** Encrypts what the input has. The output is not committed. */
export const encrypt = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  to: Recipients,
  meter?: Payload.ByteCounter
): Effect.Effect<
  EncryptionSummary,
  E1 | E2 | WrapError | FileUnreadable | FileUnwritable | FileExists
> =>
  Effect.gen(function* () {
    const { head, message, written } = yield* start(to)
    yield* Payload.sealInto(input, output, head, message, meter)
    return written
  })

/** Steps 1 to 4: the head of a file, opened with what of `keys` it asks for. Nothing of the content is read. */
export const unlock = <E1, E2>(
  input: Input<E1>,
  keys: DecryptionKeys<E2>
): Effect.Effect<UnlockedFile, E1 | E2 | UnwrapError | DamagedError> =>
  Effect.gen(function* () {
    const file = input.name
    const { head, length } = yield* readPrelude(input)
    const { headerKey, sender, reader } = yield* unwrap(head.header, keys, file)
    const key = Prelude.openKeyBlock(head, headerKey)
    if (key === undefined)
      return yield* new FileTampered({ file, detail: "its header was changed" })
    const { kind, stanzas, rekeyed } = head.header
    return {
      origin: { kind, sender, reader, recipients: stanzas.length, rekeyed },
      payload: {
        key,
        context: Prelude.magic,
        at: length,
        wrongKey: new FileTampered({ file, detail: "its content does not belong to its header" })
      }
    }
  })

/** Steps 5 and 6: decrypts the content. The output is not committed. */
export const decrypt = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  { payload }: UnlockedFile,
  meter?: Payload.ByteCounter
): Effect.Effect<
  void,
  E1 | E2 | FileTampered | FileTruncated | FileUnreadable | FileUnwritable | FileExists
> => Payload.openInto(input, output, payload, meter)

/** Writes an opened file anew for others: another head, and each byte of the payload as it is. The output is not committed. */
export const rekey = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  { payload }: UnlockedFile,
  to: Recipients,
  meter = new Payload.ByteCounter()
): Effect.Effect<EncryptionSummary, E1 | E2 | WrapError> =>
  Effect.gen(function* () {
    const { head, written } = yield* headFor(to, new Secret(payload.key), true)
    yield* output.write(head)
    yield* Stream.runForEach(input.rest, (bytes) => {
      meter.add(bytes.length)
      return output.write(bytes)
    })
    return written
  })

/** The same with a new payload key: each chunk is opened and sealed anew. */
export const reencrypt = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  { payload }: UnlockedFile,
  to: Recipients,
  meter = new Payload.ByteCounter()
): Effect.Effect<EncryptionSummary, E1 | E2 | WrapError | FileTampered | FileTruncated> =>
  Effect.gen(function* () {
    const { head, message, written } = yield* start(to)
    const keys = yield* Payload.readMessageKeys(input, payload)
    yield* output.write(head)
    yield* output.write(message.prefix)
    const counted = Stream.tap(input.rest, ({ length }) => Effect.sync(() => meter.add(length)))
    yield* Stream.runForEach(
      Payload.sealStream(message, Payload.openStream(keys, counted, input.name)),
      output.write
    )
    return written
  })

/** As `encrypt`, for a stream. */
export const encryptStream =
  (to: Recipients) =>
  <E>(plaintext: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E | WrapError> =>
    Stream.unwrap(
      Effect.map(start(to), ({ head, message }) =>
        Stream.concat(Stream.make(head, message.prefix), Payload.sealStream(message, plaintext))
      )
    )

/**
 * As `open` and `decrypt`, for a stream: who it is from, and the content. What comes of the content is proven to be in its place, and
 * that it is all only when the stream ends without an error.
 */
export const decryptStream = <E1, E2>(
  sealed: Stream.Stream<Uint8Array, E1>,
  keys: DecryptionKeys<E2>,
  name = "the stream"
): Effect.Effect<
  {
    readonly origin: Origin
    readonly content: Stream.Stream<Uint8Array, E1 | FileTampered | FileTruncated>
  },
  E1 | E2 | UnwrapError | DamagedError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const input = yield* fromStream(name, sealed)
    const { origin, payload } = yield* unlock(input, keys)
    const message = yield* Payload.readMessageKeys(input, payload)
    return { origin, content: Payload.openStream(message, input.rest, name) }
  })

/** Steps 1 and 2: the head, spelled right; nothing in it is proven. */
export const readPrelude = <E>(
  input: Input<E>
): Effect.Effect<{ readonly head: Prelude.Prelude; readonly length: number }, E | DamagedError> =>
  Effect.gen(function* () {
    const file = input.name
    const start = yield* input.take(Prelude.fixedBytes)
    const version = Prelude.newerVersion(start)
    if (version !== undefined) return yield* new FileFromNewer({ file, version })
    if (!Prelude.hasMagic(start)) return yield* new NotEncrypted({ file })
    if (start.length < Prelude.fixedBytes) return yield* new FileTruncated({ file })
    const length = Prelude.lengthOf(start)
    if (length === undefined)
      return yield* new FileTampered({ file, detail: "its header was changed" })
    const rest = yield* input.take(length - start.length)
    if (start.length + rest.length < length) return yield* new FileTruncated({ file })
    const head = Prelude.decode(Buffer.concat([start, rest]))
    if (head === undefined)
      return yield* new FileTampered({ file, detail: "its header was changed" })
    return { head, length }
  })

/** The beginning of a new file: its head, and a payload that nothing was sealed of. */
const start = (to: Recipients) =>
  Effect.gen(function* () {
    const payloadKey = Secret.random(Prelude.keyBytes)
    return {
      ...(yield* headFor(to, payloadKey, false)),
      message: beginMessage(payloadKey.expose(), Prelude.magic)
    }
  })

const headFor = (
  to: Recipients,
  payloadKey: Secret,
  rekeyed: boolean
): Effect.Effect<{ readonly head: Uint8Array; readonly written: EncryptionSummary }, WrapError> =>
  Effect.gen(function* () {
    const headerKey = Secret.random(Prelude.keyBytes)
    const header = yield* wrap(to, headerKey, rekeyed)
    return {
      head: Prelude.encode(header, headerKey, payloadKey),
      written: { kind: header.kind, recipients: header.stanzas.length }
    }
  })

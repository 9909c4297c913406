// Encryption of files for recipients. The format and the numbered steps are those of FORMAT.md.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { dual } from "effect/Function"
import * as Predicate from "effect/Predicate"
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
import type { Kind } from "./Header.ts"
import { fromStream, type Input } from "./Input.ts"
import type { Output } from "./Output.ts"
import * as Payload from "./Payload.ts"
import * as Prelude from "./Prelude.ts"
import type { Recipients } from "./Recipients.ts"
import { wrap, unwrap, type DecryptionKeys, type WrapError, type UnwrapError } from "./Stanzas.ts"

/** The sender and the recipients of a file, as far as its prelude proves them. */
export interface Origin {
  readonly kind: Kind
  /** The sender's public key, where the file names one. FORMAT.md says what it proves. */
  readonly sender: Uint8Array | undefined
  /** The public key of the recipient that unlocked it, where there is one. */
  readonly reader: Uint8Array | undefined
  /** Number of recipients. */
  readonly recipients: number
  /** True when the content is older than the prelude: an earlier recipient may have written it. */
  readonly rekeyed: boolean
}

/** The kind and number of a new file's recipients. */
export type EncryptionSummary = Pick<Origin, "kind" | "recipients">

/** A file whose prelude is authenticated. Its content is not read yet. */
export interface UnlockedFile {
  readonly origin: Origin
  readonly payload: Payload.SealedPayload<FileTampered>
}

/** Encrypts the input to the recipients. Does not commit the output. */
export const encrypt = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  to: Recipients,
  counter?: Payload.ByteCounter
): Effect.Effect<
  EncryptionSummary,
  E1 | E2 | WrapError | FileUnreadable | FileUnwritable | FileExists
> =>
  Effect.gen(function* () {
    const { prelude, message, summary } = yield* begin(to)
    yield* Payload.sealInto(input, output, prelude, message, counter)
    return summary
  })

/** Steps 1 to 4: reads the prelude and opens it with the keys. Reads nothing of the content. */
export const unlock = <E1, E2>(
  input: Input<E1>,
  keys: DecryptionKeys<E2>
): Effect.Effect<UnlockedFile, E1 | E2 | UnwrapError | DamagedError> =>
  Effect.gen(function* () {
    const file = input.name
    const { prelude, length } = yield* readPrelude(input)
    const { headerKey, sender, reader } = yield* unwrap(prelude.header, keys, file)
    const key = Prelude.openKeyBlock(prelude, headerKey)
    if (key === undefined)
      return yield* new FileTampered({ file, detail: "its header was changed" })
    const { kind, stanzas, rekeyed } = prelude.header
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

/** Steps 5 and 6: decrypts the content of an unlocked file. Does not commit the output. */
export const decrypt = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  { payload }: UnlockedFile,
  counter?: Payload.ByteCounter
): Effect.Effect<
  void,
  E1 | E2 | FileTampered | FileTruncated | FileUnreadable | FileUnwritable | FileExists
> => Payload.openInto(input, output, payload, counter)

/**
 * Writes an unlocked file for other recipients: a new prelude, and the payload byte for byte. Does
 * not commit the output.
 */
export const rekey = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  { payload }: UnlockedFile,
  to: Recipients,
  counter = new Payload.ByteCounter()
): Effect.Effect<EncryptionSummary, E1 | E2 | WrapError> =>
  Effect.gen(function* () {
    const { prelude, summary } = yield* newPrelude(to, new Secret(payload.key), true)
    yield* output.write(prelude)
    yield* Stream.runForEach(input.rest, (bytes) => {
      counter.add(bytes.length)
      return output.write(bytes)
    })
    return summary
  })

/** Does the same with a new payload key: every chunk is opened and sealed again. */
export const reencrypt = <E1, E2>(
  input: Input<E1>,
  output: Output<E2>,
  { payload }: UnlockedFile,
  to: Recipients,
  counter = new Payload.ByteCounter()
): Effect.Effect<EncryptionSummary, E1 | E2 | WrapError | FileTampered | FileTruncated> =>
  Effect.gen(function* () {
    const { prelude, message, summary } = yield* begin(to)
    const oldKeys = yield* Payload.readMessageKeys(input, payload)
    yield* output.write(prelude)
    yield* output.write(message.prefix)
    const chunks = Payload.counted(input.rest, counter)
    yield* Stream.runForEach(
      Payload.sealStream(message, Payload.openStream(oldKeys, chunks, input.name)),
      output.write
    )
    return summary
  })

/**
 * Encrypts a stream to the recipients. No element is empty, as a sink of files requires.
 *
 * @example
 * const sealed = Stream.make(Buffer.from("a text")).pipe(
 *   EncryptedFile.encryptStream(Recipients.FileKey({ key }))
 * )
 * yield* Stream.run(sealed, fileSystem.sink("text.sealed"))
 */
export const encryptStream: {
  (
    to: Recipients
  ): <E, R>(
    plaintext: Stream.Stream<Uint8Array, E, R>
  ) => Stream.Stream<Uint8Array, E | WrapError, R>
  <E, R>(
    plaintext: Stream.Stream<Uint8Array, E, R>,
    to: Recipients
  ): Stream.Stream<Uint8Array, E | WrapError, R>
} = dual(
  2,
  <E, R>(
    plaintext: Stream.Stream<Uint8Array, E, R>,
    to: Recipients
  ): Stream.Stream<Uint8Array, E | WrapError, R> =>
    Stream.unwrap(
      Effect.map(begin(to), ({ prelude, message }) =>
        Stream.concat(Stream.make(prelude, message.prefix), Payload.sealStream(message, plaintext))
      )
    )
)

/** A stream whose prelude is authenticated. */
export interface DecryptedStream<E> {
  readonly origin: Origin
  /**
   * Each element is authentic and in its place when it is emitted, and none is empty. The content
   * is complete only if the stream ends without an error.
   */
  readonly content: Stream.Stream<Uint8Array, E | FileTampered | FileTruncated>
}

/**
 * Decrypts a stream: reads its prelude, and returns its origin and content. `name` is the name in
 * errors.
 *
 * @example
 * const { origin, content } = yield* fileSystem
 *   .stream("text.sealed")
 *   .pipe(EncryptedFile.decryptStream({ fileKey: Effect.succeed(key) }, "text.sealed"))
 * yield* Stream.run(content, fileSystem.sink("text"))
 */
export const decryptStream: {
  <E2>(
    keys: DecryptionKeys<E2>,
    name?: string
  ): <E1, R>(
    ciphertext: Stream.Stream<Uint8Array, E1, R>
  ) => Effect.Effect<DecryptedStream<E1>, E1 | E2 | UnwrapError | DamagedError, R | Scope.Scope>
  <E1, E2, R>(
    ciphertext: Stream.Stream<Uint8Array, E1, R>,
    keys: DecryptionKeys<E2>,
    name?: string
  ): Effect.Effect<DecryptedStream<E1>, E1 | E2 | UnwrapError | DamagedError, R | Scope.Scope>
} = dual(
  (args) => Predicate.hasProperty(args[0], Stream.StreamTypeId),
  <E1, E2, R>(
    ciphertext: Stream.Stream<Uint8Array, E1, R>,
    keys: DecryptionKeys<E2>,
    name = "the stream"
  ): Effect.Effect<DecryptedStream<E1>, E1 | E2 | UnwrapError | DamagedError, R | Scope.Scope> =>
    Effect.gen(function* () {
      const context = yield* Effect.context<R>()
      const input = yield* fromStream(name, Stream.provideContext(ciphertext, context))
      const { origin, payload } = yield* unlock(input, keys)
      const messageKeys = yield* Payload.readMessageKeys(input, payload)
      return { origin, content: Payload.openStream(messageKeys, input.rest, name) }
    })
)

/** Steps 1 and 2: reads and decodes the prelude. Nothing in it is authenticated yet. */
export const readPrelude = <E>(
  input: Input<E>
): Effect.Effect<
  { readonly prelude: Prelude.Prelude; readonly length: number },
  E | DamagedError
> =>
  Effect.gen(function* () {
    const file = input.name
    const fixed = yield* input.take(Prelude.fixedBytes)
    const version = Prelude.newerVersion(fixed)
    if (version !== undefined) return yield* new FileFromNewer({ file, version })
    if (!Prelude.hasMagic(fixed)) return yield* new NotEncrypted({ file })
    if (fixed.length < Prelude.fixedBytes) return yield* new FileTruncated({ file })
    const length = Prelude.lengthOf(fixed)
    if (length === undefined)
      return yield* new FileTampered({ file, detail: "its header was changed" })
    const rest = yield* input.take(length - fixed.length)
    if (fixed.length + rest.length < length) return yield* new FileTruncated({ file })
    const prelude = Prelude.decode(Buffer.concat([fixed, rest]))
    if (prelude === undefined)
      return yield* new FileTampered({ file, detail: "its header was changed" })
    return { prelude, length }
  })

/** Begins a new file: its prelude, and a payload without chunks. */
const begin = (to: Recipients) =>
  Effect.gen(function* () {
    const payloadKey = Secret.random(Prelude.keyBytes)
    return {
      ...(yield* newPrelude(to, payloadKey, false)),
      message: beginMessage(payloadKey.expose(), Prelude.magic)
    }
  })

const newPrelude = (
  to: Recipients,
  payloadKey: Secret,
  rekeyed: boolean
): Effect.Effect<
  { readonly prelude: Uint8Array; readonly summary: EncryptionSummary },
  WrapError
> =>
  Effect.gen(function* () {
    const headerKey = Secret.random(Prelude.keyBytes)
    const header = yield* wrap(to, headerKey, rekeyed)
    return {
      prelude: Prelude.encode(header, headerKey, payloadKey),
      summary: { kind: header.kind, recipients: header.stanzas.length }
    }
  })

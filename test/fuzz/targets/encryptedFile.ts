// Encrypted files: header, key block and chunks, for a reader that has every kind of key.
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import * as EncryptedFile from "../../../src/files/EncryptedFile.ts"
import * as Header from "../../../src/files/Header.ts"
import { fromStream } from "../../../src/files/Input.ts"
import { Recipients } from "../../../src/files/Recipients.ts"
import { cut } from "../channelOf.ts"
import { alice, fileKey, mallory, server } from "../fixed.ts"
import { check, checkSame, outcomeOf, type Target } from "../Target.ts"

const plaintexts = ["", "a short text", "x".repeat(16_384), "y".repeat(16_400)]

const recipients = [
  Recipients.FileKey({ key: fileKey }),
  Recipients.Recipients({ publicKeys: [server.publicKey, alice.publicKey], sender: mallory }),
  Recipients.Anonymous({ publicKeys: [alice.publicKey] }),
  // Alice cannot open it.
  Recipients.Anonymous({ publicKeys: [server.publicKey] })
]

const seal = (to: Recipients, plaintext: string): Buffer =>
  Buffer.concat([
    ...Effect.runSync(
      Effect.orDie(
        Stream.runCollect(EncryptedFile.encryptStream(to)(Stream.make(Buffer.from(plaintext))))
      )
    )
  ])

/** Decrypts a file. The passphrase of one that has one is not given: scrypt is slow by design. */
const open = (chunks: ReadonlyArray<Buffer>) =>
  Effect.gen(function* () {
    const { origin, content } = yield* EncryptedFile.decryptStream(Stream.fromIterable(chunks), {
      fileKey: Effect.succeed(fileKey),
      identity: Effect.succeed(alice)
    })
    const parts = yield* Stream.runCollect(content)
    return { origin, plaintext: Buffer.concat(Chunk.toReadonlyArray(parts)).toString() }
  }).pipe(Effect.scoped, Effect.either, Effect.runSync)

const headerOf = (chunks: ReadonlyArray<Buffer>) =>
  Effect.gen(function* () {
    const input = yield* fromStream("file", Stream.fromIterable(chunks))
    return (yield* EncryptedFile.readPrelude(input)).prelude
  }).pipe(Effect.scoped, Effect.either, Effect.runSync)

export const encryptedFile: Target = {
  maxBytes: 20_000,
  seeds: () =>
    plaintexts.flatMap((plaintext, index) =>
      recipients.slice(0, index < 2 ? 4 : 1).map((to) => seal(to, plaintext))
    ),
  words: [
    '{"fileKey":["',
    '{"anonymous":["',
    '{"recipients":["',
    '{"passphrase":["',
    '"],"rekeyed":true}',
    '","'
  ],
  run: (input) => {
    const prelude = headerOf([input])
    if (Either.isRight(prelude)) {
      const { header, context } = prelude.right
      checkSame(Header.encode(header), context.subarray(12), "a header encodes to other bytes")
    }
    const result = open([input])
    const inParts = open(cut(input, 1000))
    if (Either.isLeft(result)) {
      check(Either.isLeft(inParts) && inParts.left.message === result.left.message, "cuts")
      return outcomeOf(result.left.message.replace(/sealwire1\w+/g, "…"))
    }
    check(Either.isRight(inParts), "the cuts of the stream changed the file")
    const { origin, plaintext } = result.right
    check(plaintexts.includes(plaintext), "a plaintext that nobody has encrypted")
    return `${origin.kind} ${origin.rekeyed} ${plaintext.length}`
  }
}

// A file that is written again for other recipients: what it says about itself, and that no old key
// opens the new one.
import { randomBytes } from "node:crypto"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Secret } from "../../src/bytes/Secret.ts"
import * as EncryptedFile from "../../src/files/EncryptedFile.ts"
import { fromStream } from "../../src/files/Input.ts"
import type { Output } from "../../src/files/Output.ts"
import * as Prelude from "../../src/files/Prelude.ts"
import { Recipients } from "../../src/files/Recipients.ts"
import { unwrap } from "../../src/files/Stanzas.ts"
import { decryptBuffer, encryptToBuffer, fileKey } from "./inMemory.ts"

const [old, next] = [Secret.random(32), Secret.random(32)]
const plaintext = randomBytes(40_000)
const payloadOf = (file: Buffer) => file.subarray(Prelude.lengthOf(file))

const writers = { rekey: EncryptedFile.rekey, reencrypt: EncryptedFile.reencrypt }

/** Writes a file again with one of the two functions. */
const again = (how: "rekey" | "reencrypt", file: Buffer) =>
  Effect.gen(function* () {
    const parts: Array<Uint8Array> = []
    const output: Output<never> = {
      name: "output",
      write: (bytes) => Effect.sync(() => void parts.push(Buffer.from(bytes))),
      commit: Effect.void
    }
    const input = yield* fromStream("file", Stream.make(file))
    const unlocked = yield* EncryptedFile.unlock(input, fileKey(old))
    const summary = yield* writers[how](input, output, unlocked, Recipients.FileKey({ key: next }))
    expect(summary).toEqual({ kind: "fileKey", recipients: 1 })
    return Buffer.concat(parts)
  }).pipe(Effect.scoped, Effect.runPromise)

it.each([
  ["rekey", true],
  ["reencrypt", false]
] as const)("%s: rekeyed is %s, and only the new key opens it", async (how, rekeyed) => {
  const file = await encryptToBuffer(Recipients.FileKey({ key: old }), plaintext)
  expect(await decryptBuffer(file, fileKey(old))).toMatchObject({ origin: { rekeyed: false } })
  const written = await again(how, file)
  expect(await decryptBuffer(written, fileKey(next))).toMatchObject({
    plaintext,
    origin: { rekeyed }
  })
  expect(await decryptBuffer(written, fileKey(old))).toMatchObject({
    error: { _tag: "NotForThisKey" }
  })
  expect(payloadOf(written).equals(payloadOf(file))).toBe(how === "rekey")
})

it("the header key is not the payload key: a new header reveals nothing about an old one", async () => {
  const file = await encryptToBuffer(Recipients.FileKey({ key: old }), plaintext)
  const header = await Effect.gen(function* () {
    const input = yield* fromStream("file", Stream.make(file))
    const { prelude } = yield* EncryptedFile.readPrelude(input)
    const { headerKey } = yield* unwrap(prelude.header, fileKey(old), "file")
    // Another header key, and any changed byte before the key block, open nothing.
    expect(Prelude.openKeyBlock(prelude, Secret.random(32))).toBeUndefined()
    const context = Buffer.from(prelude.context)
    context[0] = (context[0] ?? 0) ^ 1
    expect(Prelude.openKeyBlock({ ...prelude, context }, headerKey)).toBeUndefined()
    return { headerKey, payloadKey: Prelude.openKeyBlock(prelude, headerKey) }
  }).pipe(Effect.scoped, Effect.runPromise)
  expect(header.payloadKey?.length).toBe(32)
  expect(Buffer.from(header.headerKey.expose()).equals(header.payloadKey ?? none)).toBe(false)
})
const none = new Uint8Array(0)

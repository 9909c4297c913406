// FORMAT.md: an encrypted file of each kind, read with every key that opens it and written again
// with the vector's own randomness.
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Header from "../../src/files/Header.ts"
import * as Prelude from "../../src/files/Prelude.ts"
import { openMessage } from "../../src/files/Opener.ts"
import { sealMessage } from "../../src/files/Sealer.ts"
import type { DecryptionKeys } from "../../src/files/Stanzas.ts"
import { fromPrivate } from "../../src/keys/KeyPair.ts"
import { fromHex, toHex, wire } from "../vectors/wire.ts"
import { decryptBuffer } from "./inMemory.ts"

const { files } = wire
const bytesOf = (name: string): Buffer => fromHex(files[name] ?? "")
const pairOf = (secret: string) => fromPrivate(new Secret(fromHex(secret)))

const sender = pairOf(files.sender ?? "")
const recipients = files.recipients.map(pairOf)
const fileKey: DecryptionKeys = {
  fileKey: Effect.sync(() => new Secret(fromHex(files["file key"] ?? "")))
}
const readers = recipients.map((identity): DecryptionKeys => ({
  identity: Effect.succeed(identity)
}))

interface Case {
  readonly file: string
  readonly kind: Header.Kind
  readonly keys: ReadonlyArray<DecryptionKeys>
  readonly passphrase?: string
  readonly rekeyed?: boolean
  readonly proven?: boolean
}

const cases: ReadonlyArray<Case> = [
  { file: "fileKey", kind: "fileKey", keys: [fileKey] },
  { file: "passphrase file", kind: "passphrase", keys: [{}], passphrase: files.passphrase ?? "" },
  { file: "recipients file", kind: "recipients", keys: readers, proven: true },
  { file: "anonymous file", kind: "anonymous", keys: readers.slice(0, 1) },
  { file: "rekeyed file", kind: "fileKey", keys: [fileKey], rekeyed: true }
]

it("has a vector of every kind of file", () => {
  expect(new Set(cases.map(({ kind }) => kind))).toEqual(new Set(Object.keys(Header.kinds)))
})

describe.each(cases)("$file", ({ file, kind, keys, passphrase, rekeyed = false, proven }) => {
  it.each(keys.map((one, index) => ({ one, index })))(
    "is read with key $index",
    async ({ one }) => {
      const result = await decryptBuffer(bytesOf(file), one, passphrase)
      expect(result).toMatchObject({ origin: { kind, rekeyed } })
      if (result.origin === undefined) throw new Error("not decrypted")
      expect(toHex(result.plaintext)).toBe(files.plaintext)
      expect(result.origin.sender && toHex(result.origin.sender)).toBe(
        proven === true ? toHex(sender.publicKey) : undefined
      )
    }
  )

  it("is written again, byte for byte, with the salts of the vector", () => {
    const bytes = bytesOf(file)
    const length = Prelude.lengthOf(bytes.subarray(0, 12)) ?? 0
    const prelude = Prelude.decode(bytes.subarray(0, length))
    if (prelude === undefined) throw new Error("no prelude")
    const { header, context, keyBlock } = prelude
    expect(toHex(Header.encode(header))).toBe(toHex(context.subarray(12)))
    const headerKey = rekeyed ? headerKeyOf(header.stanzas[0]) : fromHex(files["header key"] ?? "")
    const payloadKey = fromHex(files["payload key"] ?? "")
    expect(
      toHex(sealMessage(headerKey, context, payloadKey, { salt: keyBlock.subarray(0, 24) }))
    ).toBe(toHex(keyBlock))
    const payload = bytes.subarray(length)
    const plaintext = fromHex(files.plaintext ?? "")
    expect(
      toHex(sealMessage(payloadKey, Prelude.magic, plaintext, { salt: payload.subarray(0, 24) }))
    ).toBe(toHex(payload))
    if (kind !== "fileKey") return
    const [stanza = new Uint8Array(0)] = header.stanzas
    expect(
      toHex(
        sealMessage(fromHex(files["file key"] ?? ""), fileKeyContext, headerKey, {
          salt: stanza.subarray(0, 24)
        })
      )
    ).toBe(toHex(stanza))
  })
})

const fileKeyContext = Buffer.from("sealwire file v1 file key")

const headerKeyOf = (stanza: Uint8Array | undefined): Uint8Array => {
  const key = openMessage(
    fromHex(files["file key"] ?? ""),
    fileKeyContext,
    stanza ?? new Uint8Array(0)
  )
  if (typeof key === "string") throw new Error(key)
  return key
}

it("writes raw messages byte for byte", () => {
  const salt = Buffer.from(Array.from({ length: 24 }, (_, index) => index))
  const key = fromHex(files["file key"] ?? "")
  const none = new Uint8Array(0)
  expect(toHex(sealMessage(key, none, none, { salt }))).toBe(
    files["raw, no context, salt 00..17, empty"]
  )
  const zeros = sealMessage(key, Buffer.from("ctx"), new Uint8Array(16_384), { salt })
  expect(createHash("sha256").update(zeros).digest("hex")).toBe(
    files["raw, context 'ctx', salt 00..17, 16384 zeros (SHA-256 of the message)"]
  )
})

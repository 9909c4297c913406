// The vectors of MESSAGES.md, TRANSFER.md, PAIRING.md and of the key announcement of PROTOCOL.md,
// in both directions.
import { createHash } from "node:crypto"
import { describe, expect, it } from "vitest"
import * as Code from "../../src/bytes/Code.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Possession from "../../src/channel/Possession.ts"
import { FileKey, Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import { fromPrivate } from "../../src/keys/KeyPair.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import type { ServerKey } from "../../src/peers/KnownPeers.ts"
import * as KeyAnnouncement from "../../src/services/KeyAnnouncement.ts"
import { encodeMessages, MessageDecoder } from "../../src/services/messages/MessageFrame.ts"
import { encodeReceipt, ReceiptDecoder } from "../../src/services/messages/Receipt.ts"
import { derivePsk } from "../../src/services/pairing/Pairing.ts"
import { FileDigest, smallFileDigest } from "../../src/services/transfer/Digest.ts"
import * as Manifest from "../../src/services/transfer/Manifest.ts"
import { SafePath } from "../../src/services/transfer/SafePath.ts"
import { peerTag, resumableName } from "../../src/services/transfer/PartialFile.ts"
import { fromHex, toHex, wire } from "../vectors/wire.ts"

const id = fromHex("000102030405060708090a0b0c0d0e0f")
const { messages, transfer, pairing, keys } = wire
const mebibyte = 1024 * 1024

describe("keys", () => {
  it.each([
    ["shared", SharedKey],
    ["identity", Identity],
    ["file key", FileKey]
  ] as const)("%s", (name, kind) => {
    const [bytes, text] = keys[name]
    expect(
      KeyText.encode(kind, new Secret(fromHex(bytes)))
        .trim()
        .split("\n")
        .at(-1)
    ).toBe(text)
    for (const spelling of [text, text.toLowerCase()]) {
      const decoded = KeyText.decode(kind, Buffer.from(spelling))
      expect(decoded._tag === "Right" && toHex(decoded.right.expose())).toBe(bytes)
    }
  })
  it("public", () => {
    const [bytes, text] = keys.public
    expect(PublicKey.encode(fromHex(bytes))).toBe(text)
    for (const spelling of [text, text.toUpperCase()])
      expect(toHex(PublicKey.decode(spelling) ?? id)).toBe(bytes)
    expect(PublicKey.decode(`S${text.slice(1)}`)).toBeUndefined()
    expect(toHex(fromPrivate(new Secret(fromHex(keys.identity[0]))).publicKey)).toBe(bytes)
  })
})

describe("messages", () => {
  it.each([
    ["one, id 00..0f, 'hi'", false],
    ["the same that asks", true]
  ] as const)("%s", (name, asks) => {
    const frame = messages[name] ?? ""
    const [batch] = encodeMessages([Buffer.from("hi")], { ids: [id], wantsReply: asks })
    expect(batch && toHex(Buffer.concat(batch.chunks))).toBe(frame)
    const [message] = new MessageDecoder().push(fromHex(frame)) ?? []
    expect(message?.wantsReply).toBe(asks)
    expect([message?.id, message?.text].map((bytes) => bytes && toHex(bytes))).toEqual([
      toHex(id),
      toHex(Buffer.from("hi"))
    ])
  })
  it.each([
    ["receipt 0, 7", { status: "handled", count: 7 }],
    ["reply 'ok' of the third", { status: "reply", count: 3, text: Buffer.from("ok") }]
  ] as const)("%s", (name, receipt) => {
    const frame = messages[name] ?? ""
    expect(toHex(encodeReceipt(receipt))).toBe(frame)
    const [read, ...others] = new ReceiptDecoder().push(fromHex(frame)) ?? []
    expect(others).toEqual([])
    expect(read).toMatchObject({ status: receipt.status, count: receipt.count })
    expect(read?.text && Buffer.from(read.text).toString()).toBe(
      "text" in receipt ? "ok" : undefined
    )
  })
})

describe("a key announcement", () => {
  const { announcement } = wire
  const pairOf = (secret: string) => fromPrivate(new Secret(fromHex(secret)))
  const ephemeral = pairOf(announcement["client ephemeral"])
  const hash = fromHex(announcement["handshake hash"])
  const keys = announcement["private keys: current, of the handshake, retiring"].map(
    (secret, index) => {
      const seconds = announcement.retires[index] ?? 0
      return { ...pairOf(secret), ...(seconds === 0 ? {} : { retires: seconds * 1000 }) }
    }
  )
  const shown = keys[1]?.publicKey ?? id
  it("is sent", () => {
    const possession = Possession.ofServer(hash, ephemeral.publicKey)
    const body = KeyAnnouncement.encode(keys, { shown, possession })
    expect(body && toHex(body)).toBe(announcement["CONTROL body"])
  })
  it("is read", () => {
    const possession = Possession.ofClient(hash, ephemeral)
    const body = fromHex(announcement["CONTROL body"])
    const read = KeyAnnouncement.decode(body, { shown, possession })
    const plain = (all: ReadonlyArray<ServerKey> | undefined) =>
      all?.map(({ publicKey, retires }) => [toHex(publicKey), retires])
    expect(plain(read)).toEqual(plain(keys))
  })
})

describe("files", () => {
  it("digests of a file of one piece", () => {
    expect(toHex(smallFileDigest(new Uint8Array(0)))).toBe(transfer["digest of nothing"])
    expect(toHex(smallFileDigest(Buffer.from("abc")))).toBe(transfer["digest of 'abc'"])
  })
  it("digests of a file of two blocks", () => {
    const blocks: Array<Buffer> = []
    const digest = new FileDigest([], (block) => void blocks.push(block))
    const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
    for (let piece = 0; piece < 8; piece++) digest.push(sha256(new Uint8Array(mebibyte)))
    digest.push(sha256(new Uint8Array(mebibyte).fill(1)))
    digest.push(sha256(Buffer.from([2])))
    const expected = transfer["8 MiB of 00, 1 MiB of 01, one 02"]
    expect(toHex(digest.digest())).toBe(expected.file)
    expect(blocks.map(toHex)).toEqual(expected.blocks)
  })
  it("an ENTRIES frame, and the names of its incomplete file", () => {
    const frame = transfer["ENTRIES frame: file d/ü.bin 0640 1700000000123456 20 MiB"] ?? ""
    const body = fromHex(frame).subarray(5)
    // The folder of the entry is not part of the vector, so that the decoder cannot take it whole.
    const entry: Manifest.Entry = {
      kind: "file",
      path: SafePath.parse("d/ü.bin") as SafePath,
      size: 20 * mebibyte,
      mode: 0o640,
      mtime: 1_700_000_000_123_456
    }
    const [encoded] = Manifest.encode([entry])
    expect(encoded && toHex(encoded)).toBe(toHex(body))
    const folder: Manifest.Entry = {
      ...entry,
      kind: "folder",
      path: entry.path.parent,
      size: 0
    }
    const decoder = new Manifest.ManifestDecoder()
    const [whole = new Uint8Array(0)] = Manifest.encode([folder])
    expect(decoder.decode(Buffer.concat([whole, body]))).toBeUndefined()
    expect(decoder.entries).toEqual([folder, entry])
    const sender = fromPrivate(new Secret(fromHex(keys.identity[0]))).publicKey
    expect(resumableName("ü.bin", peerTag("shared"), entry)).toBe(
      transfer["its unfinished file, shared key"]
    )
    expect(resumableName("ü.bin", peerTag(sender), entry)).toBe(
      transfer["its unfinished file, sender the client static of above"]
    )
  })
})

describe("pairing", () => {
  it("a code is written and read, and becomes a shared key", () => {
    const code = new Secret(fromHex(pairing.code))
    expect(Code.encode(code)).toBe(pairing.written)
    expect(toHex(derivePsk(code).expose())).toBe(pairing.psk)
    const [bytes, written] = pairing.another
    const read = Code.decode(written)
    expect(read && toHex(read.expose())).toBe(bytes)
    expect(Code.encode(new Secret(fromHex(bytes)))).toBe(written)
  })
})

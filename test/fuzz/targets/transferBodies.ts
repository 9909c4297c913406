// The bodies of the small frames of a transfer. The first byte of an input chooses the decoder.
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { check, checkSame, type Target } from "../Target.ts"

/** Decodes a body and encodes the value again; undefined for a malformed body. */
type Codec = (body: Buffer) => Uint8Array | undefined

const codec =
  <A>(decode: (body: Buffer) => A | undefined, encode: (value: A) => Uint8Array): Codec =>
  (body) => {
    const value = decode(body)
    return value === undefined ? undefined : encode(value)
  }

const codecs: Readonly<Record<string, Codec>> = {
  push: codec(Messages.decodePush, Messages.encodePush),
  pull: codec(Messages.decodePull, Messages.encodePull),
  leftOut: codec(Messages.decodeLeftOut, Messages.encodeLeftOut),
  answers: codec(Messages.decodeAnswers, Messages.encodeAnswers),
  receipts: codec(Messages.decodeReceipts, Messages.encodeReceipts),
  stop: codec(Messages.decodeStop, Messages.encodeStop),
  skip: codec(Messages.decodeSkip, Messages.encodeSkip)
}
const names = Object.keys(codecs)

const input = (name: keyof typeof codecs, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(names.indexOf(String(name))), body])

const pathOf = (text: string): SafePath => SafePath.parse(text) as SafePath

export const transferBodies: Target = {
  maxBytes: 6000,
  seeds: () => [
    input("push", Messages.encodePush({ policy: "rename", dry: true })),
    input(
      "pull",
      Messages.encodePull({
        links: "keep",
        dry: false,
        paths: [SafePath.root, pathOf("a/b"), pathOf("ö")]
      })
    ),
    input("leftOut", Messages.encodeLeftOut({ reason: "name", path: "../x" })),
    input("answers", Messages.encodeAnswers(Messages.answers)),
    input(
      "receipts",
      Messages.encodeReceipts([
        { index: 1, outcome: "stored" },
        { index: 2, outcome: "renamed", path: pathOf("a (1)") }
      ])
    ),
    input("stop", Messages.encodeStop("diskFull")),
    input("skip", Messages.encodeSkip({ index: 9, reason: "changed" }))
  ],
  words: ["..", "/", "a/../b", "\0"],
  run: (bytes) => {
    const name = names[(bytes[0] ?? 0) % names.length] as string
    const body = bytes.subarray(1)
    const encoded = codecs[name]?.(body)
    if (encoded === undefined) return `${name} malformed`
    // LEFTOUT is for display, and a long path is cut when it is sent.
    check(name === "leftOut" || encoded.length === body.length, "another length")
    if (name !== "leftOut" || body.length <= 4099)
      checkSame(encoded, body, `${name} encodes to other bytes`)
    return name
  }
}

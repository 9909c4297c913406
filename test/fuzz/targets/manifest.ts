// The manifest of a transfer, as the receiver reads it: ENTRIES, LEFTOUT, MANIFESTEND, STOP.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Frames, frame, FrameType } from "../../../src/services/transfer/Frame.ts"
import * as Manifest from "../../../src/services/transfer/Manifest.ts"
import { readManifest } from "../../../src/services/transfer/ManifestReader.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { channelOf, cut } from "../channelOf.ts"
import { check, checkSame, outcomeOf, type Target } from "../Target.ts"
import { noProgress } from "../../../src/services/transfer/TransferProgress.ts"

const entries: ReadonlyArray<Manifest.EncodableEntry> = [
  { kind: "file", path: { text: "a.txt" }, size: 5, mode: 0o644, mtime: 1_700_000_000_000_000 },
  { kind: "folder", path: { text: "b" }, size: 0, mode: 0o755, mtime: 0 },
  { kind: "folder", path: { text: "b/c" }, size: 0, mode: 0o755, mtime: 0 },
  { kind: "file", path: { text: "b/c/A.txt" }, size: 0, mode: 0o600, mtime: -1 },
  { kind: "link", path: { text: "b/l" }, size: 0, mode: 0o777, mtime: 0, target: "c/A.txt" },
  { kind: "file", path: { text: "z" }, size: 2 ** 43, mode: 0, mtime: 1 }
]
const bodies = [...Manifest.encode(entries)]
const end = frame(FrameType.ManifestEnd, Messages.encodeManifestEnd(entries.length, 2 ** 43 + 5))
const leftOut = frame(
  FrameType.LeftOut,
  Messages.encodeLeftOut({ reason: "special", path: "b/pipe" })
)

const read = (chunks: ReadonlyArray<Uint8Array>) => {
  const channel = channelOf(chunks)
  const frames = new Frames(channel)
  const pace = () => Effect.void
  return Effect.runSync(
    Effect.either(readManifest({ channel, frames, progress: noProgress, pace }))
  )
}

export const manifest: Target = {
  maxBytes: 4096,
  seeds: () => [
    Buffer.concat([...bodies.map((body) => frame(FrameType.Entries, body)), leftOut, end]),
    frame(FrameType.ManifestEnd, Messages.encodeManifestEnd(0, 0)),
    ...Messages.stopReasons.map((reason) => frame(FrameType.Stop, Messages.encodeStop(reason))),
    // Frames of one entry, which are put together more easily.
    ...entries.map((entry) =>
      Buffer.concat([
        ...[...Manifest.encode([entry])].map((body) => frame(FrameType.Entries, body)),
        frame(FrameType.ManifestEnd, Messages.encodeManifestEnd(1, entry.size))
      ])
    )
  ],
  words: ["..", "/", "../", "a/../b", "con", "NUL.txt", "\0", "é", "e\u0301", ".sealwire-", "a."],
  run: (input) => {
    const result = read([input])
    const inParts = read(cut(input, 11))
    if (Either.isLeft(result)) {
      check(Either.isLeft(inParts) && inParts.left.message === result.left.message, "cuts")
      return outcomeOf(`${result.left._tag}: ${result.left.message}`)
    }
    check(Either.isRight(inParts), "the cuts of the stream changed the manifest")
    const { entries, bytes, collisions } = result.right
    for (const { path, target } of entries) {
      check(SafePath.parse(path.text) instanceof SafePath, `unsafe: ${JSON.stringify(path.text)}`)
      check(
        path.text.split("/").every((name) => name !== ".." && name !== ""),
        "leads out"
      )
      check(target === undefined || !target.startsWith("/"), "an absolute target")
    }
    check(
      entries.reduce((sum, { size }) => sum + size, 0) === bytes,
      "the sum of the sizes is another"
    )
    const encoded = Buffer.concat([...Manifest.encode(entries)])
    const decoder = new Manifest.ManifestDecoder()
    check(
      encoded.length === 0 || decoder.decode(encoded) === undefined,
      "the encoded manifest is refused"
    )
    checkSame(Buffer.concat([...Manifest.encode(decoder.entries)]), encoded, "encodes differently")
    return `${Math.min(entries.length, 3)} entries, ${Math.min(collisions.size, 2)} collisions`
  }
}

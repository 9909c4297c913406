// Everything that a sender of files sends: the manifest, then the content, received into a folder.
// The first byte of an input chooses the policy for names that are taken.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { Channel } from "../../../src/channel/Channel.ts"
import { FileDigest, pieceDigest, smallFileDigest } from "../../../src/services/transfer/Digest.ts"
import { pullOver } from "../../../src/services/transfer/FileClient.ts"
import { frame, FrameType, u32 } from "../../../src/services/transfer/Frame.ts"
import * as Manifest from "../../../src/services/transfer/Manifest.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { check, outcomeOf, type Target } from "../Target.ts"
import { noProgress } from "../../../src/services/transfer/TransferProgress.ts"

const small = Buffer.from("hello")
const taken = Buffer.from("what was here")
const entries: ReadonlyArray<Manifest.EncodableEntry> = [
  { kind: "file", path: { text: "a" }, size: small.length, mode: 0o644, mtime: 1e15 },
  { kind: "folder", path: { text: "d" }, size: 0, mode: 0o755, mtime: 1e15 },
  { kind: "file", path: { text: "d/b" }, size: small.length, mode: 0o600, mtime: 1e15 },
  { kind: "link", path: { text: "d/l" }, size: 0, mode: 0o777, mtime: 0, target: "b" },
  { kind: "file", path: { text: "taken" }, size: taken.length, mode: 0o644, mtime: 1e15 }
]

const manifest = Buffer.concat([
  ...[...Manifest.encode(entries)].map((body) => frame(FrameType.Entries, body)),
  frame(
    FrameType.ManifestEnd,
    Messages.encodeManifestEnd(
      entries.length,
      entries.reduce((sum, { size }) => sum + size, 0)
    )
  )
])

const smallFile = (index: number, bytes: Uint8Array): Buffer =>
  frame(FrameType.SmallFile, u32(index), smallFileDigest(bytes), bytes)
const largeFile = (index: number, bytes: Uint8Array): Buffer => {
  const digest = new FileDigest()
  digest.push(pieceDigest(bytes))
  return Buffer.concat([
    frame(FrameType.File, u32(index), u32(0)),
    frame(FrameType.Bytes, bytes),
    frame(FrameType.End, digest.digest())
  ])
}
const skip = (index: number, reason: Messages.SkipReason): Buffer =>
  frame(FrameType.Skip, Messages.encodeSkip({ index, reason }))
const end = frame(FrameType.TransferEnd)

/** The index of the first byte behind the manifest; the end of the input if it has none. */
const endOfManifest = (input: Buffer): number => {
  for (let at = 0; at + 5 <= input.length;) {
    const next = at + 5 + input.readUInt32BE(at + 1)
    if (input[at] === FrameType.ManifestEnd) return Math.min(next, input.length)
    at = next
  }
  return input.length
}

/** A sender that waits with the content until the receiver has answered every entry. */
const senderOf = (input: Buffer) => {
  const cut = endOfManifest(input)
  const items = [input.subarray(0, cut), input.subarray(cut)].filter(({ length }) => length > 0)
  const answered = Deferred.unsafeMake<void>(FiberId.none)
  let expected = Number.POSITIVE_INFINITY
  let answers = 0
  let count = 0
  const receipts: Array<Messages.Receipt> = []
  const update = () => {
    if (answers >= expected) Deferred.unsafeDone(answered, Effect.void)
  }
  /** Reads the receiver's frames, of which a write has whole ones. */
  const receive = (bytes: Buffer): void => {
    for (let at = 0; at + 5 <= bytes.length;) {
      const length = bytes.readUInt32BE(at + 1)
      const body = bytes.subarray(at + 5, at + 5 + length)
      if (bytes[at] === FrameType.Answers) answers += length
      if (bytes[at] === FrameType.Receipts) receipts.push(...(Messages.decodeReceipts(body) ?? []))
      at += 5 + length
    }
    update()
  }
  const channel: Partial<Channel> = {
    peer: "peer",
    peerAddress: "127.0.0.1:1",
    publicKey: undefined,
    read: Effect.suspend(() => {
      const item = items.shift()
      const isContent = count++ > 0 && item !== undefined
      return isContent ? Effect.as(Deferred.await(answered), item) : Effect.succeed(item)
    }),
    write: (bytes) => Effect.sync(() => receive(Buffer.from(bytes))),
    end: Effect.void
  }
  const expect = (count: number) => {
    expected = count
    update()
  }
  return { channel: channel as Channel, expect, receipts }
}

let top: string | undefined

/** A folder in memory, where flushes cost nothing. */
const topFolder = (): string => {
  if (top === undefined) {
    const made = mkdtempSync(
      path.join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "sealwire-fuzz-")
    )
    process.once("exit", () => rmSync(made, { recursive: true, force: true }))
    top = made
  }
  return top
}

const policies = ["refuse", "overwrite", "rename"] as const

export const incoming: Target = {
  maxBytes: 3000,
  seeds: () => {
    const all = [manifest, smallFile(0, small), largeFile(2, small), skip(4, "other"), end]
    return [
      Buffer.concat([Buffer.of(0), ...all]),
      Buffer.concat([
        Buffer.of(1),
        manifest,
        skip(0, "changed"),
        skip(2, "missing"),
        smallFile(4, taken),
        end
      ]),
      Buffer.concat([
        Buffer.of(2),
        manifest,
        smallFile(0, small),
        smallFile(2, small),
        smallFile(4, taken),
        end
      ]),
      Buffer.concat([Buffer.of(1), manifest, largeFile(0, taken), end])
    ]
  },
  words: [
    end,
    smallFile(0, small),
    largeFile(0, small),
    skip(4, "same"),
    frame(FrameType.Zeros, u32(5))
  ],
  run: async (input) => {
    const folder = topFolder()
    const into = path.join(folder, "into")
    rmSync(into, { recursive: true, force: true })
    mkdirSync(into)
    writeFileSync(path.join(into, "taken"), "something other", { mode: 0o644 })
    const sender = senderOf(input.subarray(1))
    let planned: ReadonlyArray<Manifest.Entry> = []
    const exit = await Effect.runPromiseExit(
      Effect.scoped(
        pullOver(sender.channel, {
          paths: [SafePath.root],
          into,
          policy: policies[(input[0] ?? 0) % policies.length] ?? "refuse",
          links: "keep",
          dry: false,
          progress: {
            ...noProgress,
            planned: (entries) =>
              Effect.sync(() => {
                planned = entries
                sender.expect(entries.length)
              })
          },
          pace: () => Effect.void
        })
      )
    )
    check(readdirSync(folder).join() === "into", "something beside the folder")
    for (const { index, outcome, path: as } of sender.receipts) {
      if (outcome !== "stored" && outcome !== "renamed") continue
      const entry = planned[index] as Manifest.Entry
      const stats = lstatSync(path.join(into, as?.text ?? entry.path.text))
      check(entry.kind !== "file" || stats.size === entry.size, "a stored file of another size")
    }
    const kept = sender.receipts.some(({ index }) => planned[index]?.path.text === "taken")
    // Complete files are stored, even if its receipt can no longer be sent.
    const after = readFileSync(path.join(into, "taken"))
    const sizes = planned.filter((entry) => entry.path.text === "taken").map(({ size }) => size)
    if (!kept)
      check(
        after.toString() === "something other" ||
          (Exit.isFailure(exit) && sizes.includes(after.length)),
        "a file changed"
      )
    if (Exit.isFailure(exit)) {
      check(Cause.isFailure(exit.cause) && !Cause.isInterruptedOnly(exit.cause), "no failure")
      const error = Cause.failureOption(exit.cause)
      check(error._tag === "Some", Cause.pretty(exit.cause))
      return outcomeOf(error._tag === "Some" ? error.value.message : "")
    }
    return [...new Set(sender.receipts.map(({ outcome }) => outcome))].toSorted().join()
  }
}

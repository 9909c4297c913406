// Peers that break the protocol: one attack per line. The session fails with the detail, and no
// file is stored outside the rules.
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { runs } from "../../fixtures/sample.ts"
import type { Channel } from "../../../src/channel/Channel.ts"
import { smallFileDigest } from "../../../src/services/transfer/Digest.ts"
import { frame, FrameType as F, header, u32 } from "../../../src/services/transfer/Frame.ts"
import { encode, type EncodableEntry } from "../../../src/services/transfer/Manifest.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { Transport } from "../../../src/transports/index.ts"
import { withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import {
  openChannel,
  partialFilesIn,
  writeTree,
  pullPaths,
  pushPaths,
  snapshot,
  serveFiles
} from "./Transfers.ts"
import { scopedFolder } from "../../fixtures/folder.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024

const push = frame(F.Push, Messages.encodePush({ policy: "refuse", dry: false }))
const entry = (text: string, size = 0, more: Partial<EncodableEntry> = {}): EncodableEntry => ({
  kind: "file",
  path: { text },
  size,
  mode: 0o644,
  mtime: 0,
  ...more
})
const manifest = (...entries: ReadonlyArray<EncodableEntry>): Buffer =>
  Buffer.concat([
    ...[...encode(entries)].map((body) => frame(F.Entries, body)),
    frame(
      F.ManifestEnd,
      Messages.encodeManifestEnd(
        entries.length,
        entries.reduce((sum, { size }) => sum + size, 0)
      )
    )
  ])
const smallFile = (index: number, bytes: Uint8Array, digest = smallFileDigest(bytes)) =>
  frame(F.SmallFile, u32(index), digest, bytes)
const file = (index: number, kept = 0) => frame(F.File, u32(index), u32(kept))
const piece = (bytes: Uint8Array) => frame(F.Bytes, bytes)
const big = randomBytes(2 * MiB)

/** The frames of a sender, and the detail of the error that they cause. */
const attacks: ReadonlyArray<
  readonly [name: string, frames: ReadonlyArray<Uint8Array>, detail: string]
> = [
  ["no request", [frame(F.ManifestEnd, Buffer.alloc(12))], "the first frame is not PUSH or PULL"],
  ["an unknown frame type", [push, Buffer.from([99, 0, 0, 0, 0])], "unknown frame type"],
  ["a frame of 4 GiB", [push, Buffer.from([16, 255, 255, 255, 255])], "a frame is too long"],
  ["an unknown policy", [frame(F.Push, Buffer.from([9, 0]))], "malformed PUSH frame"],
  [
    "a path that leads out of the folder",
    [push, frame(F.Entries, ...encode([entry("../x")]))],
    'a name is ".."'
  ],
  [
    "an absolute path",
    [push, frame(F.Entries, ...encode([entry("/tmp/x")]))],
    "a path is absolute"
  ],
  [
    "an entry of an unknown kind",
    [push, frame(F.Entries, Buffer.concat([Buffer.from([7]), Buffer.alloc(40)]))],
    "an entry has an unknown kind"
  ],
  [
    "wrong totals",
    [
      push,
      frame(F.Entries, ...encode([entry("a")])),
      frame(F.ManifestEnd, Messages.encodeManifestEnd(2, 0))
    ],
    "the totals of MANIFESTEND do not match the entries"
  ],
  [
    "a file before the manifest's end",
    [push, frame(F.Entries, ...encode([entry("a")])), smallFile(0, big.subarray(0, 0))],
    "unexpected frame before MANIFESTEND"
  ],
  [
    "a file with another index",
    [push, manifest(entry("a", 3)), smallFile(1, Buffer.from("abc"))],
    "unexpected file"
  ],
  [
    "a file twice",
    [
      push,
      manifest(entry("a", 3), entry("b", 3)),
      smallFile(0, Buffer.from("abc")),
      smallFile(0, Buffer.from("abc"))
    ],
    "unexpected file"
  ],
  [
    "files out of order",
    [push, manifest(entry("a", 3), entry("b", 3)), smallFile(1, Buffer.from("abc"))],
    "unexpected file"
  ],
  [
    "a small file that is too long",
    [push, manifest(entry("a", 3)), smallFile(0, Buffer.from("abcd"))],
    "a file has the wrong size"
  ],
  [
    "a small file that is too short",
    [push, manifest(entry("a", 3)), smallFile(0, Buffer.from("ab"))],
    "a file has the wrong size"
  ],
  [
    "a large file that ends early",
    [
      push,
      manifest(entry("a", 2 * MiB)),
      file(0),
      piece(big.subarray(0, MiB)),
      frame(F.End, Buffer.alloc(32))
    ],
    "a file has the wrong size"
  ],
  [
    "a large file that is too long",
    [
      push,
      manifest(entry("a", MiB)),
      file(0),
      piece(big.subarray(0, MiB)),
      piece(big.subarray(MiB))
    ],
    "a piece has the wrong size"
  ],
  [
    "a piece that is too short",
    [push, manifest(entry("a", 2 * MiB)), file(0), piece(big.subarray(0, 5))],
    "a piece has the wrong size"
  ],
  [
    "ZEROS with a body",
    [push, manifest(entry("a", MiB)), file(0), frame(F.Zeros, Buffer.alloc(1))],
    "a piece has the wrong size"
  ],
  [
    "kept blocks that were not offered",
    [push, manifest(entry("a", 20 * MiB)), file(0, 2)],
    "more kept blocks than were offered"
  ],
  [
    "SKIP as the same without a comparison",
    [
      push,
      manifest(entry("a", 3)),
      frame(F.Skip, Messages.encodeSkip({ index: 0, reason: "same" }))
    ],
    "SKIP of a file without a valid reason"
  ],
  [
    "TRANSFEREND before all files",
    [push, manifest(entry("a", 3)), frame(F.TransferEnd)],
    "TRANSFEREND before the last file"
  ],
  ["a frame of the receiver", [push, manifest(entry("a", 3)), frame(F.Done)], "unexpected frame"]
]

describe("the service rejects a sender that sends", () => {
  it.scopedLive.each(attacks)("%s", ([, frames, detail]) =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const { address, events } = yield* serveFiles(remote)
      const channel = yield* openChannel(address)
      yield* Effect.ignore(writeFrames(channel, frames))
      yield* withTimeout("the end", Effect.ignore(readToEnd(channel)))
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      expect(events.at(-1)).toMatchObject({ error: { _tag: "ChannelTampered", detail } })
      expect(readdirSync(remote).filter((name) => name !== "a")).toEqual([])
      if (existsSync(path.join(remote, "a"))) expect(detail).toBe("unexpected file")
    }).pipe(memory)
  )

  it.scopedLive("a file with a wrong digest, and continues the session", () =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const { address } = yield* serveFiles(remote)
      const channel = yield* openChannel(address)
      const wrong = smallFileDigest(Buffer.from("other"))
      yield* writeFrames(channel, [
        push,
        manifest(entry("a", 3), entry("b", MiB), entry("c", 3)),
        smallFile(0, Buffer.from("abc"), wrong),
        file(1),
        piece(big.subarray(0, MiB)),
        frame(F.End, wrong),
        smallFile(2, Buffer.from("abc")),
        frame(F.TransferEnd)
      ])
      yield* waitUntil("the valid file", () => existsSync(path.join(remote, "c")))
      expect(readdirSync(remote)).toEqual(["c"])
    }).pipe(memory)
  )

  it.scopedLive("a manifest of a million entries, with STOP", () =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const { address, events } = yield* serveFiles(remote)
      const channel = yield* openChannel(address)
      const million = function* (): Generator<EncodableEntry> {
        for (let index = 0; index < 1_000_000; index++)
          yield entry(index.toString().padStart(7, "0"))
      }
      yield* channel.write(push)
      yield* Effect.fork(
        Effect.ignore(
          Effect.forEach(encode(million()), (body) => channel.write(frame(F.Entries, body)))
        )
      )
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      expect(events.at(-1)).toMatchObject({ error: { _tag: "TransferStopped", reason: "tooMuch" } })
      expect(readdirSync(remote)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("endless LEFTOUT frames, with STOP", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serveFiles(yield* scopedFolder)
      const channel = yield* openChannel(address)
      const one = frame(
        F.LeftOut,
        Messages.encodeLeftOut({ reason: "link", path: "x".repeat(4096) })
      )
      const many = Buffer.concat(Array.from({ length: 64 }, () => one))
      yield* channel.write(push)
      yield* Effect.fork(Effect.ignore(Effect.forever(channel.write(many))))
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      expect(events.at(-1)).toMatchObject({ error: { _tag: "TransferStopped", reason: "tooMuch" } })
    }).pipe(memory)
  )
})

/** Writes frames; after MANIFESTEND waits for the answers. */
const writeFrames = (channel: Channel, frames: ReadonlyArray<Uint8Array>) =>
  Effect.forEach(frames, (bytes) =>
    Effect.zipRight(
      channel.write(bytes),
      bytes.at(-17) === F.ManifestEnd ? Effect.asVoid(channel.read) : Effect.void
    )
  )

const readToEnd = (channel: Channel) =>
  Effect.repeat(channel.read, { until: (item) => item === undefined })

describe("a push rejects a receiver that sends", () => {
  const answers = (...list: ReadonlyArray<Messages.Answer>) =>
    frame(F.Answers, Messages.encodeAnswers(list))
  const receipts = (index: number) =>
    frame(F.Receipts, Messages.encodeReceipts([{ index, outcome: "stored" }]))

  it.scopedLive.each<readonly [string, ReadonlyArray<Uint8Array>, string]>([
    ["an answer for a folder to a file", [answers("made")], "an answer does not fit its entry"],
    ["too many answers", [answers("want", "want")], "more answers than entries"],
    ["a receipt before the file was sent", [receipts(0)], "unexpected receipt"],
    ["a receipt for another entry", [answers("want"), receipts(7)], "unexpected receipt"],
    ["DONE before the receipt", [answers("want"), frame(F.Done)], "DONE before the last receipt"],
    [
      "more digests than blocks",
      [frame(F.Digests, Buffer.alloc(96))],
      "more digests than the file has blocks"
    ],
    ["a truncated digest", [frame(F.Digests, Buffer.alloc(31))], "malformed DIGESTS frame"],
    ["no digest in DIGESTS", [frame(F.Digests)], "malformed DIGESTS frame"],
    ["no answer in ANSWERS", [frame(F.Answers)], "malformed ANSWERS frame"],
    ["no receipt in RECEIPTS", [frame(F.Receipts)], "malformed RECEIPTS frame"],
    ...(["have", "compare", "differs"] as const).map(
      (answer) =>
        [
          `${answer} without digests`,
          [answers(answer)],
          "an answer with another number of digests"
        ] as const
    ),
    ["an unknown answer", [frame(F.Answers, Buffer.from([200]))], "malformed ANSWERS frame"],
    ["a frame of the sender", [header(F.TransferEnd, 0)], "unexpected frame"]
  ])("%s", ([, frames, detail]) =>
    Effect.gen(function* () {
      const error = yield* withTimeout("the end", Effect.flip(yield* pushTo(frames)))
      expect(error).toMatchObject({ _tag: "ChannelTampered", detail })
    }).pipe(memory)
  )
})

describe("a pull rejects a server that sends", () => {
  const folder = { kind: "folder" } as const
  const link = { kind: "link", target: "x" } as const
  type Attack = readonly [
    string,
    ReadonlyArray<string>,
    Messages.LinkPolicy,
    ReadonlyArray<EncodableEntry>,
    string
  ]
  it.scopedLive.each<Attack>([
    [
      "another file",
      ["report.pdf"],
      "skip",
      [entry(".bash_login"), entry("report.pdf")],
      '".bash_login" was not requested'
    ],
    [
      "a file in another folder",
      ["a"],
      "skip",
      [entry(".ssh", 0, folder), entry(".ssh/x")],
      '".ssh" was not requested'
    ],
    [
      "the enclosing folder",
      ["docs/a"],
      "skip",
      [entry("docs", 0, folder), entry("docs/a")],
      '"docs" was not requested'
    ],
    [
      "a name with the same beginning",
      ["a"],
      "keep",
      [entry("a"), entry("ab")],
      '"ab" was not requested'
    ],
    [
      "a link",
      ["a"],
      "skip",
      [entry("a", 0, link)],
      '"a" is a symbolic link, and none was requested'
    ],
    [
      "a link although links are followed",
      [""],
      "follow",
      [entry("b"), entry("c", 0, link)],
      '"c" is a symbolic link, and none was requested'
    ]
  ])("%s, and stores nothing", ([, names, links, entries, detail]) =>
    Effect.gen(function* () {
      const [remote, into] = [yield* scopedFolder, yield* scopedFolder]
      const { address } = yield* serveFiles(remote)
      let rest = manifest(...entries)
      const error = yield* withTimeout(
        "the end",
        Effect.flip(
          pullPaths(address, names, into, {
            links,
            wrap: (channel) => ({
              ...channel,
              read: Effect.suspend(() => {
                const some = rest.subarray(0, 7)
                rest = rest.subarray(7)
                return some.length === 0 ? Effect.never : Effect.succeed(some)
              })
            })
          })
        )
      )
      expect(error).toMatchObject({ _tag: "ChannelTampered", detail })
      expect(readdirSync(into)).toEqual([])
    }).pipe(memory)
  )
})

/** Pushes one small file to a server that sends these bytes, whatever it receives. */
const pushTo = (frames: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const local = yield* scopedFolder
    writeFileSync(path.join(local, "a"), "abc")
    const remote = yield* scopedFolder
    const { address } = yield* serveFiles(remote)
    const bytes = Buffer.concat(frames)
    let at = 0
    return pushPaths(address, [path.join(local, "a")], {
      wrap: (channel) => ({
        ...channel,
        read: Effect.suspend(() => {
          if (at >= bytes.length) return Effect.never
          const some = bytes.subarray(at, at + 7)
          at += some.length
          return Effect.succeed(some)
        })
      })
    })
  })

describe.skipIf(process.platform !== "linux")(
  "a folder that is swapped for a link while files arrive",
  () => {
    it.scopedLive(
      "never stores anything outside",
      () =>
        Effect.gen(function* () {
          const [local, remote, outside] = [
            yield* scopedFolder,
            yield* scopedFolder,
            yield* scopedFolder
          ]
          const many = Object.fromEntries(
            Array.from({ length: 150 }, (_, index) => [`f${index}`, Buffer.from(`${index}`)])
          )
          writeTree(path.join(local, "top"), {
            sub: many,
            more: { "large.bin": randomBytes(9 * MiB) }
          })
          mkdirSync(path.join(remote, "top"))
          const { address } = yield* serveFiles(remote, { overwrite: true })
          // Renames the folder away and puts a link in its place, thousands of times a second.
          const script = `cd "${remote}/top"; while :; do for d in sub more; do mkdir -p $d; mv -T $d $d.away 2>/dev/null && ln -s "${outside}" $d; rm -f $d; mv -T $d.away $d 2>/dev/null; done; done`
          const swapper = spawn("bash", ["-c", script], { stdio: "ignore", detached: true })
          // The group: a child of the shell that goes on would put files into a removed folder.
          const kill = () => {
            if (swapper.signalCode === null) process.kill(-(swapper.pid ?? 0), "SIGKILL")
          }
          yield* Effect.addFinalizer(() => Effect.sync(kill))
          for (let round = 0; round < runs(2, 6); round++)
            yield* Effect.ignore(
              pushPaths(address, [path.join(local, "top")], { policy: "overwrite" })
            )
          expect(readdirSync(outside)).toEqual([])
          kill()
          yield* waitUntil("the swapper's end", () => swapper.signalCode !== null)
          expect(snapshot(outside)).toEqual([])
          expect(partialFilesIn(outside)).toEqual([])
        }).pipe(memory),
      30_000
    )
  }
)

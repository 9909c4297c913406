// A sender, or a receiver, that lies: one attack a line. The session ends, and nothing has come into being that should not.
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { Channel } from "../../../src/channel/Channel.ts"
import { smallFileDigest } from "../../../src/services/transfer/Digest.ts"
import { frame, FrameType as F, header, u32 } from "../../../src/services/transfer/Frame.ts"
import { encode, type Entry } from "../../../src/services/transfer/Manifest.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { Transport } from "../../../src/transports/index.ts"
import { withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import { connected, folder, partsIn, plant, pulled, pushed, seen, serving } from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024

const push = frame(F.Push, Messages.encodePush({ policy: "refuse", dry: false }))
const entry = (where: string, size = 0, more: Partial<Entry> = {}): Entry => ({
  kind: "file",
  path: where,
  size,
  mode: 0o644,
  mtime: 0,
  ...more
})
const manifest = (...entries: ReadonlyArray<Entry>): Buffer =>
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
const whole = (index: number, bytes: Uint8Array, digest = smallFileDigest(bytes)) =>
  frame(F.SmallFile, u32(index), digest, bytes)
const file = (index: number, kept = 0) => frame(F.File, u32(index), u32(kept))
const piece = (bytes: Uint8Array) => frame(F.Bytes, bytes)
const big = randomBytes(2 * MiB)

/** What a sender says in one go, and the word that ends it. */
const lies: ReadonlyArray<
  readonly [name: string, said: ReadonlyArray<Uint8Array>, detail: string]
> = [
  ["no request", [frame(F.ManifestEnd, Buffer.alloc(12))], "no request"],
  [
    "a frame that there is not",
    [push, Buffer.from([99, 0, 0, 0, 0])],
    "a frame of a type that there is not"
  ],
  ["a frame of 4 GiB", [push, Buffer.from([16, 255, 255, 255, 255])], "a frame that is too long"],
  ["a policy that there is not", [frame(F.Push, Buffer.from([9, 0]))], "a push that is none"],
  ["a path that leads out", [push, frame(F.Entries, ...encode([entry("../x")]))], 'a name is ".."'],
  [
    "an absolute path",
    [push, frame(F.Entries, ...encode([entry("/tmp/x")]))],
    "a path is absolute"
  ],
  [
    "a device",
    [push, frame(F.Entries, Buffer.concat([Buffer.from([7]), Buffer.alloc(40)]))],
    "an entry is of no kind"
  ],
  [
    "other totals",
    [
      push,
      frame(F.Entries, ...encode([entry("a")])),
      frame(F.ManifestEnd, Messages.encodeManifestEnd(2, 0))
    ],
    "a manifest with other totals"
  ],
  [
    "a file before the manifest's end",
    [push, frame(F.Entries, ...encode([entry("a")])), whole(0, big.subarray(0, 0))],
    "no manifest"
  ],
  [
    "a file of another index",
    [push, manifest(entry("a", 3)), whole(1, Buffer.from("abc"))],
    "a file that was not asked for"
  ],
  [
    "a file twice",
    [
      push,
      manifest(entry("a", 3), entry("b", 3)),
      whole(0, Buffer.from("abc")),
      whole(0, Buffer.from("abc"))
    ],
    "a file that was not asked for"
  ],
  [
    "files out of turn",
    [push, manifest(entry("a", 3), entry("b", 3)), whole(1, Buffer.from("abc"))],
    "a file that was not asked for"
  ],
  [
    "a small file that is longer",
    [push, manifest(entry("a", 3)), whole(0, Buffer.from("abcd"))],
    "a file of another size than it was to have"
  ],
  [
    "a small file that is shorter",
    [push, manifest(entry("a", 3)), whole(0, Buffer.from("ab"))],
    "a file of another size than it was to have"
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
    "a file of another size than it was to have"
  ],
  [
    "a large file that goes on",
    [
      push,
      manifest(entry("a", MiB)),
      file(0),
      piece(big.subarray(0, MiB)),
      piece(big.subarray(MiB))
    ],
    "a piece of another size than it was to have"
  ],
  [
    "a piece that is too short",
    [push, manifest(entry("a", 2 * MiB)), file(0), piece(big.subarray(0, 5))],
    "a piece of another size than it was to have"
  ],
  [
    "zeros with bytes in them",
    [push, manifest(entry("a", MiB)), file(0), frame(F.Zeros, Buffer.alloc(1))],
    "a piece of another size than it was to have"
  ],
  [
    "blocks that are kept and are not there",
    [push, manifest(entry("a", 20 * MiB)), file(0, 2)],
    "blocks are kept that are not there"
  ],
  [
    "the same, where nothing was compared",
    [push, manifest(entry("a", 3)), frame(F.Skip, Messages.encodeSkip(0, "same"))],
    "a file that was asked for is not sent"
  ],
  [
    "an end before all files",
    [push, manifest(entry("a", 3)), frame(F.TransferEnd)],
    "a last word before the last file"
  ],
  [
    "a receiver's word",
    [push, manifest(entry("a", 3)), frame(F.Done)],
    "a frame where none of its type belongs"
  ]
]

describe("a sender that lies", () => {
  it.scopedLive.each(lies)("%s", ([, said, detail]) =>
    Effect.gen(function* () {
      const there = yield* folder
      const { address, events } = yield* serving(there)
      const channel = yield* connected(address)
      yield* Effect.ignore(saying(channel, said))
      yield* withTimeout("the end", Effect.ignore(drained(channel)))
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      expect(events.at(-1)).toMatchObject({ error: { _tag: "ChannelTampered", detail } })
      expect(readdirSync(there).filter((name) => name !== "a")).toEqual([])
      if (existsSync(path.join(there, "a"))) expect(detail).toBe("a file that was not asked for")
    }).pipe(memory)
  )

  it.scopedLive("about a digest: what came is thrown away, and the session goes on", () =>
    Effect.gen(function* () {
      const there = yield* folder
      const { address } = yield* serving(there)
      const channel = yield* connected(address)
      const wrong = smallFileDigest(Buffer.from("other"))
      yield* saying(channel, [
        push,
        manifest(entry("a", 3), entry("b", MiB), entry("c", 3)),
        whole(0, Buffer.from("abc"), wrong),
        file(1),
        piece(big.subarray(0, MiB)),
        frame(F.End, wrong),
        whole(2, Buffer.from("abc")),
        frame(F.TransferEnd)
      ])
      yield* waitUntil("the good one", () => existsSync(path.join(there, "c")))
      expect(readdirSync(there)).toEqual(["c"])
    }).pipe(memory)
  )

  it.scopedLive("with a manifest of a million entries is stopped, and told so", () =>
    Effect.gen(function* () {
      const there = yield* folder
      const { address, events } = yield* serving(there)
      const channel = yield* connected(address)
      const million = function* (): Generator<Entry> {
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
      expect(events.at(-1)).toMatchObject({ error: { _tag: "TransferStopped", reason: "many" } })
      expect(readdirSync(there)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("with ever more that is left out is stopped, and told so", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving(yield* folder)
      const channel = yield* connected(address)
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
      expect(events.at(-1)).toMatchObject({ error: { _tag: "TransferStopped", reason: "many" } })
    }).pipe(memory)
  )
})

/** Says it, and hears the answers where a manifest was whole. */
const saying = (channel: Channel, said: ReadonlyArray<Uint8Array>) =>
  Effect.forEach(said, (bytes) =>
    Effect.zipRight(
      channel.write(bytes),
      bytes.at(-17) === F.ManifestEnd ? Effect.asVoid(channel.read) : Effect.void
    )
  )

const drained = (channel: Channel) =>
  Effect.repeat(channel.read, { until: (item) => item === undefined })

describe("a receiver that lies", () => {
  const answers = (...said: ReadonlyArray<Messages.Answer>) =>
    frame(F.Answers, Messages.encodeAnswers(said))
  const receipts = (index: number) =>
    frame(F.Receipts, Messages.encodeReceipts([{ index, outcome: "stored" }]))

  it.scopedLive.each<readonly [string, ReadonlyArray<Uint8Array>, string]>([
    [
      "an answer for a file as for a folder",
      [answers("made")],
      "an answer that does not fit its entry"
    ],
    ["too many answers", [answers("want", "want")], "answers that are none"],
    ["a receipt before the file was sent", [receipts(0)], "a receipt for what it cannot have"],
    ["a receipt of another", [answers("want"), receipts(7)], "a receipt for what it cannot have"],
    [
      "an end before the receipt",
      [answers("want"), frame(F.Done)],
      "an end before the last receipt"
    ],
    [
      "more digests than blocks",
      [frame(F.Digests, Buffer.alloc(96))],
      "more digests than a file has blocks"
    ],
    ["digests that are cut off", [frame(F.Digests, Buffer.alloc(31))], "digests that are cut off"],
    [
      "an answer that there is not",
      [frame(F.Answers, Buffer.from([200]))],
      "answers that are none"
    ],
    ["a sender's word", [header(F.TransferEnd, 0)], "a frame where none of its type belongs"]
  ])("%s", ([, said, detail]) =>
    Effect.gen(function* () {
      const { near, far } = yield* pushingAt(said)
      const error = yield* withTimeout("the end", Effect.flip(near))
      expect(error).toMatchObject({ _tag: "ChannelTampered", detail })
      void far
    }).pipe(memory)
  )
})

describe("a server that sends what nobody asked for", () => {
  const dir = { kind: "folder" } as const
  const link = { kind: "link", target: "x" } as const
  type Lie = readonly [
    string,
    ReadonlyArray<string>,
    Messages.LinkPolicy,
    ReadonlyArray<Entry>,
    string
  ]
  it.scopedLive.each<Lie>([
    [
      "a file beside",
      ["report.pdf"],
      "skip",
      [entry(".bash_login"), entry("report.pdf")],
      '".bash_login" comes, which was not asked for'
    ],
    [
      "a file in a folder beside",
      ["a"],
      "skip",
      [entry(".ssh", 0, dir), entry(".ssh/x")],
      '".ssh" comes, which was not asked for'
    ],
    [
      "the folder around",
      ["docs/a"],
      "skip",
      [entry("docs", 0, dir), entry("docs/a")],
      '"docs" comes, which was not asked for'
    ],
    [
      "what begins alike",
      ["a"],
      "keep",
      [entry("a"), entry("ab")],
      '"ab" comes, which was not asked for'
    ],
    [
      "a link",
      ["a"],
      "skip",
      [entry("a", 0, link)],
      '"a" comes as a symbolic link, and none was asked for'
    ],
    [
      "a link to follow",
      [""],
      "follow",
      [entry("b"), entry("c", 0, link)],
      '"c" comes as a symbolic link, and none was asked for'
    ]
  ])("%s: it ends, and nothing is written", ([, names, links, entries, detail]) =>
    Effect.gen(function* () {
      const [there, into] = [yield* folder, yield* folder]
      const { address } = yield* serving(there)
      let rest = manifest(...entries)
      const error = yield* withTimeout(
        "the end",
        Effect.flip(
          pulled(address, names, into, {
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

/** A push of one small file to a server that says this, whatever it hears. */
const pushingAt = (said: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const here = yield* folder
    writeFileSync(path.join(here, "a"), "abc")
    const there = yield* folder
    const { address } = yield* serving(there)
    const bytes = Buffer.concat(said)
    let at = 0
    const near = pushed(address, [path.join(here, "a")], {
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
    return { near, far: there }
  })

describe.skipIf(process.platform !== "linux")(
  "a folder that becomes a link, back and forth, while files come",
  () => {
    it.scopedLive(
      "never leads outside",
      () =>
        Effect.gen(function* () {
          const [here, there, outside] = [yield* folder, yield* folder, yield* folder]
          const many = Object.fromEntries(
            Array.from({ length: 150 }, (_, index) => [`f${index}`, Buffer.from(`${index}`)])
          )
          plant(path.join(here, "top"), { sub: many, more: { "large.bin": randomBytes(9 * MiB) } })
          mkdirSync(path.join(there, "top"))
          const { address } = yield* serving(there, { overwrite: true })
          // Renames the folder away and puts a link in its place, thousands of times a second.
          const script = `cd "${there}/top"; while :; do for d in sub more; do mkdir -p $d; mv -T $d $d.away 2>/dev/null && ln -s "${outside}" $d; rm -f $d; mv -T $d.away $d 2>/dev/null; done; done`
          const swapper = spawn("bash", ["-c", script], { stdio: "ignore" })
          yield* Effect.addFinalizer(() => Effect.sync(() => swapper.kill("SIGKILL")))
          for (let round = 0; round < 6; round++)
            yield* Effect.ignore(pushed(address, [path.join(here, "top")], { policy: "overwrite" }))
          expect(readdirSync(outside)).toEqual([])
          swapper.kill("SIGKILL")
          yield* waitUntil("the swapper's end", () => swapper.signalCode !== null)
          expect(seen(outside)).toEqual([])
          expect(partsIn(outside)).toEqual([])
        }).pipe(memory),
      30_000
    )
  }
)

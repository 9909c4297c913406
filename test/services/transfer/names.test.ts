// Names, manifests and words from a hostile peer, without a channel.
import { it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { describe, expect } from "vitest"
import { protocolLimits } from "../../../src/services/transfer/limits.ts"
import { ManifestDecoder, encode, type Entry } from "../../../src/services/transfer/Manifest.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"

const file = (path: string, more: Partial<Entry> = {}): Entry => ({
  kind: "file",
  path,
  size: 0,
  mode: 0o644,
  mtime: 0,
  ...more
})
const dir = (path: string): Entry => file(path, { kind: "folder" })

const read = (entries: ReadonlyArray<Entry>): ManifestDecoder | string => {
  const decoder = new ManifestDecoder()
  for (const body of encode(entries)) {
    const wrong = decoder.decode(Buffer.from(body))
    if (wrong !== undefined) return wrong
  }
  return decoder
}

describe("a path", () => {
  it.each([
    ["/etc/passwd", "a path is absolute"],
    ["../x", 'a name is ".."'],
    ["a/../../x", 'a name is ".."'],
    ["a/./b", 'a name is "."'],
    ["", "a name is empty"],
    ["a//b", "a name is empty"],
    ["a/", "a name is empty"],
    ["a\0b", "a name has a control character in it"],
    ["a\nb", "a name has a control character in it"],
    ["\u001b[31m", "a name has a control character in it"],
    ["\u009b31m", "a name has a control character in it"],
    ["a\u007f", "a name has a control character in it"],
    ["C:", "a name begins with a drive letter"],
    ["c:x", "a name begins with a drive letter"],
    ["..\\..\\x", "a name has a \\ in it"],
    ["\ud800", "a name is no text"],
    ["x".repeat(256), "a name has more than 255 bytes"],
    ["é".repeat(128), "a name has more than 255 bytes"],
    [Array.from({ length: 129 }, () => "a").join("/"), "a path has more than 128 names"],
    [
      Array.from({ length: 64 }, () => "x".repeat(100)).join("/"),
      "a path has more than 4095 bytes"
    ],
    ["big.iso.a4d26868-1dc949fcac62134b.part", "a name is that of an unfinished transfer"],
    ["deep/a.a4d26868-0dc949fcac62134b.part", "a name is that of an unfinished transfer"]
  ])("%j is refused: %s", (path, why) => {
    expect(Names.parse(path)).toBe(why)
  })

  it.each([
    "a",
    "-rf",
    "~",
    " ",
    "...",
    "..a",
    "a..",
    "é",
    "e\u0301",
    "\u202egpj.exe",
    "ab:c",
    "x.part",
    "con",
    "*",
    "$(reboot)",
    "x".repeat(255)
  ])("%j is taken as it is", (path) => {
    expect(Names.parse(path)).toEqual([path])
  })
})

it.each([
  ["x", 0, true],
  ["a/b", 0, true],
  ["..", 0, false],
  ["../x", 1, true],
  ["../../x", 1, false],
  ["./../x", 1, true],
  ["a/../b", 5, false],
  ["a/../../..", 1, false],
  ["/x", 9, false],
  ["", 1, false],
  ["a\0", 1, false],
  ["C:\\x", 3, false],
  [".", 0, true],
  ["x".repeat(4096), 0, false]
] as const)("a link to %j, %i folders deep: %s", (target, depth, fine) => {
  expect(Names.targetProblem(target, depth) === undefined).toBe(fine)
})

describe("the name of an unfinished file", () => {
  it.prop(
    "fits, is known again, and is never a name that a peer may send",
    { name: FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 255 }) },
    ({ name }) => {
      FastCheck.pre(Names.nameProblem(name) === undefined)
      const part = Names.partialName(name, "0123abcd", "1", "0123456789abcde")
      expect(Buffer.byteLength(part)).toBeLessThanOrEqual(255)
      expect(name.startsWith(Names.parsePartialName(part)?.name ?? "?")).toBe(true)
      expect(Names.nameProblem(part)).toBe("a name is that of an unfinished transfer")
      expect(Names.nameProblem(Names.numbered(name, 7))).toBeUndefined()
    }
  )
})

describe("a manifest", () => {
  const names = FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter(
    (name) => Names.nameProblem(name) === undefined
  )

  it.prop(
    "comes out as it went in, in the order of its bytes",
    {
      paths: FastCheck.uniqueArray(names, { maxLength: 40 }),
      size: FastCheck.nat({ max: protocolLimits.fileBytes }),
      mtime: FastCheck.integer({ min: -1e15, max: 1e15 }),
      mode: FastCheck.nat({ max: 0o777 })
    },
    ({ paths, size, mtime, mode }) => {
      const entries = paths.sort(Names.compare).map((path) => file(path, { size, mtime, mode }))
      expect((read(entries) as ManifestDecoder).entries).toEqual(entries)
      const bytes = paths.map((path) => Buffer.from(path))
      expect(bytes.toSorted(Buffer.compare)).toEqual(bytes)
    }
  )

  it.each<readonly [string, ReadonlyArray<Entry>, string]>([
    ["the same path twice", [file("a"), file("a")], "a manifest is out of order"],
    ["out of order", [file("b"), file("a")], "a manifest is out of order"],
    [
      "a file before its folder",
      [file("a/b"), dir("a")],
      "an entry is in no folder of the manifest"
    ],
    ["a file in a file", [file("a"), file("a/b")], "an entry is in no folder of the manifest"],
    [
      "a file in a link",
      [file("a", { kind: "link", target: "b" }), file("a/b")],
      "an entry is in no folder of the manifest"
    ],
    [
      "a folder that is closed",
      [dir("a"), dir("b"), file("c/d")],
      "an entry is in no folder of the manifest"
    ],
    ["setuid", [file("a", { mode: 0o4755 })], "an entry's mode has more than permissions"],
    [
      "a folder with a size",
      [file("a", { kind: "folder", size: 1 })],
      "what is no file has a size"
    ],
    ["a file of 9 TiB", [file("a", { size: 9 * 1024 ** 4 })], "a file is too large"],
    [
      "a link that leads out",
      [file("a", { kind: "link", target: "../x" })],
      "a link leads out of the folder"
    ],
    ["a name that is none", [file("..")], 'a name is ".."'],
    ["a time that is none", [file("a", { mtime: 2 ** 62 })], "an entry's time is none"]
  ])("%s", (_, entries, why) => {
    expect(read(entries)).toBe(why)
  })

  it("is refused wherever it is cut off inside of an entry, and with every kind that there is not", () => {
    const [whole] = [...encode([file("a", { kind: "link", target: "b" })])].map((body) =>
      Buffer.from(body)
    ) as [Buffer]
    for (let length = 0; length < whole.length; length++)
      expect(new ManifestDecoder().decode(whole.subarray(0, length))).toBeTypeOf("string")
    for (let kind = 3; kind < 256; kind++) {
      const other = Buffer.from(whole)
      other[0] = kind
      expect(new ManifestDecoder().decode(other)).toBe("an entry is of no kind")
    }
  })

  it("of a million entries is refused at the first too many", () => {
    const decoder = new ManifestDecoder()
    let taken = 0
    const many = function* (): Generator<Entry> {
      for (let index = 0; index < 1_000_000; index++) yield file(index.toString().padStart(7, "0"))
    }
    let wrong: string | undefined
    for (const body of encode(many())) {
      wrong = decoder.decode(Buffer.from(body))
      if (wrong !== undefined) break
      taken += body.length
    }
    expect(wrong).toBe("a manifest has too many entries")
    expect(decoder.entries).toHaveLength(protocolLimits.entries)
    expect(taken).toBeLessThan(protocolLimits.manifestBytes)
  })

  it("of long paths is refused when it has too many bytes", () => {
    const decoder = new ManifestDecoder()
    const body = Buffer.alloc(1024 * 1024)
    expect(Array.from({ length: 33 }, () => decoder.decode(body)).at(-1)).toBe(
      "a manifest is too long"
    )
  })

  it("knows names that a file system may take for one", () => {
    const decoder = read(
      [file("A"), file("a"), file("e\u0301"), file("z"), file("É")].sort((a, b) =>
        Names.compare(a.path, b.path)
      )
    )
    expect(
      [...(decoder as ManifestDecoder).collisions].map(
        (index) => (decoder as ManifestDecoder).entries[index]?.path
      )
    ).toEqual(["a", "É"])
  })
})

describe("words", () => {
  it.prop(
    "of any bytes are read or refused, and never more",
    { bytes: FastCheck.uint8Array({ maxLength: 40 }) },
    ({ bytes }) => {
      const body = Buffer.from(bytes)
      for (const decode of [
        Messages.decodePush,
        Messages.decodePull,
        Messages.decodeLeftOut,
        Messages.decodeReceipts,
        Messages.decodeSkip,
        Messages.decodeStop
      ])
        expect(() => decode(body)).not.toThrow()
      const push = Messages.decodePush(body)
      if (push !== undefined) expect(Buffer.from(Messages.encodePush(push))).toEqual(body)
      const receipts = Messages.decodeReceipts(body)
      if (receipts !== undefined) expect(Messages.encodeReceipts(receipts)).toEqual(body)
    }
  )

  it("of a pull ask for no path that leads out", () => {
    for (const name of ["..", "/etc", "a/../b", "a\0"])
      expect(
        Messages.decodePull(
          Buffer.from(Messages.encodePull({ links: "skip", dry: false, names: [name] }))
        )
      ).toBeUndefined()
  })
})

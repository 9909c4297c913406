import { it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { describe, expect } from "vitest"
import { protocolLimits } from "../../../src/services/transfer/limits.ts"
import {
  encode,
  ManifestDecoder,
  type EncodableEntry,
  type Entry
} from "../../../src/services/transfer/Manifest.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"

/** A file as it is encoded; its path may break every rule. */
const file = (text: string, more: Partial<EncodableEntry> = {}): EncodableEntry => ({
  kind: "file",
  path: { text },
  size: 0,
  mode: 0o644,
  mtime: 0,
  ...more
})
const folder = (text: string): EncodableEntry => file(text, { kind: "folder" })

/** Encodes and decodes entries; returns the decoder, or the first problem. */
const decodeAll = (entries: ReadonlyArray<EncodableEntry>): ManifestDecoder | string => {
  const decoder = new ManifestDecoder()
  for (const body of encode(entries)) {
    const problem = decoder.decode(Buffer.from(body))
    if (problem !== undefined) return problem
  }
  return decoder
}

const names = FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter(
  (name) => Names.nameProblem(name) === undefined
)

describe("a manifest", () => {
  it.prop(
    "is decoded as it was encoded, in the order of UTF-8 bytes",
    {
      texts: FastCheck.uniqueArray(names, { maxLength: 40 }),
      size: FastCheck.nat({ max: protocolLimits.fileBytes }),
      mtime: FastCheck.integer({ min: -1e15, max: 1e15 }),
      mode: FastCheck.nat({ max: 0o777 })
    },
    ({ texts, size, mtime, mode }) => {
      const entries: ReadonlyArray<Entry> = texts.sort(Names.compare).map((text) => ({
        kind: "file",
        path: SafePath.parse(text) as SafePath,
        size,
        mtime,
        mode
      }))
      expect((decodeAll(entries) as ManifestDecoder).entries).toEqual(entries)
      const bytes = texts.map((text) => Buffer.from(text))
      expect(bytes.toSorted(Buffer.compare)).toEqual(bytes)
    }
  )

  it.prop(
    "yields the same paths for entries in folders as SafePath.parse",
    { texts: FastCheck.array(names, { minLength: 1, maxLength: 6 }) },
    ({ texts }) => {
      const paths = texts.map((_, index) => texts.slice(0, index + 1).join("/"))
      const { entries } = decodeAll(paths.map(folder)) as ManifestDecoder
      expect(entries.map(({ path }) => path)).toEqual(paths.map((text) => SafePath.parse(text)))
      for (const [index, { path }] of entries.entries())
        expect(path.parent).toBe(index === 0 ? SafePath.root : entries[index - 1]?.path)
    }
  )

  it.each<readonly [string, ReadonlyArray<EncodableEntry>, string]>([
    ["the same path twice", [file("a"), file("a")], "the manifest is out of order"],
    ["paths out of order", [file("b"), file("a")], "the manifest is out of order"],
    [
      "a file before its folder",
      [file("a/b"), folder("a")],
      "an entry's folder is not in the manifest"
    ],
    ["a file in a file", [file("a"), file("a/b")], "an entry's folder is not in the manifest"],
    [
      "a file in a link",
      [file("a", { kind: "link", target: "b" }), file("a/b")],
      "an entry's folder is not in the manifest"
    ],
    [
      "a file without its folder",
      [folder("a"), folder("b"), file("c/d")],
      "an entry's folder is not in the manifest"
    ],
    ["setuid", [file("a", { mode: 0o4755 })], "an entry's mode has more than permission bits"],
    [
      "a folder with a size",
      [file("a", { kind: "folder", size: 1 })],
      "a folder or link has a size"
    ],
    [
      "a link with a size",
      [file("a", { kind: "link", target: "b", size: 1 })],
      "a folder or link has a size"
    ],
    ["a file of 9 TiB", [file("a", { size: 9 * 1024 ** 4 })], "a file is too large"],
    [
      "a link that leads out",
      [file("a", { kind: "link", target: "../x" })],
      "a link leads out of the folder"
    ],
    ["an invalid name", [file("..")], 'a name is ".."'],
    ["an invalid name in a folder", [folder("a"), file("a/..")], 'a name is ".."'],
    ["an empty name in a folder", [folder("a"), file("a/")], "a name is empty"],
    ["a time out of range", [file("a", { mtime: 2 ** 62 })], "an entry's time is out of range"]
  ])("is rejected with %s", (_, entries, problem) => {
    expect(decodeAll(entries)).toBe(problem)
  })

  it("is rejected when it is truncated inside an entry, and with an unknown kind", () => {
    const [whole] = [...encode([file("a", { kind: "link", target: "b" })])].map((body) =>
      Buffer.from(body)
    ) as [Buffer]
    for (let length = 0; length < whole.length; length++)
      expect(new ManifestDecoder().decode(whole.subarray(0, length))).toBeTypeOf("string")
    for (let kind = 3; kind < 256; kind++) {
      const other = Buffer.from(whole)
      other[0] = kind
      expect(new ManifestDecoder().decode(other)).toBe("an entry has an unknown kind")
    }
  })

  it("is rejected when a path or a target is not UTF-8", () => {
    for (const [entry, problem] of [
      [file("abc"), "a path is not valid UTF-8"],
      [file("x", { kind: "link", target: "abc" }), "a link's target is not valid UTF-8"]
    ] as const) {
      const [body = new Uint8Array(0)] = [...encode([entry])]
      const bytes = Buffer.from(body)
      expect(new ManifestDecoder().decode(bytes)).toBeUndefined()
      bytes[bytes.indexOf("abc")] = 0xff
      expect(new ManifestDecoder().decode(bytes)).toBe(problem)
    }
  })

  it("of a million entries is rejected at the first above the limit", () => {
    const decoder = new ManifestDecoder()
    let decodedBytes = 0
    const million = function* (): Generator<EncodableEntry> {
      for (let index = 0; index < 1_000_000; index++) yield file(index.toString().padStart(7, "0"))
    }
    let problem: string | undefined
    for (const body of encode(million())) {
      problem = decoder.decode(Buffer.from(body))
      if (problem !== undefined) break
      decodedBytes += body.length
    }
    expect(problem).toBe("the manifest has too many entries")
    expect(decoder.entries).toHaveLength(protocolLimits.entries)
    expect(decodedBytes).toBeLessThan(protocolLimits.manifestBytes)
  })

  it("of long paths is rejected when it has too many bytes", () => {
    const decoder = new ManifestDecoder()
    const body = Buffer.alloc(1024 * 1024)
    expect(Array.from({ length: 33 }, () => decoder.decode(body)).at(-1)).toBe(
      "the manifest is too long"
    )
  })

  it("marks paths that a file system may treat as the same", () => {
    const decoder = decodeAll(
      [file("A"), file("a"), file("e\u0301"), file("z"), file("É")].sort((one, other) =>
        Names.compare(one.path.text, other.path.text)
      )
    ) as ManifestDecoder
    expect([...decoder.collisions].map((index) => decoder.entries[index]?.path.text)).toEqual([
      "a",
      "É"
    ])
  })
})

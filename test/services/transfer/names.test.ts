import { it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { describe, expect } from "vitest"
import * as Names from "../../../src/services/transfer/Names.ts"

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
] as const)("a link to %j, %i folders deep, is allowed: %s", (target, depth, isAllowed) => {
  expect(Names.targetProblem(target, depth) === undefined).toBe(isAllowed)
})

it("a folder comes directly before its content, in the order of a manifest", () => {
  const sorted = ["a", "a/b", "a/b/c", "a/c", "a!", "a!/x", "a.b", "b", "\uffff", "\u{1f600}"]
  expect(sorted.toReversed().toSorted(Names.compare)).toEqual(sorted)
  expect(Names.compare("a/b", "a!")).toBeLessThan(0)
})

it("the name of a partial file is cut between characters", () => {
  const suffix = ".0123abcd-10123456789abcde.part"
  const cut = (name: string) => Names.partialName(name, "0123abcd", "1", "0123456789abcde")
  expect(cut("x")).toBe(`x${suffix}`)
  // One byte too many: half of a character would fit.
  expect(cut(`${"a".repeat(221)}\u{1f600}`)).toBe(`${"a".repeat(221)}${suffix}`)
  expect(cut(`${"a".repeat(220)}\u{1f600}`)).toBe(`${"a".repeat(220)}\u{1f600}${suffix}`)
})

describe("the name of a partial file", () => {
  it.prop(
    "has at most 255 bytes, can be parsed, and is rejected from a peer",
    { name: FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 255 }) },
    ({ name }) => {
      FastCheck.pre(Names.nameProblem(name) === undefined)
      const partial = Names.partialName(name, "0123abcd", "1", "0123456789abcde")
      expect(Buffer.byteLength(partial)).toBeLessThanOrEqual(255)
      expect(name.startsWith(Names.parsePartialName(partial)?.name ?? "?")).toBe(true)
      expect(Names.nameProblem(partial)).toBe("a name is reserved for partial files")
      expect(Names.nameProblem(Names.numbered(name, 7))).toBeUndefined()
    }
  )
})

describe("the key of a name that a file system may treat as another", () => {
  it.each([
    ["A", "a"],
    ["É", "e\u0301"],
    ["Å", "\u212b"],
    ["σς", "ΣΣ"],
    ["straße", "STRASSE"],
    ["ﬁ", "FI"],
    ["ſ", "s"],
    ["\u212a", "k"]
  ])("is the same for %j and %j", (one, other) =>
    expect(Names.collisionKey(one)).toBe(Names.collisionKey(other))
  )

  it.each([
    ["a", "b"],
    ["a", "a "],
    ["é", "e"],
    ["a/b", "ab"]
  ])("differs for %j and %j", (one, other) =>
    expect(Names.collisionKey(one)).not.toBe(Names.collisionKey(other))
  )
})

const pathsOfEdges = FastCheck.string({
  unit: FastCheck.constantFrom(
    "a",
    "b",
    "/",
    "!",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "\u{10000}",
    "\u{10ffff}"
  )
})
it.prop(
  "the order of sort keys is that of the UTF-8 bytes, with / below every character",
  [pathsOfEdges, pathsOfEdges],
  ([a, b]) => {
    const bytes = (path: string) => Buffer.from(path.replaceAll("/", "\u0000"))
    expect(Names.compare(a, b)).toBe(Buffer.compare(bytes(a), bytes(b)))
    expect(Names.sortKey("größe")).toBe("größe")
  }
)

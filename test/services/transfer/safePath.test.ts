import { it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import path from "node:path"
import { describe, expect } from "vitest"
import { protocolLimits } from "../../../src/services/transfer/limits.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"

/** The names of a path, outermost first. */
const namesOf = (safe: SafePath): ReadonlyArray<string> =>
  safe.depth === 0 ? [] : [...namesOf(safe.parent), safe.name]

describe("SafePath.parse", () => {
  it.each([
    ["/etc/passwd", "a path is absolute"],
    ["/", "a path is absolute"],
    ["../x", 'a name is ".."'],
    ["a/../../x", 'a name is ".."'],
    ["a/..", 'a name is ".."'],
    ["a/./b", 'a name is "."'],
    ["", "a name is empty"],
    ["a//b", "a name is empty"],
    ["a/", "a name is empty"],
    ["a\0b", "a name contains a control character"],
    ["a\nb", "a name contains a control character"],
    ["\u001b[31m", "a name contains a control character"],
    ["\u009b31m", "a name contains a control character"],
    ["a\u007f", "a name contains a control character"],
    ["C:", "a name begins with a drive letter"],
    ["c:x", "a name begins with a drive letter"],
    ["..\\..\\x", 'a name contains "\\"'],
    ["\ud800", "a name is not valid Unicode"],
    ["x".repeat(256), "a name is longer than 255 bytes"],
    ["é".repeat(128), "a name is longer than 255 bytes"],
    [Array.from({ length: 129 }, () => "a").join("/"), "a path has more than 128 names"],
    [
      Array.from({ length: 64 }, () => "x".repeat(100)).join("/"),
      "a path is longer than 4095 bytes"
    ],
    ["big.iso.a4d26868-1dc949fcac62134b.part", "a name is reserved for partial files"],
    ["deep/a.a4d26868-0dc949fcac62134b.part", "a name is reserved for partial files"]
  ])("rejects %j: %s", (text, problem) => {
    expect(SafePath.parse(text)).toBe(problem)
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
  ])("keeps %j unchanged", (name) => {
    const safe = SafePath.parse(name) as SafePath
    expect(namesOf(safe)).toEqual([name])
    expect([safe.text, safe.depth, safe.parent]).toEqual([name, 1, SafePath.root])
  })

  it.prop(
    "returns names that join to the text and stay below a folder, or a problem",
    {
      text: FastCheck.oneof(
        FastCheck.string({ unit: "binary", maxLength: 20 }),
        FastCheck.array(
          FastCheck.oneof(
            FastCheck.constantFrom("", ".", "..", "...", "/", "\\", "a", "..a", "\0", "~", "C:"),
            FastCheck.string({ unit: "grapheme", maxLength: 4 })
          ),
          { maxLength: 6 }
        ).map((names) => names.join("/"))
      )
    },
    ({ text }) => {
      const safe = SafePath.parse(text)
      if (typeof safe === "string") return
      const names = namesOf(safe)
      expect(names.join("/")).toBe(text)
      expect(names).toHaveLength(safe.depth)
      expect(safe.depth).toBeLessThanOrEqual(protocolLimits.depth)
      for (const name of names) {
        expect(["", ".", ".."]).not.toContain(name)
        expect(name).not.toMatch(/[/\\\0]/)
      }
      const resolved = path.resolve("/top/served", safe.text)
      expect(resolved.startsWith("/top/served/")).toBe(true)
      expect(path.relative("/top/served", resolved)).toBe(text)
    }
  )
})

describe("SafePath.local", () => {
  it.each(["", ".", "..", "../x", "a/..", "a/../../x", "/x", "a//b", "a/", "a\0"])(
    "rejects %j, which leads out or is not a path",
    (text) => {
      expect(SafePath.local(text)).toBeUndefined()
    }
  )

  it.each(["a\\b", "C:x", "a\nb", "deep/a.a4d26868-0dc949fcac62134b.part", "..a/b.."])(
    "accepts %j, which a peer may not send",
    (text) => {
      expect(SafePath.local(text)?.text).toBe(text)
    }
  )

  it.prop(
    "returns a path below the folder, or undefined",
    {
      text: FastCheck.array(FastCheck.constantFrom("..", ".", "", "a", "b\\", "..."), {
        maxLength: 5
      }).map((names) => names.join("/"))
    },
    ({ text }) => {
      const safe = SafePath.local(text)
      if (safe === undefined) return
      expect(path.resolve("/top/served", safe.text).startsWith("/top/served/")).toBe(true)
    }
  )
})

describe("the paths of a folder", () => {
  it("share their parent", () => {
    const folder = SafePath.parse("a/b") as SafePath
    const [one, other] = [folder.child("x") as SafePath, folder.child("y") as SafePath]
    expect(one.parent).toBe(folder)
    expect(other.parent).toBe(folder)
    expect([one.text, one.sibling("z").text, one.base.text]).toEqual(["a/b/x", "a/b/z", "x"])
  })

  it("reject a child that breaks the rules or exceeds a limit", () => {
    const deep = SafePath.parse(Array.from({ length: 128 }, () => "a").join("/")) as SafePath
    const long = SafePath.parse(
      Array.from({ length: 16 }, () => "x".repeat(255)).join("/")
    ) as SafePath
    expect(deep.child("a")).toBe("a path has more than 128 names")
    expect(long.child("x")).toBe("a path is longer than 4095 bytes")
    expect(SafePath.root.child("..")).toBe('a name is ".."')
    for (const name of ["", ".", "..", "a/b", "a\0"])
      expect(() => SafePath.root.localChild(name)).toThrow(RangeError)
  })
})

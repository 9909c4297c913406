import { describe, expect, it } from "vitest"
import fc from "fast-check"
import * as Utf8 from "../../src/bytes/Utf8.ts"

const bytes = (text: string) => Buffer.from(text, "latin1")

describe("UTF-8", () => {
  it("decodes what it encodes, the byte order mark and U+FFFD included", () => {
    for (const text of ["", "\ufeffa", "\ufffd", "é€🙂", "\0"])
      expect(Utf8.decode(Utf8.encode(text))).toBe(text)
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        if (Utf8.isWellFormed(text)) expect(Utf8.decode(Utf8.encode(text))).toBe(text)
        else expect(() => Utf8.encode(text)).toThrow(RangeError)
      })
    )
  })

  it("decodes nothing that it would not encode to the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (data) => {
        const text = Utf8.decode(data)
        if (text === undefined) expect(Utf8.faultOf(data)).toBeDefined()
        else expect(Utf8.encode(text)).toEqual(Buffer.from(data))
      })
    )
  })

  it.for([["\ud800"], ["a\udc00"], ["\udc00\ud800"], ["\ud83d"]])(
    "does not encode half of a surrogate pair: %j",
    ([text = ""]) => {
      expect(Utf8.isWellFormed(text)).toBe(false)
      expect(() => Utf8.encode(text)).toThrow(RangeError)
    }
  )

  it.for([
    ["a\xff", { offset: 1, line: 1, column: 2 }],
    ["\xef\xbf\xbda\n\xc3\xa9\x80", { offset: 7, line: 2, column: 2 }],
    // The first two bytes of U+FFFD, and one that is wrong.
    ["ab\xef\xbf\x41", { offset: 2, line: 1, column: 3 }],
    ["ab\xef\xbf", { offset: 2, line: 1, column: 3 }],
    ["\xed\xa0\x80", { offset: 0, line: 1, column: 1 }],
    ["\xc0\x80", { offset: 0, line: 1, column: 1 }]
  ] as const)("finds the first fault of %j", ([text, fault]) => {
    expect(Utf8.faultOf(bytes(text))).toEqual(fault)
  })

  it("decodes a stream, over the ends of chunks, and nothing that is invalid", () => {
    const decoder = Utf8.streamDecoder()
    const text = "\ufeffa€\ufffd🙂"
    const decoded = Array.from(Buffer.from(text), (byte) =>
      decoder.decode(Buffer.of(byte), { stream: true })
    )
    expect(decoded.join("") + decoder.decode()).toBe(text)
    expect(() => Utf8.streamDecoder().decode(bytes("a\xff"), { stream: true })).toThrow(TypeError)
    const truncated = Utf8.streamDecoder()
    truncated.decode(bytes("\xe2\x82"), { stream: true })
    expect(() => truncated.decode()).toThrow(TypeError)
  })

  it("clips between characters", () => {
    expect(Utf8.clip("aé🙂b", 2)).toBe("a")
    expect(Utf8.clip("aé🙂b", 3)).toBe("aé")
    expect(Utf8.clip("aé🙂b", 7)).toBe("aé🙂")
    expect(Utf8.clip("aé🙂b", 100)).toBe("aé🙂b")
  })
})

// The header of a file comes from others. FORMAT.md, "The header".
import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import * as Header from "../../src/files/Header.ts"
import { limits } from "../../src/files/limits.ts"

const kinds = Object.keys(Header.kinds)

/** As many brackets of this kind as fit into a header. */
const nested = (open: string, close: string, depth: number) =>
  `${open.repeat(depth)}1${close.repeat(depth)}`

describe("a header", () => {
  it.each(kinds)("whose %s are nested as deeply as its length allows is not valid", (kind) => {
    for (const depth of [1, 2, 1000, 20_000])
      for (const value of [
        nested("[", "]", depth),
        nested('{"a":', "}", depth),
        `[${nested("[", "]", depth)}]`
      ]) {
        const bytes = Buffer.from(`{"${kind}":${value}}`)
        if (bytes.length <= limits.headerBytes) expect(Header.decode(bytes)).toBeUndefined()
      }
    expect(nested("[", "]", 20_000).length).toBeLessThan(limits.headerBytes)
  })

  it("of any JSON is decoded or not valid, and never throws", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.constantFrom(...kinds), FastCheck.json(), (kind, json) => {
        const bytes = Buffer.from(`{"${kind}":${json}}`)
        const header = Header.decode(bytes)
        if (header !== undefined) expect(Buffer.from(Header.encode(header))).toEqual(bytes)
      })
    )
  })
})

// A file keeps its time of modification to the microsecond, before 1970 too.
import { closeSync, fstatSync, futimesSync, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as FastCheck from "effect/FastCheck"
import { afterAll, beforeAll, expect, it } from "vitest"
import { toFileTime } from "../../../src/services/transfer/PartialFile.ts"

let folder = ""
let fd = -1
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealwire-times-"))
  fd = openSync(path.join(folder, "file"), "w+")
})
afterAll(() => {
  closeSync(fd)
  rmSync(folder, { recursive: true, force: true })
})

const year = 365 * 86_400 * 1_000_000

it("sets every microsecond from 1902 to 2100", () =>
  FastCheck.assert(
    FastCheck.property(FastCheck.integer({ min: -68 * year, max: 130 * year }), (micros) => {
      futimesSync(fd, toFileTime(micros), toFileTime(micros))
      expect(Number(fstatSync(fd, { bigint: true }).mtimeNs / 1000n)).toBe(micros)
    }),
    { numRuns: 500, examples: [[0], [-1], [1], [-999_999], [-1_000_000], [-1_000_001]] }
  ))

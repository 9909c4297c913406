// Paths that the system returns are exact: one that is not UTF-8 is an error, and never the path of
// the file whose name has U+FFFD in its place.
import { mkdirSync, symlinkSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import * as RealPath from "../../src/keys/RealPath.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()

/** The result of each function for a link to this name. */
const outcomes = async (name: Buffer) => {
  const link = path.join(folder(), "link")
  symlinkSync(name, link)
  mkdirSync(Buffer.concat([Buffer.from(`${folder()}/`), name]))
  const codeOf = (cause: unknown) => (cause as NodeJS.ErrnoException).code
  const attempt = async (use: () => string | Promise<string>) => {
    try {
      return path.relative(folder(), path.resolve(folder(), await use()))
    } catch (cause) {
      return codeOf(cause)
    }
  }
  return Promise.all([
    attempt(() => RealPath.resolve(link)),
    attempt(() => RealPath.resolveSync(link)),
    attempt(() => RealPath.target(link)),
    attempt(() => RealPath.targetSync(link))
  ])
}

describe("the path behind a link", () => {
  it.for(["file", "grüße", "\ufffd", "\ufeffname"])("is returned: %s", async (name) => {
    expect(await outcomes(Buffer.from(name))).toEqual([name, name, name, name])
  })

  it.skipIf(process.platform !== "linux")("is an error when it is not UTF-8", async () => {
    const code = "EILSEQ"
    expect(await outcomes(Buffer.from("na\xffme", "latin1"))).toEqual([code, code, code, code])
  })
})

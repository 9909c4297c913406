// Every relative link of the Markdown pages leads to a file, and to a heading of it if it names one.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "./Page.ts"

const pages = execFileSync("git", ["ls-files", "*.md"], { cwd: root, encoding: "utf8" })
  .trim()
  .split("\n")

/** The anchor of a heading, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-")

const anchorsOf = (file: string): ReadonlyArray<string> =>
  [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? ""))

const linksOf = (page: string): ReadonlyArray<string> =>
  [...readFileSync(path.join(root, page), "utf8").matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? "")
    .filter((link) => !/^[a-z]+:/.test(link))

describe("links", () => {
  it("exist", () =>
    expect(pages.reduce((count, page) => count + linksOf(page).length, 0)).toBeGreaterThan(50))

  it.each(pages)("of %s lead to a file", (page) => {
    for (const link of linksOf(page)) {
      const [target = "", anchor] = link.split("#")
      const file =
        target === "" ? path.join(root, page) : path.join(root, path.dirname(page), target)
      expect([link, existsSync(file)]).toEqual([link, true])
      if (anchor !== undefined) expect(anchorsOf(file)).toContain(anchor)
    }
  })
})

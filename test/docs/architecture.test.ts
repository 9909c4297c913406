// docs/explanation/architecture.md names files, folders and exports that src has.
import { existsSync, readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { rooms } from "../../scripts/check/rooms.ts"
import { root } from "./Page.ts"

const page = readFileSync(path.join(root, "docs/explanation/architecture.md"), "utf8")
const src = path.join(root, "src")
const sources = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".ts")
)
const modules = new Set(sources.map((file) => path.basename(file, ".ts")))
const exported = new Set(
  sources.flatMap((file) =>
    [
      ...readFileSync(path.join(src, file), "utf8").matchAll(
        /^export (?:abstract )?(?:class|const|function\*?|interface|type) (\w+)/gm
      )
    ].map(([, name = ""]) => name)
  )
)

/** The texts in backticks, without code blocks. */
const quoted = [
  ...new Set(
    [...page.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`([^`\n]+)`/g)].map(
      ([, text = ""]) => text
    )
  )
]

/** A file to add: `cli/commands/x.ts`, `keys/providers/XKeys.ts`. */
const isPlaceholder = (text: string) => /(?:^|\/)(?:x|X)(?=[A-Z./])/.test(text)
/** Packages, and what a build makes. */
const isOutside = (text: string) => /^(?:@|dist\/|effect\/|docs\/api)/.test(text)

const paths = quoted.filter(
  (text) => /^[\w.-]+(?:\/[\w.-]+)+$/.test(text) && !isPlaceholder(text) && !isOutside(text)
)
const names = quoted.filter((text) => /^[A-Z][a-z]\w*(?:\.\w+)?$/.test(text) && !/_/.test(text))

describe("docs/explanation/architecture.md", () => {
  it("names paths and modules", () => {
    expect(paths.length).toBeGreaterThan(40)
    expect(names.length).toBeGreaterThan(30)
  })

  it.each(paths)("%s exists", (text) => {
    const candidates = [src, root].flatMap((folder) => [
      path.join(folder, text),
      path.join(folder, `${text}.ts`)
    ])
    expect(candidates.some((file) => existsSync(file))).toBe(true)
  })

  it.each(names)("%s is a module or an export", (text) => {
    const [name = "", member] = text.split(".")
    expect(modules.has(name) || exported.has(name)).toBe(true)
    if (member !== undefined) expect(exported).toContain(member)
  })

  it("has every room in its table", () => {
    for (const room of rooms) expect(page).toContain(`| \`${room}\` |`)
  })
})

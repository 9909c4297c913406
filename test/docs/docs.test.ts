// Every code block of README.md and docs/ is run as it is printed.
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { blocksOf, Page, root, type Block } from "./Page.ts"

const pages = [
  "README.md",
  ...readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md") && !file.startsWith("api"))
    .map((file) => path.join("docs", file))
    .sort()
]

/** Languages that are run, and languages that are only shown. */
const run = ["console", "ts"]
const shown = ["sh", "text", "toml", "json", "yaml", "mermaid"]

it("all blocks have a known language, and the README has each language that is run", () => {
  expect(pages.length).toBeGreaterThan(10)
  for (const page of pages)
    for (const { language } of blocksOf(page)) expect([...run, ...shown]).toContain(language)
  expect(new Set(blocksOf("README.md").map(({ language }) => language))).toEqual(new Set(run))
})

// The pages use the default port.
const taken = await new Promise<boolean>((done) => {
  const probe = createServer()
  probe.once("error", () => done(true))
  probe.listen(8080, "127.0.0.1", () => probe.close(() => done(false)))
})

// The pages need psql, and a PostgreSQL server at 127.0.0.1 that accepts this user.
const psql = spawnSync("psql", ["-h", "127.0.0.1", "-d", "postgres", "-Atc", "SELECT 1"], {
  encoding: "utf8",
  timeout: 10_000
})
const hasPsql = psql.status === 0
if (!hasPsql)
  console.warn("no psql, or no PostgreSQL for this user at 127.0.0.1: its lines are left out")

const skip = (command: string): boolean => command.startsWith("psql") && !hasPsql

const runTypeScript = ({ code }: Block, name: string) => {
  const file = path.join(root, "dist/docs", name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, code)
  const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], {
    cwd: root,
    encoding: "utf8",
    timeout: 30_000
  })
  const prints = [...code.matchAll(/^\/\/ prints: (.*)$/gm)].map((match) => match[1])
  expect(prints.length).toBeGreaterThan(0)
  expect(stderr).toBe("")
  expect(stdout.trimEnd().split("\n")).toEqual(prints)
}

afterAll(() => rmSync(path.join(root, "dist/docs"), { recursive: true, force: true }))

describe.skipIf(taken).each(
  pages.flatMap((page) => {
    const blocks = blocksOf(page).filter(({ language }) => run.includes(language))
    return blocks.length === 0 ? [] : [{ page, blocks }]
  })
)("$page (skipped when port 8080 is in use)", ({ page, blocks }) => {
  let open: Page
  beforeAll(() => {
    open = new Page()
  })
  afterAll(() => open.close())

  it.each(blocks.map((block, index) => ({ block, index })))(
    "block $index, $block.language",
    { timeout: 60_000 },
    async ({ block, index }) => {
      if (block.language === "ts")
        runTypeScript(block, `${page.replaceAll(/\W/g, "-")}-${index}.ts`)
      else await open.run(block, skip)
    }
  )

  if (page === "docs/how-to/send-messages.md")
    it("the server has printed every message", async () => {
      for (const text of ["Hello Server!", "one", "two", "see you at 5"])
        await open.shows("terminal=server", text)
    })

  if (page === "docs/how-to/classic.md")
    it("the classic server has printed both messages", async () => {
      for (const text of ["Hello Server!", "from openssl"])
        await open.shows("terminal=classic", text)
    })

  if (page === "README.md") it("two demonstrations can run at once", demonstrations, 60_000)
})

/** `npm start` beside a server on port 8080, twice at once. */
const demonstrations = async (): Promise<void> => {
  const leftovers = () => [
    readdirSync(root),
    readdirSync(tmpdir()).filter((name) => name.startsWith("sealwire-demo-"))
  ]
  const before = leftovers()
  const runs = [1, 2].map(
    () =>
      new Promise<{ readonly code: number | null; readonly output: string }>((done) => {
        const child = spawn(process.execPath, ["scripts/start.mjs"], {
          cwd: root,
          stdio: ["ignore", "pipe", "pipe"]
        })
        let output = ""
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk: Buffer) => (output += chunk.toString()))
        child.once("close", (code) => done({ code, output }))
      })
  )
  for (const { code, output } of await Promise.all(runs)) {
    expect(output).toContain("port 8080 is in use; trying 8081")
    expect(output).toContain("server  decrypts them: Hello Server!")
    expect(code).toBe(0)
  }
  expect(leftovers()).toEqual(before)
}

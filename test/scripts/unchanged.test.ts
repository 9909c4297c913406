// The suites that `npm test` leaves out because nothing that they cover has changed.
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest"
import { sharedFolder } from "../fixtures/folder.ts"
// @ts-expect-error -- plain JavaScript, which runs before anything is installed
import * as unchanged from "../../scripts/unchanged.mjs"

interface State {
  readonly left: ReadonlyArray<{ readonly files: ReadonlyArray<string>; readonly reason: string }>
  readonly passed: () => void
}
const unchangedSuites = (unchanged as { readonly unchangedSuites: (root: string) => State })
  .unchangedSuites

/** The test files that are left out. */
const leftOut = (at = root): ReadonlyArray<string> =>
  unchangedSuites(at).left.flatMap(({ files }) => files)

let root: string
const write = (file: string, text: string, at = root) => {
  mkdirSync(path.dirname(path.join(at, file)), { recursive: true })
  writeFileSync(path.join(at, file), text)
}
const sources = ["src/a.ts", "scripts/b.ts", "examples/c.ts", "docs/d.md"]
const top = ["package.json", "package-lock.json", "tsconfig.json", "README.md", "LICENSE"]
/** Writes files that stand for those of the project. */
const fill = (at: string) => {
  for (const file of [...top, ...sources]) write(file, file, at)
}

beforeEach(() => {
  vi.stubEnv("CI", undefined)
  root = mkdtempSync(path.join(tmpdir(), "sealwire-unchanged-"))
  fill(root)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(root, { recursive: true, force: true })
})

const packaged = "test/scripts/consumer.test.ts"
const documents = "test/docs/docs.test.ts"

it("every suite runs until all have passed", () => {
  const first = unchangedSuites(root)
  expect(first.left).toEqual([])
  expect(leftOut()).toEqual([])
  first.passed()
  expect(leftOut()).toEqual(expect.arrayContaining([packaged, documents]))
  expect(new Set(unchangedSuites(root).left.map(({ reason }) => reason))).toEqual(
    new Set(["nothing that they cover has changed since they passed here"])
  )
})

it.each([
  ["a source", "src/a.ts", []],
  ["a new source", "src/deep/new.ts", []],
  ["an example", "examples/c.ts", [documents]],
  ["a page", "docs/d.md", [packaged]],
  ["the README", "README.md", []],
  ["a test of the library", "test/bytes/x.test.ts", [packaged, documents]]
])("a change of %s runs the suites that cover it", (_, file, left) => {
  unchangedSuites(root).passed()
  write(file, "changed")
  expect(leftOut().filter((name) => name === packaged || name === documents)).toEqual(left)
})

it("a change during the run counts as a change", () => {
  const run = unchangedSuites(root)
  write("src/a.ts", "changed meanwhile")
  run.passed()
  expect(leftOut()).toEqual([])
})

it("CI runs every suite", () => {
  unchangedSuites(root).passed()
  vi.stubEnv("CI", "true")
  expect(leftOut()).toEqual([])
})

describe("in a clone", () => {
  let clone: string
  const git = (at: string, ...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=Test", "-c", "user.email=test@example.com", ...args], {
      cwd: at,
      stdio: "ignore"
    })
  const commit = (at: string) => {
    git(at, "add", "--all")
    git(at, "commit", "--quiet", "--message=change")
  }
  const edit = (file: string, text = "changed") => {
    mkdirSync(path.dirname(path.join(clone, file)), { recursive: true })
    writeFileSync(path.join(clone, file), text)
  }

  // Made once and copied: ten processes of git for each test would take most of its time.
  const prepared = sharedFolder()
  beforeAll(() => {
    fill(prepared)
    writeFileSync(path.join(prepared, ".gitignore"), "dist/\nclone/\ninner/\n")
    git(prepared, "init", "--quiet", "--template=", "--initial-branch=main")
    commit(prepared)
    git(prepared, "clone", "--quiet", "--template=", ".", "clone")
    // Relative, so that it is the copy in a copy.
    git(path.join(prepared, "clone"), "remote", "set-url", "origin", "..")
  })
  beforeEach(() => {
    cpSync(prepared, root, { recursive: true })
    clone = path.join(root, "clone")
    // The index has the times and inodes of the original.
    git(clone, "update-index", "--refresh")
  })

  it("no suite runs whose files are those of the upstream, which CI has tested", () => {
    expect(leftOut(clone)).toEqual(expect.arrayContaining([packaged, documents]))
    for (const { reason } of unchangedSuites(clone).left) expect(reason).toContain("origin/HEAD")
  })

  const changes: ReadonlyArray<readonly [name: string, change: () => void]> = [
    ["an edit", () => edit("src/a.ts")],
    ["a new file", () => edit("src/new.ts")],
    ["a removed file", () => rmSync(path.join(clone, "src/a.ts"))],
    [
      "a staged edit",
      () => {
        edit("src/a.ts")
        git(clone, "add", "--all")
      }
    ],
    [
      "a commit",
      () => {
        edit("src/a.ts")
        commit(clone)
      }
    ],
    [
      "an upstream that is ahead",
      () => {
        write("src/a.ts", "changed upstream")
        commit(root)
        git(clone, "fetch", "--quiet")
      }
    ],
    ["no remote", () => git(clone, "remote", "remove", "origin")],
    ["no repository", () => rmSync(path.join(clone, ".git"), { recursive: true })],
    ["CI", () => vi.stubEnv("CI", "true")],
    ["no git", () => vi.stubEnv("PATH", path.join(root, "src"))]
  ]
  it.each(changes)("%s runs all suites", (_, change) => {
    expect(leftOut(clone)).not.toEqual([])
    change()
    expect(leftOut(clone)).toEqual([])
  })

  it("a change runs only the suites that cover it", () => {
    edit("docs/d.md")
    commit(clone)
    expect(leftOut(clone)).toContain(packaged)
    expect(leftOut(clone)).not.toContain(documents)
  })

  it("a file that git ignores is no change", () => {
    edit("src/dist/built.js")
    expect(leftOut(clone)).toEqual(expect.arrayContaining([packaged, documents]))
  })

  it("a copy in a folder that an outer clone ignores runs all suites", () => {
    const copy = path.join(clone, "inner")
    cpSync(path.join(clone, "src"), path.join(copy, "src"), { recursive: true })
    expect(leftOut(copy)).toEqual([])
  })

  it("a suite that was left out has not passed here", () => {
    const left = leftOut(clone)
    unchangedSuites(clone).passed()
    git(clone, "remote", "remove", "origin")
    expect(left).not.toEqual([])
    expect(leftOut(clone)).toEqual([])
  })

  it("the variables of a git hook do not name another repository", () => {
    edit("src/a.ts")
    vi.stubEnv("GIT_DIR", path.join(root, ".git"))
    vi.stubEnv("GIT_WORK_TREE", root)
    expect(leftOut(clone)).toEqual([])
  })
})

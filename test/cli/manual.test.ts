// The manual pages: complete, listed in the package, and without a warning of mandoc.
import { execFileSync, spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { exitCodeTexts } from "../../src/cli/output/ExitCode.ts"
import { fileOf, manualPages } from "../../src/cli/arguments/Manual.ts"
import { commandList } from "../../src/cli/commands/index.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const root = path.resolve(import.meta.dirname, "../..")
const { version, man, files } = JSON.parse(
  readFileSync(path.join(root, "package.json"), "utf8")
) as {
  version: string
  man: ReadonlyArray<string>
  files: ReadonlyArray<string>
}
const pages = manualPages(commandList, { version, date: "2026-12-01" })
const folder = sharedFolder()

const hasMandoc = spawnSync("mandoc", ["-T", "lint", "/dev/null"]).error === undefined

const written = (file: string, text = pages.get(file) ?? ""): string => {
  const at = path.join(folder, file)
  writeFileSync(at, text)
  return at
}

describe("the manual", () => {
  it("has a page for each command, which the package lists", () => {
    const names = [fileOf([]), ...commandList.shown.map(({ path: words }) => fileOf(words))]
    expect([...pages.keys()]).toEqual(names)
    expect([...man].sort()).toEqual(names.map((name) => `./dist/man/${name}`).sort())
    expect(files).toContain("dist/man")
  })

  describe.runIf(hasMandoc).for([...pages.keys()].map((file) => [file] as const))(
    "%s",
    ([file]) => {
      it("has no warning of mandoc -T lint", () => {
        const { stdout, status } = spawnSync("mandoc", ["-T", "lint", written(file)], {
          encoding: "utf8"
        })
        expect({ stdout, status }).toEqual({ stdout: "", status: 0 })
      })

      it("shows every option and exit code", () => {
        const shown = execFileSync("mandoc", ["-T", "utf8", "-O", "width=1000", written(file)], {
          encoding: "utf8"
        }).replace(/.\u0008/g, "")
        const command = commandList.shown.find(({ path: words }) => fileOf(words) === file)
        for (const { name, short, value } of command?.options ?? [])
          expect(shown).toContain(
            `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`
          )
        for (const [line] of command?.examples ?? [])
          expect(shown.replace(/ \\\n\s*/g, " ")).toContain(line)
        for (const [codes, meaning] of exitCodeTexts) {
          const code = Number.parseInt(codes, 10)
          const isListed =
            code <= 2 || code > 100 || command?.exits === undefined || command.exits.includes(code)
          expect([codes, shown.includes(meaning)]).toEqual([codes, isListed])
        }
      })
    }
  )

  it.runIf(hasMandoc)("fails the lint with a fault in it", () => {
    const faulty = written("faulty.1", `${pages.get(fileOf([]))}.XX unknown\n`)
    expect(spawnSync("mandoc", ["-T", "lint", faulty]).status).not.toBe(0)
  })
})

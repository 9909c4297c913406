// The tables of docs/reference name what the code has: every command, metric and exit code.
import { readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { referencePage } from "../../src/cli/arguments/Reference.ts"
import { commandList } from "../../src/cli/commands/index.ts"
import { exitCode, signalCodes } from "../../src/cli/output/ExitCode.ts"
import { metrics } from "../../src/services/builtin/index.ts"
import { root } from "./Page.ts"

/** The rows of a page's tables, without their headings; each cell without its backticks. */
const rowsOf = (page: string): ReadonlyArray<ReadonlyArray<string>> =>
  readFileSync(path.join(root, "docs/reference", page), "utf8")
    .split("\n")
    .filter((line, index, lines) => line.startsWith("|") && !lines[index + 1]?.startsWith("|-"))
    .filter((line) => !line.startsWith("|-"))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim().replaceAll("`", ""))
    )

describe("docs/reference", () => {
  it("commands.md is the page that the table of commands makes", () => {
    const page = readFileSync(path.join(root, "docs/reference/commands.md"), "utf8")
    expect(page).toBe(referencePage(commandList))
    for (const { path: words, options } of commandList.shown) {
      expect(page).toContain(`\n## sealwire ${words.join(" ")}\n`)
      for (const { name } of options) expect(page).toContain(`--${name}`)
    }
  })

  it("config.md names the commands that take a configuration file", () => {
    const withConfig = commandList.shown
      .filter(({ options }) => options.some(({ name }) => name === "config"))
      .map(({ path: words }) => words.join(" "))
    const page = readFileSync(path.join(root, "docs/reference/config.md"), "utf8")
    const sentence = page.split("\n").find((line) => line.includes("`--config FILE`")) ?? ""
    expect(withConfig.length).toBeGreaterThan(1)
    expect(sentence).toBe(
      `${withConfig.map((name) => `\`${name}\``).join(" and ")} take \`--config FILE\`.`
    )
  })

  it("metrics.md lists every metric, with its type and help", () => {
    const rows = Object.values(metrics)
      .flatMap((table) => Object.values(table))
      .map(({ name, type, help }) => [name, type, help])
    expect(rows.length).toBeGreaterThan(15)
    expect(rowsOf("metrics.md")).toEqual(rows)
  })

  it("exit-codes.md lists every exit code", () => {
    const codes = [0, ...Object.values(exitCode), ...Object.values(signalCodes)]
    const listed = rowsOf("exit-codes.md").flatMap(([code = ""]) => code.split(", ").map(Number))
    expect(listed).toEqual(codes)
  })
})

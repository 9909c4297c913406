// docs/reference/json-events.md documents every JSON event, and its examples are what the code prints.
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { eventTexts, recordCodes, type Event } from "../../src/cli/output/events/index.ts"
import type { EventText } from "../../src/cli/output/events/EventText.ts"
import { samples } from "./eventSamples.ts"

const root = path.resolve(import.meta.dirname, "../..")
const page = readFileSync(path.join(root, "docs/reference/json-events.md"), "utf8")

interface Field {
  readonly name: string
  readonly type: string
  readonly isRequired: boolean
}

interface Section {
  readonly code: string
  readonly commands: string
  readonly fields: ReadonlyArray<Field>
  readonly examples: ReadonlyArray<string>
}

/** Each heading of level 3 is a code; its table has the fields, and its code block the examples. */
const sections: ReadonlyArray<Section> = page
  .split(/^### /m)
  .slice(1)
  .map((section) => ({
    code: /^`([^`]+)`/.exec(section)?.[1] ?? "",
    commands: /^Commands: (.+)\.$/m.exec(section)?.[1] ?? "",
    fields: [...section.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)].map(
      ([, name = "", type = "", presence = ""]) => ({
        name,
        type,
        isRequired: presence === "always"
      })
    ),
    examples: (/^```json\n([\s\S]*?)^```$/m.exec(section)?.[1] ?? "").trim().split("\n")
  }))

const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  "string or null": (value) => typeof value === "string" || value === null,
  integer: Number.isInteger,
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  object: isObject,
  "string[]": (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
  "object[]": (value) => Array.isArray(value) && value.every(isObject)
}

const eventTags = Object.keys(eventTexts) as ReadonlyArray<Event["_tag"]>
const textOf = (tag: Event["_tag"]) => eventTexts[tag] as EventText<Event>

/** The codes that the code of the command can print. */
const codes = new Set([...eventTags.map((tag) => textOf(tag).code), ...recordCodes])

/** Codes written as literals: annotations of log entries, and objects built by a command. */
const literalCodes = readdirSync(path.join(root, "src/cli"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) => [
    ...readFileSync(path.join(root, "src/cli", file), "utf8").matchAll(/\bevent: "([\w-]+)"/g)
  ])
  .map(([, code = ""]) => code)

describe("the reference of JSON events", () => {
  it("documents every code, and no other", () => {
    expect(codes.size).toBeGreaterThan(50)
    expect(sections.map(({ code }) => code).sort()).toEqual([...codes].sort())
    expect(literalCodes.length).toBeGreaterThan(0)
    for (const code of literalCodes) expect([...codes]).toContain(code)
  })

  it("uses kebab-case codes and camel-case fields", () => {
    for (const { code, fields } of sections) {
      expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/)
      for (const { name } of fields) expect(name).toMatch(/^[a-z]+\d*([A-Z][a-z]+)*$/)
    }
  })

  it("has a table and the commands for each code", () => {
    for (const { code, commands, fields } of sections) {
      expect([code, commands === "", fields.length === 0]).toEqual([code, false, false])
      for (const { type } of fields) expect(Object.keys(types)).toContain(type)
    }
  })

  it.each(sections.map((section) => [section.code, section] as const))(
    "%s has examples with exactly the documented fields and types",
    (code, { fields, examples }) => {
      const seen = new Set<string>()
      for (const example of examples) {
        const { event, ...values } = JSON.parse(example) as Readonly<Record<string, unknown>>
        expect(event).toBe(code)
        for (const [name, value] of Object.entries(values)) {
          seen.add(name)
          const field = fields.find((each) => each.name === name)
          expect([name, field === undefined]).toEqual([name, false])
          expect([name, types[field?.type ?? ""]?.(value)]).toEqual([name, true])
        }
        for (const { name, isRequired } of fields)
          if (isRequired) expect(Object.keys(values)).toContain(name)
      }
      expect([...seen].sort()).toEqual(fields.map(({ name }) => name).sort())
    }
  )

  it.each(eventTags)("prints %s as in an example", (tag) => {
    const { code, fields } = textOf(tag)
    const examples = sections.find((section) => section.code === code)?.examples
    for (const sample of samples[tag]) {
      const mode = { json: true, wire: true, exact: false }
      expect(examples).toContain(JSON.stringify({ event: code, ...fields(sample, mode) }))
    }
  })

  it.each(eventTags)("%s has a text of one line, or none", (tag) => {
    const { line } = textOf(tag)
    for (const sample of samples[tag])
      expect(line(sample, { json: false, wire: false, exact: false }) ?? "").not.toMatch(/\n/)
  })
})

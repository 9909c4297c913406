// The checks themselves: each finds what it is there for, and none passes on nothing.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { effectVersions } from "../../scripts/check/effectVersions.ts"
import { looseTypes } from "../../scripts/check/publicTypes.ts"
import { line, roomViolations } from "../../scripts/check/rooms.ts"

const root = path.resolve(import.meta.dirname, "../..")

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealwire-check-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const plant = (file: string, code: string) => {
  mkdirSync(path.join(folder, path.dirname(file)), { recursive: true })
  writeFileSync(path.join(folder, file), code)
}

describe("rooms", () => {
  it("hold in this house", () => expect(roomViolations(path.join(root, "src"))).toEqual([]))

  it("find every import to the right, in every form", () => {
    for (const [at, room] of line.entries())
      for (const other of line.slice(at + 1)) {
        plant(`${room}/X.ts`, `import { y } from "../${other}/Y.ts"\n`)
        expect(roomViolations(folder)).toEqual([
          `${path.join(room, "X.ts")}: "${room}" imports "${other}", which stands to its right`
        ])
        plant(`${room}/X.ts`, "")
      }
    for (const code of [
      `import "../cli/Y.ts"`,
      `export * from "../cli/Y.ts"`,
      `const y = await import("../cli/Y.ts")`,
      `import type {\n  Y\n} from "../cli/Y.ts"`
    ]) {
      plant("bytes/X.ts", code)
      expect(roomViolations(folder).length).toBe(1)
    }
  })
  it("let imports to the left pass", () => {
    plant("cli/X.ts", `import { y } from "../bytes/Y.ts"\nimport { z } from "./Z.ts"\n`)
    expect(roomViolations(folder)).toEqual([])
  })
  it("let nobody but the doors import platform, and platform not import cli", () => {
    plant("cli/X.ts", `import { y } from "../platform/Y.ts"\n`)
    plant("platform/X.ts", `import { y } from "../cli/Y.ts"\nimport { z } from "../programs/Z.ts"\n`)
    plant("index.ts", `export * from "./platform/Y.ts"\n`)
    expect(roomViolations(folder).toSorted()).toEqual([
      `cli/X.ts: "cli" imports "platform", which stands to its right`,
      `platform/X.ts: "platform" imports "cli", which stands to its right`
    ])
  })
  it("let nobody but the doors import otel", () => {
    plant("cli/X.ts", `import { y } from "../otel/Y.ts"\n`)
    plant("otel/X.ts", `import { y } from "../platform/Y.ts"\nimport { z } from "../programs/Z.ts"\n`)
    plant("otel.ts", `export * from "./otel/Y.ts"\n`)
    expect(roomViolations(folder).toSorted()).toEqual([
      `cli/X.ts: "cli" imports "otel", which stands to its right`,
      `otel/X.ts: "otel" imports "platform", which stands to its right`
    ])
  })
  it("find a room the house does not have, and a barrel", () => {
    plant("utils/X.ts", "")
    plant("bytes/X.ts", `import { Effect } from "effect"\n`)
    expect(roomViolations(folder).length).toBe(2)
  })
  it("fail on an empty folder", () => expect(roomViolations(folder)[0]).toContain("no TypeScript files"))
})

describe("public types", () => {
  const doors = ["index.d.ts"]
  const doorTo = (code: string) => {
    plant("index.d.ts", `export * from "./a/X.ts";\n/** any */ // any\n`)
    plant("a/X.d.ts", `import type { y } from "./Y.js";\n`)
    plant("a/Y.d.ts", code)
    return looseTypes(folder, doors)
  }
  it("may not be any, wherever a door leads", () => {
    expect(doorTo("export declare const many: (company: string) => unknown;\n")).toEqual([])
    expect(doorTo("/** y */\nexport declare const y: Array<any>;\n")).toEqual([
      `${path.join("a", "Y.d.ts")}:2: any, in "export declare const y: Array<any>;"`
    ])
    expect(doorTo("declare const E_base: new <A extends Record<string, any> = {}>(args: A) => A;\n")).toEqual([])
  })
  it("may not be so long that nobody reads them", () => {
    expect(doorTo(`export declare const y: "${"x".repeat(600)}";\n`)[0]).toContain("give its parts names")
  })
  it("are there, and lead somewhere", () => {
    expect(looseTypes(folder, doors).length).toBe(2)
    plant("index.d.ts", `export * from "./lost.ts"\n`)
    expect(looseTypes(folder, doors)).toEqual(["lost.d.ts: there are no such declarations"])
  })
})

describe("effect 3 only", () => {
  const lock = (packages: object) => {
    plant("package-lock.json", JSON.stringify({ packages }))
    return effectVersions(path.join(folder, "package-lock.json"))
  }
  it("holds in this tree", () => expect(effectVersions(path.join(root, "package-lock.json"))).toEqual([]))
  it("finds Effect 4, and what asks for it", () => {
    const effect = { version: "3.22.4" }
    expect(lock({ "node_modules/effect": effect })).toEqual([])
    expect(lock({ "node_modules/effect": { version: "4.1.0" } }).length).toBe(1)
    expect(
      lock({ "node_modules/effect": effect, "node_modules/a/node_modules/@effect/sql": { version: "4.0.0-beta.3" } }).length
    ).toBe(1)
    expect(lock({ "node_modules/effect": effect, "node_modules/b": { peerDependencies: { effect: "^4.1.0" } } }).length).toBe(1)
  })
  it("fails on a lockfile without Effect", () => expect(lock({})[0]).toContain("no Effect package"))
})

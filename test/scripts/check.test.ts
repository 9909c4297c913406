// Each check finds planted violations, and none passes without input.
import { spawnSync } from "node:child_process"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { compiler } from "../../scripts/compiler.ts"
import { importCycles } from "../../scripts/check/cycles.ts"
import { effectVersions } from "../../scripts/check/effectVersions.ts"
import { looseTypes } from "../../scripts/check/publicTypes.ts"
import { rooms, roomViolations } from "../../scripts/check/rooms.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const root = path.resolve(import.meta.dirname, "../..")

const folder = folderOfEachTest()

const plant = (file: string, code: string) => {
  mkdirSync(path.join(folder(), path.dirname(file)), { recursive: true })
  writeFileSync(path.join(folder(), file), code)
}

describe("rooms", () => {
  it("of src import only the rooms above them", () =>
    expect(roomViolations(path.join(root, "src"))).toEqual([]))

  it("may not import a room below them, in any form of import", () => {
    for (const [at, room] of rooms.entries())
      for (const other of rooms.slice(at + 1)) {
        const specifier = `../`.repeat(room.split("/").length) + `${other}/Y.ts`
        plant(`${room}/X.ts`, `import { y } from "${specifier}"\n`)
        expect(roomViolations(folder())).toEqual([
          `${room}/X.ts: "${room}" imports "${other}", which is below it`
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
      expect(roomViolations(folder()).length).toBe(1)
    }
  })
  it("may import a room above them", () => {
    plant("cli/X.ts", `import { y } from "../bytes/Y.ts"\nimport { z } from "./Z.ts"\n`)
    plant("services/inbox/X.ts", `import { y } from "../Y.ts"\nimport "../messages/Z.ts"\n`)
    expect(roomViolations(folder())).toEqual([])
  })
  it("of services that are independent import no other service", () => {
    plant("services/tunnel/X.ts", `import { y } from "../messages/Y.ts"\n`)
    expect(roomViolations(folder())).toEqual([
      `services/tunnel/X.ts: "services/tunnel" imports "services/messages", which is below it`
    ])
  })
  it.each(["platform", "otel"])(
    "do not import the adapter %s, which imports all but cli",
    (name) => {
      const other = name === "otel" ? "platform" : "otel"
      plant("cli/X.ts", `import { y } from "../${name}/Y.ts"\n`)
      plant(
        `${name}/X.ts`,
        `import "../cli/Y.ts"\nimport "../${other}/Y.ts"\nimport "../services/Z.ts"\n`
      )
      plant(`${name}.ts`, `export * from "./${name}/Y.ts"\n`)
      expect(roomViolations(folder()).toSorted()).toEqual(
        [
          `cli/X.ts: "cli" imports "${name}", which is below it`,
          `${name}/X.ts: "${name}" imports "${other}", which is below it`,
          `${name}/X.ts: "${name}" imports "cli", which is below it`
        ].toSorted()
      )
    }
  )
  it("are all known, and Effect's barrels are not imported", () => {
    plant("utils/X.ts", "")
    plant("bytes/X.ts", `import { Effect } from "effect"\n`)
    expect(roomViolations(folder()).length).toBe(2)
  })
  it("fail on an empty folder", () =>
    expect(roomViolations(folder())[0]).toContain("no TypeScript files"))
})

describe("import cycles", () => {
  it("do not exist in src", () => expect(importCycles(path.join(root, "src"))).toEqual([]))
  it("are found through any number of files, type-only imports included", () => {
    plant("a/A.ts", `import type { B } from "../b/B.ts"\n`)
    plant("b/B.ts", `import { C } from "./C.ts"\nimport { D } from "./D.ts"\n`)
    plant("b/C.ts", `export const load = () => import("../a/A.ts")\n`)
    plant("b/D.ts", `/** import "../a/A.ts" */\n`)
    expect(importCycles(folder())).toEqual(["3 files import each other: a/A.ts, b/B.ts, b/C.ts"])
  })
  it("include a file that imports itself", () => {
    plant("A.ts", `import { a } from "./A.ts"\n`)
    expect(importCycles(folder())).toEqual(["A.ts imports itself"])
  })
  it("fail on an empty folder", () =>
    expect(importCycles(folder())[0]).toContain("no TypeScript files"))
})

describe("public types", () => {
  const entryPoints = ["index.d.ts"]
  const typesOf = (code: string) => {
    plant("index.d.ts", `export * from "./a/X.ts";\n/** any */ // any\n`)
    plant("a/X.d.ts", `import type { y } from "./Y.js";\n`)
    plant("a/Y.d.ts", code)
    return looseTypes(folder(), entryPoints)
  }
  it("must not be any in a file that an entry point reaches", () => {
    expect(typesOf("export declare const many: (company: string) => unknown;\n")).toEqual([])
    expect(typesOf("/** y */\nexport declare const y: Array<any>;\n")).toEqual([
      `${path.join("a", "Y.d.ts")}:2: any, in "export declare const y: Array<any>;"`
    ])
    expect(
      typesOf("declare const E_base: new <A extends Record<string, any> = {}>(args: A) => A;\n")
    ).toEqual([])
  })
  it("must not exceed the line length", () => {
    expect(typesOf(`export declare const y: "${"x".repeat(600)}";\n`)[0]).toContain(
      "name its parts"
    )
  })
  it("exist, and import declarations", () => {
    expect(looseTypes(folder(), entryPoints).length).toBe(2)
    plant("index.d.ts", `export * from "./lost.ts"\n`)
    expect(looseTypes(folder(), entryPoints)).toEqual(["lost.d.ts: declaration file not found"])
  })
})

describe("types", () => {
  const compile = (line: string) => {
    plant(
      "tsconfig.json",
      JSON.stringify({ extends: path.join(root, "tsconfig.json"), include: ["*.mts"] })
    )
    symlinkSync(path.join(root, "node_modules"), path.join(folder(), "node_modules"))
    plant(
      "x.mts",
      `import * as Effect from "effect/Effect"\nexport const f = (): void => {\n  ${line}\n}\n`
    )
    const { status, stdout } = spawnSync(compiler(), ["-p", folder()], { encoding: "utf8" })
    return { status, problems: [...stdout.matchAll(/error TS\d+: .*/g)].map(String) }
  }
  it("may run an Effect", () =>
    expect(compile("Effect.runSync(Effect.void)")).toEqual({ status: 0, problems: [] }))
  it("may not leave an Effect that never runs", () =>
    expect(compile("Effect.void")).toEqual({
      status: expect.toSatisfy((status) => status !== 0),
      problems: [expect.stringContaining("(floatingEffect)")]
    }))
  it("may not run an Effect that lacks a service", () =>
    expect(
      compile("Effect.runSync(Effect.scope)").problems.some((problem) =>
        problem.includes("(missingEffectContext)")
      )
    ).toBe(true))
})

describe("effect 3 only", () => {
  const lock = (packages: object) => {
    plant("package-lock.json", JSON.stringify({ packages }))
    return effectVersions(path.join(folder(), "package-lock.json"))
  }
  it("holds in this tree", () =>
    expect(effectVersions(path.join(root, "package-lock.json"))).toEqual([]))
  it("finds Effect 4 and packages that depend on it", () => {
    const effect = { version: "3.22.4" }
    expect(lock({ "node_modules/effect": effect })).toEqual([])
    expect(lock({ "node_modules/effect": { version: "4.1.0" } }).length).toBe(1)
    expect(
      lock({
        "node_modules/effect": effect,
        "node_modules/a/node_modules/@effect/sql": { version: "4.0.0-beta.3" }
      }).length
    ).toBe(1)
    expect(
      lock({
        "node_modules/effect": effect,
        "node_modules/b": { peerDependencies: { effect: "^4.1.0" } }
      }).length
    ).toBe(1)
  })
  it("fails on a lockfile without Effect", () => expect(lock({})[0]).toContain("no Effect package"))
})

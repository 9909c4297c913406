// The package as npm publishes it, in a project outside the repository: types, entry points,
// dependencies and examples.
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { publint } from "publint"
import { afterAll, beforeAll, expect, it } from "vitest"
import { node, pack, root, type Packed } from "./Packed.ts"

let packed: Packed
beforeAll(async () => {
  packed = await pack()
  cpSync(path.join(import.meta.dirname, "consumer"), packed.folder, { recursive: true })
}, 300_000)
afterAll(() => packed.remove())

it("compiles with a consumer and every example, without skipLibCheck", async () => {
  expect(await node(packed, ["node_modules/typescript/bin/tsc", "-p", "."])).toEqual({
    code: 0,
    output: ""
  })
}, 300_000)

// Without those that need PostgreSQL: test/examples/postgres.test.ts.
const withPostgres = ["cluster", "outbox"]
const examples = readdirSync(path.join(root, "examples"), { withFileTypes: true })
  .filter(
    (entry) =>
      entry.isDirectory() && entry.name !== "node_modules" && !withPostgres.includes(entry.name)
  )
  .map(({ name }) => name)
const programs = examples.filter((name) => existsSync(path.join(root, "examples", name, "main.ts")))

const tested = examples.filter((name) =>
  readdirSync(path.join(root, "examples", name)).some((file) => file.endsWith(".test.ts"))
)

it("contains the build and the documents, and no other file", () => {
  const installed = path.join(packed.folder, "node_modules/sealwire")
  expect(readdirSync(installed).toSorted()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "dist",
    "package.json",
    "src"
  ])
  expect(readdirSync(path.join(installed, "dist")).toSorted()).toEqual([
    "lib",
    "man",
    "sealwire",
    "sealwire.js"
  ])
})

it("every example is a program or a test, and is listed", () => {
  expect(new Set([...programs, ...tested])).toEqual(new Set(examples))
  expect(Math.min(programs.length, tested.length)).toBeGreaterThan(1)
  const table = readFileSync(path.join(root, "examples/README.md"), "utf8")
  for (const name of examples) expect(table).toContain(`[${name}](${name}/README.md)`)
})

it.each(programs)("the example %s runs", async (name) => {
  const { code, output } = await node(packed, ["--import", "tsx", `examples/${name}/main.ts`])
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/\S/) })
})

it("the examples with tests pass", async () => {
  const { code, output } = await node(packed, [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--root",
    "examples",
    "--no-color"
  ])
  expect({ code, output }).toMatchObject({ code: 0 })
  for (const name of tested) expect(output).toContain(`${name}/`)
}, 180_000)

it("passes publint", async () => {
  const { messages } = await publint({
    pkgDir: path.join(packed.folder, "node_modules/sealwire"),
    pack: false,
    strict: true
  })
  expect(messages.map(({ code, path, args }) => ({ code, path, args }))).toEqual([])
})

// ES modules only: one instance of Effect is required, and Node 20.19 and later can `require` them.
const allowed = (problem: { readonly kind: string; readonly resolutionKind?: string }): boolean =>
  problem.kind === "CJSResolvesToESM" ||
  // TypeScript's module resolution before `exports` (2022) cannot find the entry points.
  (problem.kind === "NoResolution" && problem.resolutionKind === "node10")

it("has correct types for every module resolution", async () => {
  const checked = await checkPackage(createPackageFromTarballData(readFileSync(packed.tarball)))
  if (!checked.types) throw new Error("there are no types in it")
  expect(Object.keys(checked.entrypoints).toSorted()).toEqual(
    Object.keys(packed.manifest.exports).toSorted()
  )
  expect(checked.problems.filter((problem) => !allowed(problem))).toEqual([])
}, 60_000)

it("npx sealwire installs only what the command needs", () => {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, bin } =
    packed.manifest
  expect(Object.keys(dependencies)).toEqual(["@scure/base", "@scure/bip39"])
  // npm installs optional dependencies, too.
  expect(optionalDependencies).toBeUndefined()
  expect(peerDependenciesMeta.libsql).toEqual({ optional: true })
  // npm installs required peers: with effect the library can be imported after npm install sealwire.
  expect(
    Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
  ).toEqual(["effect"])
  const alone = path.join(packed.folder, "alone/node_modules/sealwire")
  cpSync(path.join(packed.folder, "node_modules/sealwire"), alone, { recursive: true })
  const command = (...args: ReadonlyArray<string>) =>
    spawnSync(process.execPath, [path.join(alone, bin.sealwire), ...args], {
      encoding: "utf8",
      timeout: 30_000
    })
  expect(command("--version")).toMatchObject({ status: 0, stdout: expect.stringMatching(/\d\.\d/) })
  const key = path.join(packed.folder, "alone/shared.key")
  expect(command("keygen", "--output", key)).toMatchObject({ status: 0 })
  expect(readFileSync(key, "utf8")).toContain("SEALWIRE-SHARED-KEY-1")
})

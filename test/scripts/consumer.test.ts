// The package as npm would publish it, in a project outside of the repository: its types, its doors, what it installs, and every example.
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { publint } from "publint"
import { afterAll, beforeAll, expect, it } from "vitest"
import { node, pack, root, type Packed } from "./Packed.ts"

let packed: Packed
beforeAll(() => {
  packed = pack()
  cpSync(path.join(import.meta.dirname, "consumer"), packed.folder, { recursive: true })
}, 120_000)
afterAll(() => packed.remove())

it("a consumer and every example compile against it, with skipLibCheck off", async () => {
  expect(await node(packed, ["node_modules/typescript/bin/tsc", "-p", "."])).toEqual({
    code: 0,
    said: ""
  })
}, 120_000)

// The cluster, which needs PostgreSQL: test/examples/cluster.test.ts.
const examples = readdirSync(path.join(root, "examples"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !["cluster", "node_modules"].includes(entry.name))
  .map(({ name }) => name)
const programs = examples.filter((name) => existsSync(path.join(root, "examples", name, "main.ts")))

const tested = examples.filter((name) =>
  readdirSync(path.join(root, "examples", name)).some((file) => file.endsWith(".test.ts"))
)

it("what is packed is what was built, and what a person reads", () => {
  const installed = path.join(packed.folder, "node_modules/sealwire")
  expect(readdirSync(installed).toSorted()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "dist",
    "package.json"
  ])
  expect(readdirSync(path.join(installed, "dist")).toSorted()).toEqual([
    "lib",
    "sealwire",
    "sealwire.js"
  ])
})

it("every example does something", () => {
  expect(new Set([...programs, ...tested])).toEqual(new Set(examples))
  expect(Math.min(programs.length, tested.length)).toBeGreaterThan(1)
  const table = readFileSync(path.join(root, "examples/README.md"), "utf8")
  for (const name of examples) expect(table).toContain(`[${name}](${name}/README.md)`)
})

it.each(programs)("the example %s holds", async (name) => {
  const { code, said } = await node(packed, ["--import", "tsx", `examples/${name}/main.ts`])
  expect({ code, said }).toEqual({ code: 0, said: expect.stringMatching(/\S/) })
})

it("the examples that are tests pass", async () => {
  const { code, said } = await node(packed, [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--root",
    "examples",
    "--no-color"
  ])
  expect({ code, said }).toMatchObject({ code: 0 })
  for (const name of tested) expect(said).toContain(`${name}/`)
}, 180_000)

it("publint finds nothing", async () => {
  const { messages } = await publint({
    pkgDir: path.join(packed.folder, "node_modules/sealwire"),
    pack: false,
    strict: true
  })
  expect(messages.map(({ code, path, args }) => ({ code, path, args }))).toEqual([])
})

// ES modules alone: Effect is asked for once, and Node 20.19 and newer can `require` them.
const allowed = (problem: { readonly kind: string; readonly resolutionKind?: string }): boolean =>
  problem.kind === "CJSResolvesToESM" ||
  // TypeScript's resolution of before `exports` (2022) knows no doors.
  (problem.kind === "NoResolution" && problem.resolutionKind === "node10")

it("the types are not wrong", async () => {
  const checked = await checkPackage(createPackageFromTarballData(readFileSync(packed.tarball)))
  if (!checked.types) throw new Error("there are no types in it")
  expect(Object.keys(checked.entrypoints).toSorted()).toEqual(
    [".", "./cluster", "./node", "./otel", "./package.json", "./platform", "./testing"].toSorted()
  )
  expect(checked.problems.filter((problem) => !allowed(problem))).toEqual([])
}, 60_000)

it("npx sealwire installs what the command needs, and nothing else", () => {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, bin } =
    packed.manifest
  expect(Object.keys(dependencies)).toEqual(["@scure/base", "@scure/bip39"])
  // Machine code, for an inbox in SQLite.
  expect(Object.keys(optionalDependencies)).toEqual(["libsql"])
  // npm installs the peers that are not optional, for npx too; the command has what it needs of them inside.
  expect(
    Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
  ).toEqual([])
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

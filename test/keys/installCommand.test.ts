import { mkdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import { pathToFileURL } from "node:url"
import { expect, it } from "vitest"
import { installCommand } from "../../src/keys/installCommand.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()

const installedIn = (project: string) =>
  pathToFileURL(path.join(folder(), project, "node_modules/sealwire/dist/lib/index.js")).href

it("installs a package for all projects where this one is installed for all", () => {
  expect(installCommand("libsql", installedIn("prefix/lib"))).toBe("npm install -g libsql")
})

it("installs it in the project that has this one, also under another package", () => {
  mkdirSync(path.join(folder(), "project"))
  writeFileSync(path.join(folder(), "project/package.json"), "{}")
  for (const at of [
    "project",
    "project/node_modules/orders",
    "project/node_modules/.pnpm/sealwire"
  ])
    expect(installCommand("libsql", installedIn(at))).toBe("npm install libsql")
})

it("installs it in a clone", () => expect(installCommand("libsql")).toBe("npm install libsql"))

// The lists of built-in services: each folder of services that has rules or metrics is in them.
import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { existsSync, readdirSync } from "node:fs"
import path from "node:path"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as OptionSpec from "../../src/peers/OptionSpec.ts"
import { parseAuthorized } from "../../src/peers/Peers.ts"
import { metrics, ruleOptions, serviceNames } from "../../src/services/builtin/index.ts"
import { sharedOptions } from "../../src/services/rules.ts"
import { alice } from "../channel/rig.ts"

const services = path.resolve(import.meta.dirname, "../../src/services")

/** The modules of this name in the folders of services, with the folder of each. */
const modulesNamed = async <Module>(file: string): Promise<ReadonlyArray<[string, Module]>> => {
  const folders = readdirSync(services).filter((folder) =>
    existsSync(path.join(services, folder, file))
  )
  return Promise.all(
    folders.map(async (folder): Promise<[string, Module]> => [
      folder,
      (await import(path.join(services, folder, file))) as Module
    ])
  )
}

const rules = await modulesNamed<{
  readonly name?: string
  readonly ruleOptions: ReadonlyArray<OptionSpec.AnyOption>
}>("rules.ts")
const tables = await modulesNamed<{ readonly metrics: object }>("metrics.ts")

const isAccepted = (options: string): boolean =>
  Either.isRight(
    parseAuthorized(ruleOptions())("peers", `${options} ${PublicKey.encode(alice.publicKey)} alice`)
  )

const planted = OptionSpec.flag({ name: "planted", summary: "an option of this test" })

describe("the built-in services", () => {
  it("are found in their folders", () => {
    expect(rules.map(([folder]) => folder)).toEqual(["messages", "rpc", "transfer", "tunnel"])
    expect(tables.map(([folder]) => folder)).toEqual(["inbox", "messages", "transfer", "tunnel"])
  })

  it.each(rules)("%s has its name and its rule options in the lists", (_, module) => {
    expect(ruleOptions()).toEqual(expect.arrayContaining([...module.ruleOptions]))
    if (module.name !== undefined) expect(serviceNames).toContain(module.name)
  })

  it("have no rule option twice", () => {
    const names = ruleOptions().map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  })

  it.each([
    ...rules.map(([folder, module]) => [folder, module.ruleOptions] as const),
    ["every service", sharedOptions] as const
  ])("accept an option that is added to the list of %s", (_, list) => {
    expect(isAccepted("planted")).toBe(false)
    const options = list as Array<OptionSpec.AnyOption>
    options.push(planted)
    try {
      expect(isAccepted("planted")).toBe(true)
    } finally {
      options.pop()
    }
  })

  it.each(tables)("%s has its metrics in the list", (_, table) =>
    expect(Object.values(metrics)).toContain(table.metrics)
  )
})

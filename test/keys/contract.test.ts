// Runs one contract over every key provider, and checks that each provider has a harness here.
import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import * as vitest from "@effect/vitest"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { kinds } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { keyStoreLaws, type KeyStoreSubject } from "../../src/testing/keyStoreLaws.ts"
import { locate, providers } from "../../src/keys/providers/index.ts"
import * as Keyring from "./Keyring.ts"
import { sharedFolder } from "../fixtures/folder.ts"
import { runs } from "../fixtures/sample.ts"

const folder = sharedFolder()

let count = 0

interface Harness extends KeyStoreSubject {
  readonly name: string
  /** The command that installs its first missing requirement; its tests are skipped. */
  readonly missingRequirement?: string | undefined
  /** Starts what the tests need, and returns the function that stops it. */
  readonly start?: () => Promise<() => Promise<void>>
}

/** Creates a file with the content, or returns the path of no file. */
const fileWith = (content: string | undefined, under = folder): string => {
  const file = path.join(under, `key-${count++}`)
  if (content !== undefined) writeFileSync(file, content, { mode: 0o600 })
  return file
}

const credentials = path.join(folder, "credentials")
mkdirSync(credentials)
process.env.CREDENTIALS_DIRECTORY = credentials

let keyring: Keyring.Keyring | undefined

const harnesses: ReadonlyArray<Harness> = [
  {
    name: "file",
    layerWith: (content) => KeyStore.layerReference(`file:${fileWith(content)}`),
    missingTag: "KeyFileMissing",
    canCreate: true
  },
  {
    name: "env",
    layerWith: (content) => {
      const name = `SEALWIRE_TEST_${count++}`
      if (content !== undefined) process.env[name] = content
      return KeyStore.layerReference(`env:${name}`)
    },
    missingTag: "KeyUnavailable",
    canCreate: false
  },
  {
    name: "fd",
    layerWith: (content) => {
      if (content === undefined) return KeyStore.layerReference("fd:999999")
      const descriptor = openSync(fileWith(content), "r")
      return KeyStore.layerReference(`fd:${descriptor}`)
    },
    missingTag: "KeyUnavailable",
    canCreate: false
  },
  {
    name: "exec",
    layerWith: (content) =>
      KeyStore.layerReference(
        `exec:${content === undefined ? "true" : `cat '${fileWith(content)}'`}`
      ),
    missingTag: "KeyUnavailable",
    canCreate: false,
    numRuns: 10
  },
  {
    name: "cred",
    layerWith: (content) =>
      KeyStore.layerReference(`cred:${path.basename(fileWith(content, credentials))}`),
    missingTag: "KeyUnavailable",
    canCreate: false
  },
  {
    name: "keyring",
    missingRequirement: Keyring.missingRequirement,
    start: async () => {
      keyring = await Keyring.start()
      Object.assign(process.env, keyring.env)
      return keyring.close
    },
    layerWith: (content) => {
      const account = `key-${count++}`
      if (content !== undefined && keyring !== undefined)
        Keyring.store(keyring, "sealwire", account, content)
      return KeyStore.layerReference(`keyring:sealwire/${account}`)
    },
    missingTag: "KeyUnavailable",
    canCreate: true,
    numRuns: runs(2, 10)
  },
  {
    name: "memory",
    layerWith: (content) => KeyStore.layerMemory(content),
    missingTag: "KeyUnavailable",
    canCreate: true
  }
]

it("every provider has a harness", () => {
  expect(providers.length).toBeGreaterThan(0)
  for (const { scheme } of providers) expect(harnesses.map(({ name }) => name)).toContain(scheme)
})

describe("a new provider is one file and one entry in the list", () => {
  const source = path.resolve(import.meta.dirname, "../../src")
  const modules = readdirSync(path.join(source, "keys/providers")).filter(
    // MemoryKeys has no reference, so it is no Provider.
    (file) => !["index.ts", "MemoryKeys.ts"].includes(file)
  )

  it("every file in the folder is in the list", async () => {
    expect(modules.length).toBeGreaterThan(0)
    const listed = await Promise.all(
      modules.map(async (file) => {
        const exports = (await import(path.join(source, "keys/providers", file))) as Record<
          string,
          unknown
        >
        return exports[path.basename(file, ".ts")]
      })
    )
    expect(new Set(listed)).toEqual(new Set(providers))
  })

  it("no other code than the list and the layers of KeyStore imports a provider", () => {
    // FileKeys is also the module that reads and writes key files.
    const others = modules.filter((file) => file !== "FileKeys.ts")
    const importers = readdirSync(source, { recursive: true, encoding: "utf8" }).filter(
      (file) =>
        file.endsWith(".ts") &&
        others.some((name) => readFileSync(path.join(source, file), "utf8").includes(`/${name}"`))
    )
    expect(importers.toSorted()).toEqual(["keys/KeyStore.ts", "keys/providers/index.ts"])
  })

  it("KeyStore.layerReference needs no other change", () => {
    for (const { scheme, location } of providers)
      expect(locate(`${scheme}:NAME`).reference).toBe(location("NAME").reference)
  })
})

const secretOf = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) =>
  bytes.slice(0, 16).some((byte) => byte !== 0)
)

for (const harness of harnesses)
  describe.skipIf(harness.missingRequirement !== undefined)(
    `${harness.name}${harness.missingRequirement === undefined ? "" : ` (first: ${harness.missingRequirement})`}`,
    () => {
      if (harness.start !== undefined) beforeAll(harness.start)
      keyStoreLaws(vitest, harness)
    }
  )

describe("kinds", () => {
  it("have distinct prefixes", () => {
    expect(kinds.length).toBeGreaterThan(0)
    expect(new Set(kinds.map(({ prefix }) => prefix)).size).toBe(kinds.length)
    for (const { prefix } of kinds) expect(prefix).toBe(prefix.toUpperCase())
  })
  it.prop(
    "a text form with one character changed or lost is rejected",
    {
      secret: secretOf,
      at: FastCheck.nat(),
      to: FastCheck.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    },
    ({ secret, at, to }) => {
      for (const kind of kinds) {
        const line = Bech32.encode(kind.prefix, secret)
        const index = at % line.length
        if (line[index] === to) continue
        const typo = `${line.slice(0, index)}${to}${line.slice(index + 1)}`
        expect(Either.isLeft(KeyText.decode(kind, Buffer.from(typo)))).toBe(true)
        const lost = `${line.slice(0, index)}${line.slice(index + 1)}`
        expect(Either.isLeft(KeyText.decode(kind, Buffer.from(lost)))).toBe(true)
      }
    }
  )
  it.prop("a text form decodes as its own kind only", { secret: secretOf }, ({ secret }) => {
    for (const kind of kinds)
      for (const other of kinds)
        expect(
          Either.isRight(
            KeyText.decode(other, Buffer.from(KeyText.encode(kind, new Secret(secret))))
          )
        ).toBe(kind === other)
  })
})

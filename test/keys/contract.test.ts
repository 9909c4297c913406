// One contract over every way of keeping keys. A provider is tested by standing in this list.
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as vitest from "@effect/vitest"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { kinds } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { keyStoreLaws, type KeyStoreSubject } from "../../src/testing/keyStoreLaws.ts"
import { providers } from "../../src/keys/providers/index.ts"
import * as Keyring from "./Keyring.ts"

const folder = mkdtempSync(path.join(tmpdir(), "sealwire-keys-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let count = 0

interface Harness extends KeyStoreSubject {
  readonly name: string
  /** What has to be installed first; its tests are skipped until then. */
  readonly lacks?: string | undefined
  /** What has to run while it is tested; gives what ends it. */
  readonly start?: () => Promise<() => Promise<void>>
}

/** A file of its own with that content, or a name where none is. */
const fileWith = (content: string | undefined, under = folder): string => {
  const file = path.join(under, `key-${count++}`)
  if (content !== undefined) writeFileSync(file, content, { mode: 0o600 })
  return file
}

const descriptors: Array<number> = []
afterAll(() => {
  for (const descriptor of descriptors) closeSync(descriptor)
})

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
      descriptors.push(descriptor)
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
    lacks: Keyring.lacks,
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
    numRuns: 2
  },
  {
    name: "memory",
    layerWith: (content) => KeyStore.layerMemory(content),
    missingTag: "KeyUnavailable",
    canCreate: true
  }
]

it("every provider stands in the list", () => {
  expect(providers.length).toBeGreaterThan(0)
  for (const { scheme } of providers) expect(harnesses.map(({ name }) => name)).toContain(scheme)
})

const secretOf = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) =>
  bytes.slice(0, 16).some((byte) => byte !== 0)
)

for (const harness of harnesses)
  describe.skipIf(harness.lacks !== undefined)(
    `${harness.name}${harness.lacks === undefined ? "" : ` (first: ${harness.lacks})`}`,
    () => {
      if (harness.start !== undefined) beforeAll(harness.start)
      keyStoreLaws(vitest, harness)
    }
  )

describe("kinds", () => {
  it("have prefixes of their own", () => {
    expect(kinds.length).toBeGreaterThan(0)
    expect(new Set(kinds.map(({ prefix }) => prefix)).size).toBe(kinds.length)
    for (const { prefix } of kinds) expect(prefix).toBe(prefix.toUpperCase())
  })
  it.prop(
    "a text form with one character changed is refused",
    {
      secret: secretOf,
      at: FastCheck.nat(),
      to: FastCheck.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    },
    ({ secret, at, to }) => {
      for (const kind of kinds) {
        const line = Bech32.encode(kind.prefix, secret)
        const place = at % line.length
        if (line[place] === to) continue
        const typo = `${line.slice(0, place)}${to}${line.slice(place + 1)}`
        expect(Either.isLeft(KeyText.decode(kind, Buffer.from(typo)))).toBe(true)
        const lost = `${line.slice(0, place)}${line.slice(place + 1)}`
        expect(Either.isLeft(KeyText.decode(kind, Buffer.from(lost)))).toBe(true)
      }
    }
  )
  it.prop("a text form opens as its own kind alone", { secret: secretOf }, ({ secret }) => {
    for (const kind of kinds)
      for (const other of kinds)
        expect(
          Either.isRight(
            KeyText.decode(other, Buffer.from(KeyText.encode(kind, new Secret(secret))))
          )
        ).toBe(kind === other)
  })
})

// Adds a partner to either peers file, under a name that no other peer has.
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as PairedPeer from "../../src/cli/connection/PairedPeer.ts"
import * as PeersFile from "../../src/cli/connection/PeersFile.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const folder = sharedFolder()

const partner = generate().publicKey
const [key, other] = [PublicKey.encode(partner), PublicKey.encode(generate().publicKey)]
const server = "mail.example:8080"

let files = 0
/** Writes a peers file with these lines; with an address, it is a known_peers file. */
const pairingFileWith = (address: string | undefined, text: string) => {
  const name = path.join(folder, `peers-${files++}`)
  writeFileSync(name, text, { mode: 0o600 })
  return {
    file: PeersFile.fileOf({
      known: address !== undefined,
      authorized: Option.some(name),
      knownPeers: address === undefined ? Option.none() : Option.some(name)
    }),
    address
  }
}

const find = (pairingFile: PairedPeer.PairingFile) =>
  Effect.runPromise(Effect.either(PairedPeer.find(pairingFile, partner)))
const add = (pairingFile: PairedPeer.PairingFile, name: string) =>
  Effect.runPromise(Effect.either(PairedPeer.add(pairingFile, partner, name)))
const textOf = ({ file }: PairedPeer.PairingFile) => readFileSync(file.path, "utf8")

interface Case {
  readonly name: string
  readonly address?: string
  readonly text: string
  /** What it is called there already. */
  readonly known?: string
  /** What the suggestion "mail" becomes. */
  readonly free: string
}

const cases: ReadonlyArray<Case> = [
  { name: "an empty authorized_peers", text: "", free: "mail" },
  { name: "an authorized_peers with others", text: `${other} alice\n`, free: "mail" },
  { name: "another client of that name", text: `# clients\n${other} mail\n`, free: "mail-2" },
  {
    name: "a client that has the key",
    text: `${key} laptop\n${other} mail\n`,
    known: "laptop",
    free: "mail-2"
  },
  { name: "an empty known_peers", address: server, text: "", free: "mail" },
  {
    name: "a server of that name at another address",
    address: server,
    text: `a:1 ${other} mail\n`,
    free: "mail-2"
  },
  {
    name: "the same server at another address",
    address: server,
    text: `a:1 ${key} mail\n`,
    free: "mail-2"
  },
  {
    name: "the server with its key",
    address: server,
    text: `${server} ${key} post\n`,
    known: "post",
    free: "mail"
  },
  {
    name: "the server with its key and another",
    address: server,
    text: `${server} ${other} post\n${server} ${key} post\n`,
    known: "post",
    free: "mail"
  },
  {
    name: "the server with a retired key",
    address: server,
    text: `retiring="2020-01-01" ${server} ${other} mail\n`,
    free: "mail"
  },
  {
    name: "the server with a revoked key",
    address: server,
    text: `revoked ${server} ${other} mail\n`,
    free: "mail"
  }
]

const refusals: ReadonlyArray<Omit<Case, "free"> & { readonly because: string }> = [
  {
    name: "a revoked client",
    text: `revoked ${key} old\n`,
    because: "1 has this key, revoked, as old"
  },
  {
    name: "an expired client",
    text: `\nexpiry-time="2020-01-01" ${key} old\n`,
    because: "2 has this key, expired 2020-01-01, as old"
  },
  {
    name: "a revoked server",
    address: server,
    text: `revoked ${server} ${key} old\n`,
    because: "has this key, revoked"
  },
  {
    name: "a server revoked at another address",
    address: server,
    text: `revoked a:1 ${key} old\n`,
    because: "has this key, revoked"
  },
  {
    name: "a retired server",
    address: server,
    text: `retiring="2020-01-01" ${server} ${key} old\n`,
    because: "retired 2020-01-01"
  },
  {
    name: "a server known by another key",
    address: server,
    text: `${server} ${other} post\n`,
    because: `another key for ${server}, SHA256:`
  }
]

describe("a partner finds", () => {
  it.each(cases)("$name", async ({ address, text, known, free }) => {
    const pairingFile = pairingFileWith(address, text)
    const lookup = Either.getOrThrow(await find(pairingFile))
    expect([lookup.knownName, lookup.uniqueName("mail")]).toEqual([known, free])
    expect(lookup.nameProblem(free)).toBeUndefined()
    if (free !== "mail")
      expect(lookup.nameProblem("mail")).toContain("already has another peer named mail")
    expect(lookup.nameProblem("../mail")).toContain("is not a valid name")

    const result = Either.getOrThrow(await add(pairingFile, free))
    expect(result).toEqual({ name: known ?? free, existed: known !== undefined })
    const line = `${[...(address === undefined ? [] : [address]), key, free].join(" ")}\n`
    expect(textOf(pairingFile)).toBe(known === undefined ? text + line : text)
    // A second time changes nothing.
    expect(Either.getOrThrow(await add(pairingFile, free))).toEqual({
      name: known ?? free,
      existed: true
    })
    expect(textOf(pairingFile)).toBe(known === undefined ? text + line : text)
  })

  it.each(refusals)("$name, and is refused", async ({ address, text, because }) => {
    const pairingFile = pairingFileWith(address, text)
    const refused = Either.getOrThrow(Either.flip(await find(pairingFile)))
    expect(refused).toMatchObject({
      _tag: "PeersUnchanged",
      message: expect.stringContaining(because)
    })
    // The same line may also appear after the user has confirmed.
    const unwritten = Either.getOrThrow(Either.flip(await add(pairingFile, "mail")))
    expect(unwritten.message).toContain(`${key} mail`)
    expect(unwritten.message).toContain(because)
    expect(textOf(pairingFile)).toBe(text)
  })

  it("the name is taken during the prompt", async () => {
    const pairingFile = pairingFileWith(undefined, "")
    expect(Either.getOrThrow(await find(pairingFile)).nameProblem("mail")).toBeUndefined()
    writeFileSync(pairingFile.file.path, `${other} mail\n`)
    expect(Either.getOrThrow(Either.flip(await add(pairingFile, "mail")))).toMatchObject({
      _tag: "PairingUnwritten",
      line: `${key} mail`
    })
    expect(textOf(pairingFile)).toBe(`${other} mail\n`)
  })
})

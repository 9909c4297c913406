// The output about keys: fingerprints in the form of OpenSSH, words, and kinds of files; never a
// secret.
import { createHash } from "node:crypto"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Mnemonic from "../../src/bytes/Mnemonic.ts"
import { ClassicKey, FileKey, Identity, kinds, SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import * as ProtectedKey from "../../src/keys/ProtectedKey.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { eventsOf, it, linesOf } from "./Sealwire.ts"

const secret = Secret.random(32)
const publicKey = KeyPair.fromPrivate(secret).publicKey
const digest = createHash("sha256").update(publicKey).digest()
// The form of ssh-keygen -l: base64 without padding.
const sha256 = `SHA256:${digest.toString("base64").replace("=", "")}`
const text = PublicKey.encode(publicKey)

describe("fingerprint", () => {
  it("is the same for a public key and for its identity, from any provider and by default", async ({
    box
  }) => {
    box.write("me.key", KeyText.encode(Identity, secret))
    for (const [args, env] of [
      [[text], {}],
      [["./me.key"], {}],
      [["exec:cat me.key"], {}],
      [["env:ME"], { ME: KeyText.encode(Identity, secret) }]
    ] as const)
      expect(await box.run(["fingerprint", ...args], { env })).toEqual({
        code: 0,
        stdout: Buffer.from(`${sha256}\n`),
        stderr: ""
      })
    await box.run(["keygen", "identity"])
    const own = (await box.run(["pubkey"])).stdout.toString().trim()
    expect((await box.run(["fingerprint"])).stdout).toEqual(
      (await box.run(["fingerprint", own])).stdout
    )
  })

  it("has a form of six words: its first 66 bits", async ({ box }) => {
    const words = (await box.run(["fingerprint", text, "--words"])).stdout.toString().trim()
    expect(words).toMatch(/^[a-z]+( [a-z]+){5}$/)
    const bits = Buffer.from((await Mnemonic.decode(words.split(" "))) ?? [])
    expect([bits.subarray(0, 8), (bits[8] ?? 0) >> 6]).toEqual([
      digest.subarray(0, 8),
      (digest[8] ?? 0) >> 6
    ])
    const json = eventsOf((await box.run(["fingerprint", text, "--json"])).stdout)
    expect(json).toEqual([
      { event: "key-fingerprint", publicKey: text, fingerprint: sha256, words }
    ])
  })

  it("is rejected for a public key with a typo and for other kinds of keys", async ({ box }) => {
    const typo = text.replace(/.$/, (last) => (last === "q" ? "p" : "q"))
    expect(await box.run(["fingerprint", typo])).toMatchObject({
      code: 3,
      stderr: `sealwire: key refused: ${typo}: the checksum of this public key is wrong; a character was lost or changed\n`
    })
    box.write("shared.key", KeyText.encode(SharedKey, secret))
    expect((await box.run(["fingerprint", "./shared.key"])).stderr).toContain(
      "is a shared key; an identity is needed"
    )
  })
})

describe("inspect", () => {
  it("identifies each file, and shows no secret", async ({ box }) => {
    const protectedText = await ProtectedKey.wrapAsText(
      Identity,
      secret,
      Passphrase.fromText("x"),
      {
        log2N: 15,
        r: 9,
        p: 2
      }
    )
    const identity = { publicKey: text, fingerprint: sha256 }
    const files = [
      ...kinds.map((kind) => [
        kind.prefix,
        KeyText.encode(kind, secret),
        { kind: kind.name, format: "bech32", ...(kind === Identity ? identity : {}) }
      ]),
      [
        "me.pem",
        KeyPair.encodePrivatePem(secret),
        { kind: "identity", format: "pem", ...identity }
      ],
      ["aes_key.bin", secret.expose(), { kind: ClassicKey.name, format: "raw" }],
      [
        "hex",
        Buffer.from(secret.expose()).toString("hex"),
        { kind: ClassicKey.name, format: "hex" }
      ],
      [
        "protected",
        protectedText,
        { kind: "protected key", format: "bech32", scrypt: { N: 32768, r: 9, p: 2 } }
      ],
      ["public", `# alice\n${text}\n`, { kind: "public key", format: "bech32", ...identity }],
      [
        "public.pem",
        KeyPair.encodePublicPem(publicKey),
        { kind: "public key", format: "pem", ...identity }
      ]
    ] as ReadonlyArray<readonly [string, string | Uint8Array, object]>
    for (const [name, content] of files) box.write(name, content)
    const names = files.map(([name]) => name)

    const json = await box.run(["inspect", ...names, "--json"])
    expect(json).toMatchObject({ code: 0, stderr: "" })
    expect(eventsOf(json.stdout)).toEqual(
      files.map(([file, , fields]) => ({ event: "file-inspected", file, ...fields }))
    )
    const lines = linesOf((await box.run(["inspect", ...names])).stdout.toString())
    expect(lines).toHaveLength(files.length)
    expect(lines).toContain(`${Identity.prefix}: identity (bech32, fingerprint ${sha256})`)
    expect(lines).toContain(`${FileKey.prefix}: file key (bech32)`)
    expect(lines).toContain(
      "protected: protected key (bech32, scrypt N = 2^15, r = 9, p = 2; the passphrase reveals the kind of the key)"
    )

    const shown = `${json.stdout.toString()}${lines.join("\n")}`
    const bytes = Buffer.from(secret.expose())
    const hidden = [bytes, createHash("sha256").update(bytes).digest()].flatMap((each) =>
      (["hex", "base64", "base64url"] as const).map((form) => each.toString(form).slice(0, 12))
    )
    const linesInFiles = files
      .slice(0, kinds.length)
      .map(([, content]) => content.toString().split("1")[1]?.slice(0, 12) ?? "")
    for (const part of [...hidden, ...linesInFiles]) expect(shown).not.toContain(part)
  })

  it("warns of a secret that others can read, but not of a public key", async ({ box }) => {
    box.write("me.key", KeyText.encode(SharedKey, secret), 0o644)
    box.write("public", text, 0o644)
    const { code, stderr } = await box.run(["inspect", "./me.key", "./public"])
    expect([code, stderr]).toEqual([
      0,
      "sealwire: warning: others can read or change ./me.key; try: chmod 600 ./me.key\n"
    ])
  })

  it("reports why it cannot identify a file", async ({ box }) => {
    const line = KeyText.encode(SharedKey, secret)
    const cases = [
      [
        "damaged",
        line.replace(/.\n$/, (end) => (end === "Q\n" ? "P\n" : "Q\n")),
        "the checksum of this shared key is wrong; a character was lost or changed"
      ],
      ["hello", "hello\n", "not a Sealwire file (unrecognised header)"],
      ["empty", "", "not a Sealwire file (unrecognised header)"],
      ["noise", Buffer.alloc(100_000, 0xe9), "not a Sealwire file (unrecognised header)"]
    ] as const
    for (const [name, content, message] of cases) {
      box.write(name, content)
      expect(await box.run(["inspect", name])).toEqual({
        code: 3,
        stdout: Buffer.alloc(0),
        stderr: `sealwire: ${name}: ${message}\n`
      })
    }
    await box.runOther("mkfifo", [box.path("fifo")])
    for (const [name, message] of [
      ["fifo", "is not a regular file"],
      ["none", "no such file"]
    ] as const)
      expect(await box.run(["inspect", name])).toMatchObject({
        code: 2,
        stderr: `sealwire: ${name}: ${message}\n`
      })
  })
})

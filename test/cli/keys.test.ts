// The commands for keys, and the key providers, with the built command.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { describe, expect } from "vitest"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { FileKey, Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import { fromPrivate } from "../../src/keys/KeyPair.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { sample, sampled } from "../fixtures/sample.ts"
import { bin, it, linesOf, runs } from "./Sealwire.ts"

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0
const nothing = Buffer.alloc(0)

describe("keygen", () => {
  it.for([
    [
      ["keygen"],
      "sealwire.key",
      SharedKey,
      "copy it to the other side securely, for example with scp"
    ],
    [
      ["keygen", "identity"],
      ".config/sealwire/identity.key",
      Identity,
      "sealwire pubkey prints your public key, for the other side"
    ],
    [
      ["keygen", "file-key"],
      "sealwire-file.key",
      FileKey,
      "keep a backup: files encrypted with it cannot be decrypted without it"
    ],
    [
      ["keygen", "-o", "./mine"],
      "mine",
      SharedKey,
      "copy it to the other side securely, for example with scp"
    ],
    [
      ["keygen", "--output=./mine"],
      "mine",
      SharedKey,
      "copy it to the other side securely, for example with scp"
    ]
  ] as const)(
    "%s creates a key that only this user can read",
    async ([args, file, kind, next], { box }) => {
      const { code, stdout, stderr } = await box.run(args)
      expect({ code, stdout }).toEqual({ code: 0, stdout: nothing })
      expect(stderr).toMatch(/^sealwire: created a new .* \(readable only by you\); /)
      expect(stderr).toContain(`created a new ${kind.name}: `)
      expect(stderr).toContain(`${next}\n`)
      expect(box.mode(file)).toBe(0o600)
      expect(box.read(file).toString()).toMatch(
        new RegExp(`^# ${kind.name}; .*\n${kind.prefix}1[A-Z0-9]{58}\n$`)
      )
    }
  )

  it("-o - prints the key with a warning", async ({ box }) => {
    const { code, stdout, stderr } = await box.run(["keygen", "file-key", "-o", "-"])
    expect([code, stderr]).toEqual([
      0,
      "sealwire: warning: writing the file key to standard output: anyone who sees it can use it\n"
    ])
    expect(Bech32.decode(linesOf(stdout.toString())[1] ?? "")?.bytes).toHaveLength(32)
    expect(box.names).toEqual([])
  })

  it.for([
    ["passkey", '"passkey" is not one of shared-key, identity, file-key'],
    ["identity file-key", "unknown argument"],
    ["--pem", "--pem: a shared key has no PEM form; only an identity has"],
    ["-o - --json", "--json: stdout carries the key; remove --json"],
    ["-o", "--output needs a value"]
  ])("%s is a usage error", async ([args, message], { box }) => {
    const { code, stdout, stderr } = await box.run(["keygen", ...(args ?? "").split(" ")])
    expect([code, stdout, box.names]).toEqual([2, nothing, []])
    expect(stderr).toContain(message)
  })

  it("does not create keys in read-only providers", async ({ box }) => {
    for (const place of ["env:MINE", "fd:3", "exec:true", "cred:mine"]) {
      const { code, stderr } = await box.run(["keygen", "-o", place])
      expect([code, stderr]).toEqual([
        3,
        expect.stringMatching(
          `^sealwire: cannot create a key at ${place}: keys are not created there; `
        )
      ])
    }
  })
})

describe.runIf(hasOpenssl)("openssl pkey", () => {
  it("reads our identities and public keys, and derives the same public key", async ({ box }) => {
    await box.run(["keygen", "identity", "--pem", "-o", "./me.pem"])
    expect(box.mode("me.pem")).toBe(0o600)
    expect(box.read("me.pem").toString()).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    const own = Buffer.from(
      PublicKey.decode(
        (await box.run(["pubkey", "--identity", "./me.pem"])).stdout.toString().trim()
      ) ?? []
    )
    const theirs = await box.runOther("openssl", [
      "pkey",
      "-in",
      "me.pem",
      "-pubout",
      "-outform",
      "DER"
    ])
    expect(theirs.stdout.subarray(-32)).toEqual(own)

    const pem = (await box.run(["pubkey", "--identity", "./me.pem", "--pem"])).stdout
    expect(pem).toEqual(
      (await box.runOther("openssl", ["pkey", "-in", "me.pem", "-pubout"])).stdout
    )
    const read = await box.runOther("openssl", ["pkey", "-pubin", "-outform", "DER"], {
      stdin: pem
    })
    expect(read.stdout.subarray(-32)).toEqual(own)
  })

  it.for([
    ["genpkey -algorithm X25519", ["serve", "--key"], "is an identity; a shared key is needed"],
    [
      "genpkey -algorithm ED25519",
      ["pubkey", "--identity"],
      "is a PEM without an X25519 key; an identity is needed"
    ],
    [
      "genpkey -algorithm X25519 -aes-256-cbc -pass pass:x",
      ["pubkey", "--identity"],
      "is an encrypted PEM; remove its passphrase with openssl pkey, then protect the key again"
    ],
    [
      "genpkey -algorithm X25519 | openssl pkey -pubout",
      ["pubkey", "--identity"],
      "is a public key; an identity is needed"
    ]
  ] as const)("openssl %s is rejected with the reason", async ([made, args, message], { box }) => {
    await box.runOther("/bin/sh", ["-c", `umask 077; openssl ${made} > key.pem`])
    expect(await box.run([...args, "./key.pem"])).toMatchObject({
      code: 3,
      stderr: `sealwire: key refused: ./key.pem: ${message}\n`
    })
  })
})

describe("a key is loaded", () => {
  const secret = Secret.random(32)
  const publicKey = `${PublicKey.encode(fromPrivate(secret).publicKey)}\n`

  it.for([
    ["in a file", "file:./me.key", () => ({})],
    ["in the environment", "env:ME", () => ({ ME: KeyText.encode(Identity, secret) })],
    ["by a command", "exec:cat me.key | tail -1", () => ({})],
    [
      "among systemd's credentials",
      "cred:me.key",
      (folder: string) => ({ CREDENTIALS_DIRECTORY: folder })
    ]
  ] as const)("%s", async ([, reference, env], { box }) => {
    box.write("me.key", KeyText.encode(Identity, secret))
    const args = ["pubkey", "--identity", reference]
    const { code, stdout } = await box.run(args, { env: { ...env(box.cwd) } })
    expect([code, stdout.toString()]).toEqual([0, publicKey])
  })

  /** Runs a line in a shell. */
  const commands = [
    ["at a descriptor that is a file", `$sealwire pubkey --identity fd:3 3< me.key`],
    [
      "at a descriptor that is a pipe",
      `cat me.key | $sealwire pubkey --identity fd:7 7<&0 0</dev/null`
    ],
    ["at standard input", `cat me.key | $sealwire pubkey --identity fd:0`]
  ] as const

  it.for(commands)("%s", async ([, command], { box }) => {
    box.write("me.key", KeyText.encode(Identity, secret))
    const script = command.replace("$sealwire", `"${process.execPath}" "${bin}"`)
    const { code, stdout } = await box.runOther("/bin/sh", ["-c", script])
    expect([code, stdout.toString()]).toEqual([0, publicKey])
  })

  it("from a descriptor that is a socket", async ({ box }) => {
    // Node gives its child processes sockets.
    const { code, stdout } = await box.run(["pubkey", "--identity", "fd:0"], {
      stdin: KeyText.encode(Identity, secret)
    })
    expect([code, stdout.toString()]).toEqual([0, publicKey])
  })

  it.runIf(existsSync("/usr/bin/script"))("but never from a terminal", async ({ box }) => {
    const command = `${process.execPath} ${bin} pubkey --identity fd:0`
    const { code, stdout } = await box.runOther("script", ["-qec", command, "/dev/null"])
    expect([code, stdout.toString()]).toEqual([
      3,
      expect.stringContaining(
        "file descriptor 0 is a terminal; secrets are not read from terminals"
      )
    ])
  })

  it("and a server with a read-only provider creates no key", async ({ box }) => {
    const { code, stderr } = await box.run([
      "serve",
      "--key",
      "exec:echo not here >&2; exit 3",
      "--listen",
      "127.0.0.1:0"
    ])
    expect([code, stderr]).toEqual([
      3,
      "sealwire: no key from exec:echo not here >&2; exit 3: the command exited with status 3: not here; run it by hand to see why\n"
    ])
  })

  it.for([
    ["Ctrl-C", "pubkey --identity", "sleep 71.5 & echo started >&2; wait", ["SIGINT"], 130],
    ["Ctrl-C twice", "pubkey --identity", "trap '' TERM; sleep 71.6", ["SIGINT", "SIGINT"], 130],
    ["a terminal that is closed", "pubkey --identity", "sleep 71.7", ["SIGHUP"], 129],
    [
      "a closed terminal twice",
      "send --key",
      "trap '' TERM; sleep 71.8",
      ["SIGHUP", "SIGHUP"],
      129
    ],
    [
      "SIGTERM after SIGHUP, which a server ignores,",
      "serve --key",
      "sleep 71.9",
      ["SIGHUP", "SIGTERM"],
      0
    ]
  ] as const)(
    "%s ends a hanging exec: command with its child processes",
    async ([, words, command, signals, code], { box }) => {
      box.useProcesses()
      const [duration = ""] = /71\.\d/.exec(command) ?? []
      const sleeping = new RegExp(`^sleep ${duration}`)
      const running = box.start([...words.split(" "), `exec:${command}`])
      await waitFor(() => runs(sleeping))
      for (const signal of signals) {
        running.kill(signal)
        await new Promise((done) => setTimeout(done, 50))
      }
      expect((await running.ended()).code).toBe(code)
      await waitFor(() => !runs(sleeping))
    }
  )
})

const waitFor = async (there: () => boolean): Promise<void> => {
  for (let tries = 0; !there(); tries++) {
    if (tries > 1000) throw new Error("no result within 10 seconds")
    await new Promise((done) => setTimeout(done, 10))
  }
}

describe("a descriptor that Node uses itself", () => {
  it.runIf(existsSync("/proc/self/fd"))(
    sampled("is not read for a key; the command neither crashes nor hangs"),
    async ({ box }) => {
      const descriptors = Array.from({ length: 10 }, (_, index) => index + 3)
      const ends = sample(descriptors, 4).map((descriptor) =>
        box.start(["pubkey", "--identity", `fd:${descriptor}`])
      )
      const results = await Promise.all(ends.map((end) => end.ended()))
      expect(results.map(({ code }) => code)).toEqual(results.map(() => 3))
      for (const { stderr } of results)
        expect(stderr).toMatch(
          /^sealwire: [^\n]* (is not open(, or is [^;]*)?|file descriptor \d+ is empty); [^\n]*\n$/
        )
    }
  )
})

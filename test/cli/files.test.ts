// encrypt, decrypt, rekey and inspect with the built command: texts, exit codes and files.
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, vi } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { openMessage } from "../../src/files/Opener.ts"
import { sealMessage } from "../../src/files/Sealer.ts"
import { ClassicKey, FileKey, Identity } from "../../src/keys/KeyKind.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { bin, eventsOf, it, type Box } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

const hasScript = existsSync("/usr/bin/script")
const hasOpenssl = existsSync("/usr/bin/openssl")
const empty = Buffer.alloc(0)

/** A user with an identity. */
const person = (name: string) => {
  const secret = Secret.random(32)
  const { publicKey } = KeyPair.fromPrivate(secret)
  return {
    name,
    text: KeyText.encode(Identity, secret),
    key: PublicKey.encode(publicKey),
    fingerprint: PublicKey.fingerprint(publicKey)
  }
}
const [alice, bob, carol] = ["alice", "bob", "carol"].map(person) as [
  ReturnType<typeof person>,
  ReturnType<typeof person>,
  ReturnType<typeof person>
]

const fileKey = Secret.random(32)

/** The keys of all users, and authorized_peers. */
const furnish = (box: Box, peers = `${alice.key} alice\n${bob.key} bob\n`) => {
  for (const { name, text } of [alice, bob, carol]) box.write(`${name}.key`, text)
  box.write("file.key", KeyText.encode(FileKey, fileKey))
  mkdirSync(box.path("sealwire"), { recursive: true, mode: 0o700 })
  box.write("sealwire/authorized_peers", peers)
  return { XDG_CONFIG_HOME: box.cwd }
}

const done = { code: 0, stdout: empty, stderr: "" }
const plaintext = randomBytes(40_960)

describe("encrypt for recipients", () => {
  it("only the recipients can decrypt it, and they see the sender", async ({ box }) => {
    const env = furnish(box)
    box.write("plan", plaintext, 0o644)
    const to = ["--to", "bob", "--to", carol.key, "--identity", "./alice.key"]
    expect(
      await box.run(["encrypt", "./plan", ...to, "--output", "./plan.sealed"], { env })
    ).toEqual(done)
    expect(box.read("plan.sealed").includes(plaintext.subarray(0, 16))).toBe(false)
    for (const reader of ["bob", "carol"]) {
      const output = `./${reader}.plan`
      expect(
        await box.run(["decrypt", "./plan.sealed", "--identity", `./${reader}.key`, "-o", output], {
          env
        })
      ).toEqual({
        ...done,
        stderr: `sealwire: ./plan.sealed is from alice (${alice.fingerprint}); any of its 2 recipients could have forged the content\n`
      })
      expect(box.read(output).equals(plaintext)).toBe(true)
      expect(box.mode(output)).toBe(0o600)
    }
    expect(
      await box.run(["decrypt", "./plan.sealed", "--identity", "./alice.key", "-o", "./none"], {
        env
      })
    ).toEqual({
      code: 3,
      stdout: empty,
      stderr: `sealwire: ./plan.sealed: it is not encrypted to the identity ${alice.key} (or its header was changed)\n`
    })
    expect(box.names.filter((name) => /none|tmp/.test(name))).toEqual([])
  })

  it("accepts a file of recipients, pipes, --json and --anonymous", async ({ box }) => {
    const env = furnish(box)
    box.write("team", `# the team\n\n${bob.key} bob\n${carol.key}\n`)
    const sealed = await box.run(["encrypt", "--to", "./team", "--anonymous"], {
      env,
      stdin: plaintext
    })
    expect([sealed.code, sealed.stderr]).toEqual([0, ""])
    box.write("x.sealed", sealed.stdout)
    const opened = await box.run(["decrypt", "-", "--identity", "./carol.key"], {
      env,
      stdin: sealed.stdout
    })
    expect([opened.code, opened.stderr, opened.stdout.equals(plaintext)]).toEqual([0, "", true])
    const json = await box.run(
      ["decrypt", "x.sealed", "--identity", "./bob.key", "-o", "x", "--json"],
      { env }
    )
    expect(eventsOf(json.stdout)).toEqual([
      {
        event: "file-decrypted",
        file: "x.sealed",
        output: "x",
        recipientType: "anonymous",
        recipients: 2,
        rekeyed: false
      }
    ])
    expect(await box.run(["inspect", "x.sealed"], { env })).toMatchObject({
      code: 0,
      stderr: "",
      stdout: Buffer.from(
        "x.sealed: encrypted file (2 recipients, anonymous sender; 40,960 bytes of content, not verified)\n"
      )
    })
    box.write("cut", sealed.stdout.subarray(0, 700))
    expect(
      eventsOf((await box.run(["inspect", "x.sealed", "cut", "--json"], { env })).stdout)
    ).toMatchObject([
      {
        kind: "encrypted file",
        recipientType: "anonymous",
        recipients: 2,
        rekeyed: false,
        bytes: 40_960
      },
      { kind: "encrypted file", bytes: expect.any(Number) as number }
    ])
  })

  it("one recipient can verify the sender; --from rejects other senders", async ({ box }) => {
    const env = furnish(box)
    const to = ["--to", "bob", "--identity", "./alice.key"]
    box.write("x.sealed", (await box.run(["encrypt", ...to], { env, stdin: "it is me" })).stdout)
    const read = ["decrypt", "x.sealed", "--identity", "./bob.key"]
    expect(await box.run([...read, "--from", "alice"], { env })).toEqual({
      code: 0,
      stdout: Buffer.from("it is me"),
      stderr: `sealwire: x.sealed is from alice (${alice.fingerprint})\n`
    })
    expect(await box.run([...read, "--from", carol.key], { env })).toEqual({
      code: 4,
      stdout: empty,
      stderr: `sealwire: x.sealed: it is from alice, ${alice.key}, not from ${carol.key}; nothing was decrypted\n`
    })
    furnish(box, `revoked ${alice.key} alice\n`)
    expect((await box.run(read, { env })).stderr).toBe(
      "sealwire: warning: the key of alice is no longer valid (revoked): the sender may not be alice\n" +
        `sealwire: x.sealed is from alice (${alice.fingerprint})\n`
    )
    expect(
      await box.run(["encrypt", "--to", "alice", "--anonymous"], { env, stdin: "x" })
    ).toMatchObject({
      code: 2,
      stderr: "sealwire: alice has no valid key: revoked\n"
    })
  })

  it.for([
    [
      "no recipient",
      [],
      "no recipients; use --to, --key or --passphrase; see: sealwire encrypt --help"
    ],
    [
      "two ways",
      ["--to", bob.key, "--passphrase"],
      "--to, --key and --passphrase exclude each other; see: sealwire encrypt --help"
    ],
    [
      "an unknown name",
      ["--to", "dave"],
      '"dave" is not a public key (sealwire1…), a name in authorized_peers or known_peers, or a file'
    ],
    [
      "a name with a typo",
      ["--to", "boob"],
      '"boob" is not a public key (sealwire1…), a name in authorized_peers or known_peers, or a file; did you mean bob?'
    ],
    [
      "a key with a typo",
      ["--to", `${bob.key.slice(0, -1)}b`],
      /the checksum of this public key is wrong/
    ],
    [
      "a secret key",
      ["--to", "./bob.key"],
      /bob.key:2: not a public key .*, but a private key; sealwire pubkey/
    ],
    [
      "no identity",
      ["--to", bob.key],
      /no identity at .* to authenticate the sender of the file; create one: sealwire keygen --identity, or leave the sender out: --anonymous/
    ],
    [
      "--raw and recipients",
      ["--raw", "--to", bob.key],
      /--raw writes no header and excludes --to/
    ],
    ["--context alone", ["--key", "./file.key", "--context", "x"], /--context requires --raw/]
  ] as const)("for %s is refused", async ([, args, message], { box }) => {
    const { code, stdout, stderr } = await box.run(["encrypt", ...args, "-o", "x"], {
      env: furnish(box),
      stdin: "x"
    })
    expect([code, stdout]).toEqual([
      args.length === 0 || !stderr.includes("no identity") ? 2 : 3,
      empty
    ])
    if (typeof message === "string") expect(stderr).toBe(`sealwire: ${message}\n`)
    else expect(stderr).toMatch(message)
    expect(box.names).not.toContain("x")
  })
})

describe("encrypt with a secret", () => {
  it("decrypts with the file key, rejects another one, and names a missing one", async ({
    box
  }) => {
    const env = furnish(box)
    box.write("other.key", KeyText.encode(FileKey, Secret.random(32)))
    box.write("plan", plaintext)
    expect(
      await box.run(["encrypt", "plan", "--key", "./file.key", "-o", "s", "--json"], { env })
    ).toMatchObject({
      stdout: Buffer.from(
        '{"event":"file-encrypted","file":"plan","output":"s","recipientType":"file-key","recipients":1}\n'
      )
    })
    expect(
      (await box.run(["decrypt", "s", "--key", "./file.key"], { env })).stdout.equals(plaintext)
    ).toBe(true)
    for (const [args, message] of [
      [["--key", "./other.key"], "it opens with another file key (or its header was changed)"],
      [[], "it needs a file key, and there is none at ./sealwire-file.key; use --key"]
    ] as const)
      expect(await box.run(["decrypt", "s", ...args], { env })).toEqual({
        code: 3,
        stdout: empty,
        stderr: `sealwire: s: ${message}\n`
      })
    expect((await box.run(["decrypt", "s", "--key", "./bob.key"], { env })).stderr).toContain(
      "is an identity; a file key is needed"
    )
  })

  it("takes a passphrase from a descriptor or the environment, and rejects a wrong one", async ({
    box
  }) => {
    const env = furnish(box)
    box.write("plan", plaintext)
    const SEALWIRE_PASSPHRASE = "correct horse"
    expect(
      await box.run(["encrypt", "plan", "--passphrase", "-o", "s", "--passphrase-fd", "0"], {
        env,
        stdin: "correct horse\n"
      })
    ).toEqual(done)
    const { stdout } = await box.run(["decrypt", "s"], { env: { ...env, SEALWIRE_PASSPHRASE } })
    expect(stdout.equals(plaintext)).toBe(true)
    expect(
      await box.run(["decrypt", "s"], { env: { ...env, SEALWIRE_PASSPHRASE: "battery" } })
    ).toEqual({
      code: 3,
      stdout: empty,
      stderr: "sealwire: key refused: s: the passphrase is wrong (or its header was changed)\n"
    })
    expect((await box.run(["inspect", "s"], { env })).stdout.toString()).toContain(
      "s: encrypted file (passphrase; "
    )
    // The parameters demand 2 GiB of memory to open a file from an untrusted source.
    for (const [at, value, asks] of [
      [1, 21, "log2N = 21; from 15 to 20"],
      [2, 16, "r = 16; from 8 to 8"],
      [3, 4, "p = 4; from 1 to 1"]
    ] as const) {
      const file = box.read("s")
      const begin = file.indexOf('["') + 2
      const stanza = Buffer.from(file.toString("latin1", begin, file.indexOf('"]')), "base64url")
      stanza[at] = value
      file.write(stanza.toString("base64url"), begin, "latin1")
      box.write("greedy", file)
      const refused = (what: string) => ({
        code: 6,
        stdout: empty,
        stderr: `sealwire: greedy: ${what} asks scrypt for ${asks} is allowed; get it again or restore a backup\n`
      })
      expect(
        await box.run(["decrypt", "greedy"], { env: { ...env, SEALWIRE_PASSPHRASE } })
      ).toEqual(refused("its header"))
      expect(await box.run(["inspect", "greedy"], { env })).toEqual(
        refused("is an encrypted file; its header")
      )
    }
  })
})

describe("a key that the file does not need", () => {
  it("is rejected with its option, before any prompt", async ({ box }) => {
    const env = furnish(box)
    const SEALWIRE_PASSPHRASE = "correct horse"
    const run = (...args: ReadonlyArray<string>) =>
      box.run(args, { env: { ...env, SEALWIRE_PASSPHRASE }, stdin: "text" })
    await run("encrypt", "--passphrase", "-o", "by-passphrase")
    await run("encrypt", "--key", "./file.key", "-o", "by-key")
    await run("encrypt", "--to", "bob", "--anonymous", "-o", "for-bob")
    const refused = (command: string, message: string) => ({
      code: 2,
      stdout: empty,
      stderr: `sealwire: ${message}; see: sealwire ${command} --help\n`
    })
    for (const [args, message] of [
      [
        ["by-passphrase", "--key", "./missing.key"],
        "--key: by-passphrase: decrypting it needs a passphrase"
      ],
      [
        ["by-passphrase", "--identity", "./bob.key"],
        "--identity: by-passphrase: decrypting it needs a passphrase"
      ],
      [
        ["by-key", "--key", "./file.key", "--identity", "./no.key"],
        "--identity: by-key: decrypting it needs a file key"
      ],
      [
        ["for-bob", "--key", "./file.key"],
        "--key: for-bob: decrypting it needs the identity of a recipient"
      ]
    ] as const)
      expect(await run("decrypt", ...args)).toEqual(refused("decrypt", message))
    expect(
      await run("rekey", "by-passphrase", "--old-key", "./file.key", "--key", "./file.key")
    ).toEqual(refused("rekey", "--old-key: by-passphrase: decrypting it needs a passphrase"))
    // --identity names the sender of the new header.
    expect(
      await run(
        "rekey",
        "by-key",
        "--old-key",
        "./file.key",
        "--to",
        "bob",
        "--identity",
        "./alice.key"
      )
    ).toMatchObject({
      code: 0
    })
  })
})

describe("a damaged file", () => {
  const sealedBy = async (box: Box) => {
    const { stdout } = await box.run(["encrypt", "--key", "./file.key"], {
      env: furnish(box),
      stdin: plaintext
    })
    return stdout
  }
  const flipped = (file: Buffer, at: number) => {
    const changed = Buffer.from(file)
    changed[at] = (changed[at] ?? 0) ^ 1
    return changed
  }

  it("fails with one line and exit code 6, and leaves no output file", async ({ box }) => {
    const file = await sealedBy(box)
    const header = 12 + file.readUInt32BE(8)
    const payload = header + 104
    const cases = [
      [
        "header",
        flipped(file, 11),
        "bad: its header was changed; get it again or restore a backup"
      ],
      [
        "salt",
        flipped(file, payload),
        "bad: its content does not belong to its header; get it again or restore a backup"
      ],
      [
        "second chunk",
        flipped(file, payload + 56 + 16_400 + 5),
        "bad: its content was changed, within 16 KiB from byte 16,384; get it again or restore a backup"
      ],
      [
        "a byte more",
        Buffer.concat([file, Buffer.of(0)]),
        "bad: its end was changed or cut off; get it again or restore a backup"
      ],
      [
        "the last chunk cut off",
        file.subarray(0, payload + 56 + 2 * 16_400),
        "bad: truncated: its end is missing; get it again or restore a backup"
      ],
      ["something else", plaintext, "bad: not a Sealwire encrypted file (unrecognised header)"]
    ] as const
    for (const [, content, message] of cases) {
      box.write("bad", content)
      expect(await box.run(["decrypt", "bad", "--key", "./file.key", "--output", "out"])).toEqual({
        code: 6,
        stdout: empty,
        stderr: `sealwire: ${message}\n`
      })
    }
    expect(box.names.filter((name) => name.includes("out"))).toEqual([])
  })

  it("of a later version is reported as such", async ({ box }) => {
    const file = await sealedBy(box)
    file[7] = 2
    box.write("new", file)
    for (const args of [
      ["decrypt", "new", "--key", "./file.key"],
      ["inspect", "new"],
      ["rekey", "new", "--key", "./file.key"]
    ])
      expect(await box.run(args, { env: furnish(box) })).toEqual({
        code: 6,
        stdout: empty,
        stderr:
          "sealwire: new: has version 2 of the file format, which is not supported (1 is), or its first bytes were changed; update sealwire\n"
      })
  })

  it("ends standard output after the verified part, with exit code 6", async ({ box }) => {
    const file = await sealedBy(box)
    const at = 12 + file.readUInt32BE(8) + 104 + 56
    for (const bad of [flipped(file, at + 2 * 16_400), file.subarray(0, at + 2 * 16_400)]) {
      const { code, stdout, stderr } = await box.run(["decrypt", "--key", "./file.key"], {
        stdin: bad
      })
      expect([code, stdout.equals(plaintext.subarray(0, 32_768))]).toEqual([6, true])
      expect(stderr).toMatch(/^sealwire: standard input: .*; get it again or restore a backup\n$/)
    }
  })
})

describe("a file of many chunks, processed by worker threads", () => {
  it("decrypts to the same content, detects changes and truncation, and can be rekeyed", async ({
    box
  }) => {
    const env = furnish(box)
    const big = Buffer.concat([randomBytes(1_000_003), Buffer.alloc(20_000_000, "sealwire")])
    box.write("big", big)
    const key = ["--key", "./file.key"]
    expect(await box.run(["encrypt", "big", ...key, "-o", "s"], { env })).toEqual(done)
    expect(await box.run(["decrypt", "s", ...key, "-o", "again"], { env })).toEqual(done)
    expect(box.read("again").equals(big)).toBe(true)
    // A stream opens the chunks that threads have sealed.
    expect(
      (await box.run(["decrypt", ...key], { env, stdin: box.read("s") })).stdout.equals(big)
    ).toBe(true)

    const sealed = box.read("s")
    const changed = Buffer.from(sealed)
    changed[10_000_000] = (changed[10_000_000] ?? 0) ^ 1
    box.write("changed", changed)
    box.write("cut", sealed.subarray(0, 18_000_000))
    for (const name of ["changed", "cut"]) {
      const { code, stderr } = await box.run(["decrypt", name, ...key, "-o", "none"], { env })
      expect([code, stderr]).toEqual([
        6,
        expect.stringMatching(/^sealwire: .* was changed.*\n$/) as string
      ])
    }
    expect(box.names.filter((name) => /none|tmp/.test(name))).toEqual([])
  })
})

describe("the output", () => {
  it("is not overwritten without --overwrite, and a link stays a link", async ({ box }) => {
    const env = furnish(box)
    box.write("old", "old")
    symlinkSync("old", box.path("link"))
    const encrypt = ["encrypt", "--key", "./file.key", "-o"]
    for (const name of ["old", "link"])
      expect(await box.run([...encrypt, name], { env, stdin: "new" })).toEqual({
        code: 2,
        stdout: empty,
        stderr: `sealwire: ${name} already exists; choose another name; to replace it: --overwrite\n`
      })
    expect(await box.run([...encrypt, "link", "--overwrite"], { env, stdin: "new" })).toEqual(done)
    expect(
      (await box.run(["decrypt", "old", "--key", "./file.key"], { env })).stdout.toString()
    ).toBe("new")
    expect(box.names.filter((name) => name.startsWith("."))).toEqual([])
    for (const [place, message] of [
      ["./none/x", "its folder does not exist; create it first"],
      ["/dev/null", "is not a regular file"]
    ] as const)
      expect(
        await box.run([...encrypt, place, "--overwrite"], { env, stdin: "new" })
      ).toMatchObject({
        code: 2,
        stderr: `sealwire: ${place}: ${message}; nothing was written there\n`
      })
  })

  it.for([
    ["has nothing after kill -9", "SIGKILL", "SIGKILL", 1],
    ["has not a trace after SIGTERM", "SIGTERM", 143, 0]
  ] as const)("%s", async ([, signal, code, traces], { box }) => {
    const running = box.start(["encrypt", "--key", "./file.key", "-o", "out"], {
      env: furnish(box),
      stdin: "open"
    })
    running.type("x".repeat(100_000))
    const temporaries = () => box.names.filter((name) => name.startsWith(".out."))
    for (let tries = 0; temporaries().length === 0 && tries < 200; tries++)
      await new Promise((next) => setTimeout(next, 50))
    expect(temporaries()).toHaveLength(1)
    running.kill(signal)
    expect(await running.exited()).toBe(code)
    expect([box.names.includes("out"), temporaries().length]).toEqual([false, traces])
  })

  it.skipIf(!canMount)("reports a full disk and leaves no file", async ({ box, skip }) => {
    if (smallDisk(box) === undefined) return skip("no file system can be mounted here")
    const env = furnish(box)
    box.write("big", randomBytes(1_000_000))
    for (const stdin of [undefined, box.read("big")])
      expect(
        await box.run(
          [
            "encrypt",
            ...(stdin === undefined ? ["big"] : []),
            "--key",
            "./file.key",
            "-o",
            "disk/s"
          ],
          {
            env,
            ...(stdin === undefined ? {} : { stdin })
          }
        )
      ).toEqual({
        code: 2,
        stdout: empty,
        stderr: "sealwire: disk/s: the disk is full; nothing was written there\n"
      })
    const { stdout } = await box.runOther("ls", ["-A", "disk"])
    expect(stdout.toString()).toBe("")
  })

  it("removes leftovers of killed processes, and keeps those of running ones", async ({ box }) => {
    const env = furnish(box)
    const args = ["encrypt", "--key", "./file.key", "--output", "./sealed"]
    const temporary = () => box.names.filter((name) => name.endsWith(".tmp"))
    const [killed, other] = [
      box.start(args, { env, stdin: "open" }),
      box.start(args, { env, stdin: "open" })
    ]
    await vi.waitFor(() => expect(temporary()).toHaveLength(2), 60_000)
    // One of another machine, whose processes are unknown here, and one of no process.
    const strange = [".sealed.00000000-1-1.0123456789abcdef.tmp", ".sealed.mine.tmp"]
    for (const name of strange) box.write(name, "not ours")
    await killed.crash()
    expect(temporary()).toHaveLength(4)
    expect(await box.run(args, { env, stdin: "text" })).toEqual(done)
    expect(temporary()).toEqual(expect.arrayContaining(strange))
    expect(temporary()).toHaveLength(3)
    other.closeInput()
    expect(await other.ended()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("already exists") as unknown
    })
    expect(temporary().toSorted()).toEqual(strange)
  })

  it("reports a dangling link", async ({ box }) => {
    const env = furnish(box)
    symlinkSync("./nowhere", box.path("dangling"))
    for (const link of ["./dangling", "/dev/stdout"])
      expect(
        await box.run(["encrypt", "--key", "./file.key", "--overwrite", "--output", link], {
          env,
          stdin: "text"
        })
      ).toMatchObject({
        code: 2,
        stderr: `sealwire: ${link}: is a symbolic link that does not lead to a regular file; nothing was written there; to write to standard output: -o -\n`
      })
    expect(box.names).not.toContain("nowhere")
  })

  it("reports an unreadable input", async ({ box }) => {
    const env = furnish(box)
    for (const [file, message] of [
      ["none", "no such file"],
      [".", "is a folder; name a file"]
    ] as const)
      expect(await box.run(["encrypt", file, "--key", "./file.key", "-o", "x"], { env })).toEqual({
        code: 2,
        stdout: empty,
        stderr: `sealwire: ${file}: ${message}\n`
      })
  })
})

describe.runIf(hasScript)("a terminal", () => {
  const onTerminal = (box: Box, args: string) =>
    box.runOther("script", ["-qec", `${process.execPath} ${bin} ${args}`, "/dev/null"], {
      env: { ...furnish(box), TERM: "xterm", NO_COLOR: "1" }
    })

  it("gets an encrypted file only if it is forced", async ({ box }) => {
    box.write("h", "hello\n")
    const refused = await onTerminal(box, "encrypt h --key ./file.key")
    expect([refused.code, refused.stdout.toString()]).toEqual([
      2,
      "sealwire: --output: the encrypted file is binary and stdout is a terminal; name a file, or force it with --output -; " +
        "see: sealwire encrypt --help\r\n"
    ])
    expect(
      (await onTerminal(box, "encrypt h --key ./file.key --output -")).stdout.toString("latin1")
    ).toContain("SLWF")
  })

  it("gets decrypted text escaped, and no binary content", async ({ box }) => {
    box.write("h", "grüße\u001b[2J\n")
    box.write("b", Buffer.from([0x68, 0, 0xff, 0x1b]))
    const env = furnish(box)
    for (const name of ["h", "b"])
      await box.run(["encrypt", name, "--key", "./file.key", "-o", `${name}.s`], { env })
    expect((await onTerminal(box, "decrypt h.s --key ./file.key")).stdout.toString()).toContain(
      "grüße\\x1b[2J\r\n"
    )
    const refused = await onTerminal(box, "decrypt b.s --key ./file.key")
    expect([refused.code, refused.stdout.toString().replace("\r\u001b[K", "")]).toEqual([
      2,
      "sealwire: the content is binary and stdout is a terminal; name a file with --output, or force it with --output -\r\n"
    ])
  })
})

describe("rekey", () => {
  it("replaces the header, and with --deep the content; former recipients cannot decrypt it", async ({
    box
  }) => {
    const env = furnish(box)
    box.write("x", plaintext)
    await box.run(
      ["encrypt", "x", "--to", "alice", "--to", "bob", "--identity", "./alice.key", "-o", "s"],
      { env }
    )
    await box.runOther("chmod", ["640", "s"])
    const before = box.read("s")
    const tail = plaintext.length + 56 + 3 * 16
    expect(
      await box.run(["rekey", "s", "--to", carol.key, "--identity", "./alice.key"], { env })
    ).toEqual({
      ...done,
      stderr:
        "sealwire: warning: s: now 1 recipient, sender identified; removed recipients may still have " +
        "the old content key or a copy, use --deep to re-encrypt the content\n"
    })
    expect([box.read("s").subarray(-tail).equals(before.subarray(-tail)), box.mode("s")]).toEqual([
      true,
      0o640
    ])
    expect((await box.run(["decrypt", "s", "--identity", "./bob.key"], { env })).code).toBe(3)
    const read = await box.run(["decrypt", "s", "--identity", "./carol.key"], { env })
    expect([read.code, read.stdout.equals(plaintext), read.stderr]).toEqual([
      0,
      true,
      `sealwire: s is from alice (${alice.fingerprint}); anyone who could decrypt it before the rekey could have forged the content\n`
    ])

    const deep = [
      "rekey",
      "s",
      "--key",
      "./file.key",
      "--identity",
      "./carol.key",
      "--deep",
      "-o",
      "t"
    ]
    expect(await box.run(deep, { env })).toEqual({
      ...done,
      stderr:
        "sealwire: t: re-encrypted, now file key; earlier copies can still be decrypted by their recipients\n"
    })
    expect(box.read("t").includes(before.subarray(-100))).toBe(false)
    const SEALWIRE_PASSPHRASE = "horse"
    const back = ["rekey", "t", "--passphrase", "--old-key", "./file.key", "--json"]
    expect(
      eventsOf((await box.run(back, { env: { ...env, SEALWIRE_PASSPHRASE } })).stdout)
    ).toEqual([
      {
        event: "file-rekeyed",
        file: "t",
        output: "t",
        recipientType: "passphrase",
        recipients: 1,
        deep: false
      }
    ])
    expect(
      (await box.run(["decrypt", "t"], { env: { ...env, SEALWIRE_PASSPHRASE } })).stdout.equals(
        plaintext
      )
    ).toBe(true)
  })

  it("leaves the file unchanged if it fails", async ({ box }) => {
    const env = furnish(box)
    await box.run(["encrypt", "-o", "s", "--key", "./file.key"], { env, stdin: plaintext })
    const sealed = box.read("s")
    expect(
      await box.run(["rekey", "s", "--old-key", "./file.key", "--to", "dave", "--anonymous"], {
        env
      })
    ).toMatchObject({
      code: 2
    })
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1
    box.write("s", sealed)
    expect(
      await box.run(["rekey", "s", "--old-key", "./file.key", "--key", "./file.key", "--deep"], {
        env
      })
    ).toMatchObject({
      code: 6
    })
    expect([
      box.read("s").equals(sealed),
      box.names.filter((name) => name.includes("tmp"))
    ]).toEqual([true, []])
  })
})

describe("--raw", () => {
  it("is exactly a Cobblestone-256 message, both ways", async ({ box }) => {
    const env = furnish(box)
    const raw = ["--raw", "--key", "./file.key", "--context", "backup 7"]
    const { stdout } = await box.run(["encrypt", ...raw], { env, stdin: plaintext })
    expect(
      plaintext.equals(openMessage(fileKey.expose(), Buffer.from("backup 7"), stdout) as Uint8Array)
    ).toBe(true)
    box.write("theirs", sealMessage(fileKey.expose(), Buffer.of(0, 255), plaintext))
    const hex = ["decrypt", "theirs", "--raw", "--key", "./file.key", "--context"]
    expect((await box.run([...hex, "hex:00ff"], { env })).stdout.equals(plaintext)).toBe(true)
    expect(await box.run([...hex, "hex:00fe"], { env })).toEqual({
      code: 3,
      stdout: empty,
      stderr: "sealwire: theirs: wrong key or context (or its first 56 bytes were changed)\n"
    })
  })

  it("decrypts a message of PyCA", async ({ box }) => {
    const { vectors } = JSON.parse(
      readFileSync(path.join(import.meta.dirname, "../vectors/cobblestone-pyca.json"), "utf8")
    ) as {
      vectors: ReadonlyArray<{
        id: string
        key: string
        context: string
        ct: string
        plaintext_len: number
      }>
    }
    const vector = vectors.find(({ id }) => id === "256-16400")
    if (vector === undefined) throw new Error("256-16400 is missing")
    const key = KeyText.encode(FileKey, new Secret(Buffer.from(vector.key, "hex")))
    const args = ["decrypt", "--raw", "--key", "env:K", "--context", `hex:${vector.context}`]
    const { code, stdout } = await box.run(args, {
      env: { K: key },
      stdin: Buffer.from(vector.ct, "base64")
    })
    expect([code, stdout.length]).toEqual([0, vector.plaintext_len])
  })
})

describe.runIf(hasOpenssl)("--openssl", () => {
  const classic = Secret.random(32)
  const warning =
    "sealwire: warning: aes-128-cbc has no integrity and a fixed IV: changes are not detected, and two files with the same beginning look alike. " +
    "Use it only for openssl enc and the origin's programs; without --openssl changes are detected\n"

  it("is compatible with openssl enc in both directions", async ({ box }) => {
    box.writeKey(KeyText.contentOf(ClassicKey, classic))
    const [key, iv] = [classic.slice(0, 16), classic.slice(16)].map((each) =>
      Buffer.from(each.expose()).toString("hex")
    )
    const enc = ["enc", "-aes-128-cbc", "-K", key ?? "", "-iv", iv ?? ""]
    for (const length of [0, 15, 16, 300_000]) {
      box.write(
        "plain",
        plaintext.subarray(0, length).length === length
          ? plaintext.subarray(0, length)
          : randomBytes(length)
      )
      expect(await box.run(["encrypt", "plain", "--openssl", "-o", `ours${length}`])).toEqual({
        ...done,
        stderr: warning
      })
      expect(
        (await box.runOther("openssl", [...enc, "-d", "-in", `ours${length}`])).stdout.equals(
          box.read("plain")
        )
      ).toBe(true)
      const theirs = (await box.runOther("openssl", [...enc, "-in", "plain"])).stdout
      expect(theirs.equals(box.read(`ours${length}`))).toBe(true)
      expect(
        (await box.run(["decrypt", "--openssl"], { stdin: theirs })).stdout.equals(
          box.read("plain")
        )
      ).toBe(true)
    }
  })

  it("reports a wrong key, wrong padding and half a block in the same way", async ({ box }) => {
    box.writeKey(KeyText.contentOf(ClassicKey, classic))
    const message = `${warning}sealwire: bad: is not encrypted with this classic key, or incomplete; get it again or restore a backup\n`
    for (const content of [Buffer.alloc(32, 1), Buffer.alloc(17, 1), empty]) {
      box.write("bad", content)
      expect(await box.run(["decrypt", "bad", "--openssl", "-o", "out"])).toEqual({
        code: 6,
        stdout: empty,
        stderr: message
      })
    }
    expect(box.names).not.toContain("out")
  })
})

it("no output contains a key or the content", async ({ box }) => {
  const env = furnish(box)
  writeFileSync(box.path("x"), "the content of the file")
  const outputs: Array<string> = []
  for (const args of [
    ["encrypt", "x", "--key", "./file.key", "-o", "s", "--json", "--log-level", "debug"],
    ["inspect", "s", "--json"],
    ["decrypt", "s", "--key", "./file.key", "-o", "t", "--json", "--log-level", "debug"]
  ]) {
    const { code, stdout, stderr } = await box.run(args, { env })
    expect(code).toBe(0)
    outputs.push(stdout.toString(), stderr)
  }
  const key = Buffer.from(fileKey.expose())
  for (const part of [key.toString("hex"), key.toString("base64url"), "the content"])
    expect(outputs.join("")).not.toContain(part)
})

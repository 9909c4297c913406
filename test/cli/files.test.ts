// encrypt, decrypt, rekey and inspect with the built command: texts, exit codes and files.
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, vi } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { openMessage } from "../../src/files/Opener.ts"
import { sealMessage } from "../../src/files/Sealer.ts"
import { ClassicKey, FileKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { bin, it, type Box, type Running } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

const hasScript = existsSync("/usr/bin/script")
const hasOpenssl = existsSync("/usr/bin/openssl")
const empty = Buffer.alloc(0)

const fileKey = Secret.random(32)

/** Writes the file key. */
const furnish = (box: Box) => box.write("file.key", KeyText.encode(FileKey, fileKey))

const done = { code: 0, stdout: empty, stderr: "" }
const plaintext = randomBytes(40_960)

describe("encrypt with a secret", () => {
  it("does not give scrypt the memory that a file from an untrusted source asks for", async ({
    box
  }) => {
    const env = { SEALWIRE_PASSPHRASE: "correct horse" }
    await box.run(["encrypt", "--passphrase", "-o", "s"], { env, stdin: plaintext })
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
      expect(await box.run(["decrypt", "greedy"], { env })).toEqual(refused("its header"))
      expect(await box.run(["inspect", "greedy"])).toEqual(
        refused("is an encrypted file; its header")
      )
    }
  })
})

describe("a file of many chunks, processed by worker threads", () => {
  it("decrypts to the same content, detects changes and truncation, and can be rekeyed", async ({
    box
  }) => {
    furnish(box)
    const big = Buffer.concat([randomBytes(1_000_003), Buffer.alloc(20_000_000, "sealwire")])
    box.write("big", big)
    const key = ["--file-key", "./file.key"]
    expect(await box.run(["encrypt", "big", ...key, "-o", "s"])).toEqual(done)
    expect(await box.run(["decrypt", "s", ...key, "-o", "again"])).toEqual(done)
    expect(box.read("again").equals(big)).toBe(true)
    // A stream opens the chunks that threads have sealed.
    expect((await box.run(["decrypt", ...key], { stdin: box.read("s") })).stdout.equals(big)).toBe(
      true
    )

    const sealed = box.read("s")
    const changed = Buffer.from(sealed)
    changed[10_000_000] = (changed[10_000_000] ?? 0) ^ 1
    box.write("changed", changed)
    box.write("cut", sealed.subarray(0, 18_000_000))
    for (const name of ["changed", "cut"]) {
      const { code, stderr } = await box.run(["decrypt", name, ...key, "-o", "none"])
      expect([code, stderr]).toEqual([
        6,
        expect.stringMatching(/^sealwire: .* was changed.*\n$/) as string
      ])
    }
    expect(box.names.filter((name) => /none|tmp/.test(name))).toEqual([])
  })
})

describe("a file whose size is not that of its content", () => {
  const files = ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"]
  it.skipIf(!existsSync("/proc/version")).for(files)(
    "is read to its end: %s",
    async (file, { box, skip }) => {
      if (!existsSync(file)) return skip("there is no such file")
      const key = ["--file-key", "./sealwire-file.key"]
      await box.run(["keygen", "file-key"])
      expect((await box.run(["encrypt", file, ...key, "-o", "./sealed"])).code).toBe(0)
      const { stdout } = await box.run(["decrypt", "./sealed", ...key])
      expect(stdout.toString()).toBe(readFileSync(file, "utf8"))
      expect(stdout.length).toBeGreaterThan(0)
    }
  )

  it.skipIf(!existsSync("/proc/version"))("fails if it cannot be read", async ({ box }) => {
    await box.run(["keygen", "file-key"])
    const line = "encrypt /proc/self/mem --file-key ./sealwire-file.key -o ./sealed"
    const { code, stderr } = await box.run(line.split(" "))
    expect([code, stderr]).toEqual([2, "sealwire: /proc/self/mem: cannot be read (EIO)\n"])
    expect(box.names).toEqual(["sealwire-file.key"])
  })
})

describe("the output", () => {
  it("is not written when the source changes while it is read", async ({ box }) => {
    furnish(box)
    const source = path.join(box.cwd, "source")
    box.write("source", Buffer.alloc(64 * 1024 * 1024))
    const running = box.start(["encrypt", "--file-key", "./file.key", "-o", "out", "source"], {
      process: true
    })
    // From before its opening to its end, with the time set back each time.
    const { atime, mtime } = statSync(source)
    const rewriting = setInterval(() => {
      writeFileSync(source, "x", { flag: "r+" })
      utimesSync(source, atime, mtime)
    }, 5)
    try {
      const { code, stderr } = await running.ended()
      expect(stderr).toBe(
        "sealwire: source: changed while it was read; the output would mix two states; run the same command again\n"
      )
      expect(code).not.toBe(0)
      expect(existsSync(path.join(box.cwd, "out"))).toBe(false)
    } finally {
      clearInterval(rewriting)
    }
  })

  it.for([
    ["has nothing after kill -9", "SIGKILL", "SIGKILL", 1],
    ["has not a trace after SIGTERM", "SIGTERM", 143, 0]
  ] as const)("%s", async ([, signal, code, traces], { box }) => {
    furnish(box)
    const running = box.start(["encrypt", "--file-key", "./file.key", "-o", "out"], {
      stdin: "open",
      process: true
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
    furnish(box)
    box.write("big", randomBytes(1_000_000))
    for (const stdin of [undefined, box.read("big")])
      expect(
        await box.run(
          [
            "encrypt",
            ...(stdin === undefined ? ["big"] : []),
            "--file-key",
            "./file.key",
            "-o",
            "disk/s"
          ],
          stdin === undefined ? {} : { stdin }
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
    furnish(box)
    const args = ["encrypt", "--file-key", "./file.key", "--output", "./sealed"]
    const temporary = () => box.names.filter((name) => name.endsWith(".tmp"))
    const [killed, other] = [1, 2].map(() => box.start(args, { stdin: "open", process: true })) as [
      Running,
      Running
    ]
    await vi.waitFor(() => expect(temporary()).toHaveLength(2), 60_000)
    // One of another machine, whose processes are unknown here, and one of no process.
    const strange = [".sealed.00000000-1-1.0123456789abcdef.tmp", ".sealed.mine.tmp"]
    for (const name of strange) box.write(name, "not ours")
    await killed.crash()
    expect(temporary()).toHaveLength(4)
    expect(await box.run(args, { stdin: "text" })).toEqual(done)
    expect(temporary()).toEqual(expect.arrayContaining(strange))
    expect(temporary()).toHaveLength(3)
    other.closeInput()
    expect(await other.ended()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("already exists") as unknown
    })
    expect(temporary().toSorted()).toEqual(strange)
  })
})

describe.runIf(hasScript)("a terminal", () => {
  const onTerminal = (box: Box, args: string) => {
    furnish(box)
    return box.runOther("script", ["-qec", `${process.execPath} ${bin} ${args}`, "/dev/null"], {
      env: { TERM: "xterm", NO_COLOR: "1" }
    })
  }

  it("gets an encrypted file only if it is forced", async ({ box }) => {
    box.write("h", "hello\n")
    const refused = await onTerminal(box, "encrypt h --file-key ./file.key")
    expect([refused.code, refused.stdout.toString()]).toEqual([
      2,
      "sealwire: --output: the encrypted file is binary and stdout is a terminal; name a file, or force it with --output -; " +
        "see: sealwire encrypt --help\r\n"
    ])
    expect(
      (await onTerminal(box, "encrypt h --file-key ./file.key --output -")).stdout.toString(
        "latin1"
      )
    ).toContain("SLWF")
  })

  it("gets decrypted text escaped, and no binary content", async ({ box }) => {
    box.write("h", "grüße\u001b[2J\n")
    box.write("b", Buffer.from([0x68, 0, 0xff, 0x1b]))
    furnish(box)
    for (const name of ["h", "b"])
      await box.run(["encrypt", name, "--file-key", "./file.key", "-o", `${name}.s`])
    expect(
      (await onTerminal(box, "decrypt h.s --file-key ./file.key")).stdout.toString()
    ).toContain("grüße\\x1b[2J\r\n")
    const refused = await onTerminal(box, "decrypt b.s --file-key ./file.key")
    expect([refused.code, refused.stdout.toString().replace("\r\u001b[K", "")]).toEqual([
      2,
      "sealwire: the content is binary and stdout is a terminal; name a file with --output, or force it with --output -\r\n"
    ])
  })
})

describe("--raw", () => {
  it("is exactly a Cobblestone-256 message, both ways", async ({ box }) => {
    furnish(box)
    const raw = ["--raw", "--file-key", "./file.key", "--context", "backup 7"]
    const { stdout } = await box.run(["encrypt", ...raw], { stdin: plaintext })
    expect(
      plaintext.equals(openMessage(fileKey.expose(), Buffer.from("backup 7"), stdout) as Uint8Array)
    ).toBe(true)
    box.write("theirs", sealMessage(fileKey.expose(), Buffer.of(0, 255), plaintext))
    const hex = ["decrypt", "theirs", "--raw", "--file-key", "./file.key", "--context"]
    expect((await box.run([...hex, "hex:00ff"])).stdout.equals(plaintext)).toBe(true)
    expect(await box.run([...hex, "hex:00fe"])).toEqual({
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
    const args = ["decrypt", "--raw", "--file-key", "env:K", "--context", `hex:${vector.context}`]
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

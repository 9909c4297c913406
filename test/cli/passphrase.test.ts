// The sources of a passphrase, and that it never shows. script (util-linux) provides the
// pseudo-terminal.
import { existsSync, readFileSync } from "node:fs"
import { beforeAll, describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { Identity } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import * as ProtectedKey from "../../src/keys/ProtectedKey.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { cheapestScrypt } from "../fixtures/scrypt.ts"
import { sample, sampled } from "../fixtures/sample.ts"
import { bin, it, linesOf, type Box, type Running } from "./Sealwire.ts"

const hasScript = existsSync("/usr/bin/script")
const secret = Secret.random(32)
const publicKey = `${PublicKey.encode(KeyPair.fromPrivate(secret).publicKey)}\n`
const passphrase = "pässwort mit Raum"
const pubkey = ["pubkey", "--identity", "./me.key"]

let text = ""
beforeAll(async () => {
  text = await ProtectedKey.wrapAsText(
    Identity,
    secret,
    Passphrase.fromText(passphrase),
    cheapestScrypt
  )
})

describe("a passphrase with a control character", () => {
  it.for([["\0"], ["abc\0"], ["a\tb"], ["\u001b[A"], ["a\u007f"]] as const)(
    "is refused for a new key: %j",
    async ([given], { box }) => {
      await box.run(["keygen", "identity", "-o", "./plain.key"])
      const before = box.read("plain.key")
      for (const line of [
        "keys protect ./plain.key",
        "encrypt ./plain.key --passphrase -o ./sealed"
      ]) {
        const args = [...line.split(" "), "--passphrase-fd", "0"]
        const { code, stderr } = await box.run(args, { stdin: given })
        expect([line, code, stderr]).toEqual([
          line,
          3,
          expect.stringContaining("it has a control character; choose another")
        ])
      }
      expect(box.names).toEqual(["plain.key"])
      expect(box.read("plain.key").equals(before)).toBe(true)
    }
  )

  it("still opens a key that was protected with it", async ({ box }) => {
    const old = Passphrase.fromText("a\tb")
    box.write("me.key", await ProtectedKey.wrapAsText(Identity, secret, old, cheapestScrypt))
    const ended = await box.run([...pubkey, "--passphrase-fd", "0"], { stdin: "a\tb\n" })
    expect([ended.code, ended.stdout.toString()]).toEqual([0, publicKey])
  })
})

describe("a passphrase is read", () => {
  it.for([
    [
      "from a descriptor",
      [...pubkey, "--passphrase-fd", "0"],
      { stdin: `${passphrase}\nsecond line\n` }
    ],
    ["from a descriptor that stays open", [...pubkey, "--passphrase-fd=0"], { stdin: "open" }],
    ["from the environment", pubkey, { env: { SEALWIRE_PASSPHRASE: passphrase } }],
    [
      "from the descriptor before the environment",
      [...pubkey, "--passphrase-fd", "0"],
      { stdin: passphrase, env: { SEALWIRE_PASSPHRASE: "wrong" } }
    ]
  ] as const)("%s", async ([, args, options], { box }) => {
    box.write("me.key", text)
    const running = box.start(args, options)
    if ("stdin" in options && options.stdin === "open") running.type(`${passphrase}\n`)
    const { code, stdout } = await running.ended()
    expect([code, stdout.toString()]).toEqual([0, publicKey])
  })

  it("and is not passed on to an exec: command", async ({ box }) => {
    const { stderr } = await box.run(
      ["pubkey", "--identity", 'exec:echo "[$SEALWIRE_PASSPHRASE]" >&2'],
      {
        env: { SEALWIRE_PASSPHRASE: "hidden" }
      }
    )
    expect(stderr).toContain("printed nothing: []")
  })

  it.for([
    [
      "no passphrase",
      pubkey,
      {},
      "no key from ./me.key: it is protected by a passphrase; give it with --passphrase-fd, in SEALWIRE_PASSPHRASE, or on a terminal"
    ],
    [
      "a wrong passphrase",
      pubkey,
      { env: { SEALWIRE_PASSPHRASE: "wrong" } },
      "key refused: ./me.key: the passphrase is wrong"
    ],
    [
      "an empty line",
      [...pubkey, "--passphrase-fd", "0"],
      { stdin: "\n" },
      "no key from ./me.key: it is protected by a passphrase, and file descriptor 0 has no passphrase as its first line; open it where the command starts: 0< FILE"
    ],
    [
      "a descriptor that is not open",
      [...pubkey, "--passphrase-fd", "999999"],
      {},
      "no key from ./me.key: it is protected by a passphrase, and file descriptor 999999 is not open; open it where the command starts: 999999< FILE"
    ],
    [
      "a long passphrase",
      [...pubkey, "--passphrase-fd", "0"],
      { stdin: "x".repeat(5000) },
      "no key from ./me.key: it is protected by a passphrase, and file descriptor 0 has a first line of more than 1024 bytes; open it where the command starts: 0< FILE"
    ]
  ] as const)("rejects %s", async ([, args, options, message], { box }) => {
    box.write("me.key", text)
    expect(await box.run(args, options)).toEqual({
      code: 3,
      stdout: Buffer.alloc(0),
      stderr: `sealwire: ${message}\n`
    })
  })

  it.runIf(existsSync("/proc/self/fd"))(
    sampled("but not from a descriptor that Node uses itself"),
    async ({ box }) => {
      box.write("me.key", text)
      const ends = sample([3, 4, 5, 6, 7], 3).map((descriptor) =>
        box.start([...pubkey, "--passphrase-fd", String(descriptor)])
      )
      for (const end of ends)
        expect(await end.ended()).toMatchObject({
          code: 3,
          stderr: expect.stringMatching(/^sealwire: [^\n]* is not open[^\n]*\n$/)
        })
    }
  )

  it("but never from an argument", async ({ box }) => {
    box.write("me.key", text)
    expect((await box.run([...pubkey, "--passphrase-fd", passphrase])).stderr).toContain(
      "is not a number; see: sealwire pubkey --help"
    )
    expect((await box.run([...pubkey, "--passphrase", passphrase])).code).toBe(2)
  })
})

describe("a passphrase is its first line, whatever an editor has added", () => {
  const mark = "\ufeff"
  const spellings = [
    ...["", "\n", "\r\n", "\nsecond line\n"].flatMap((end) => [
      `${passphrase}${end}`,
      `${mark}${passphrase}${end}`
    ]),
    `${passphrase.normalize("NFD")}\n`
  ]
  const doors: ReadonlyArray<readonly [string, (input: string) => Parameters<Box["run"]>]> = [
    ["a descriptor", (stdin) => [[...pubkey, "--passphrase-fd", "0"], { stdin }]],
    ["the environment", (input) => [pubkey, { env: { SEALWIRE_PASSPHRASE: input } }]]
  ]
  it.for(doors)(sampled("from %s"), { timeout: 120_000 }, async ([, runWith], { box }) => {
    box.write("me.key", text)
    for (const spelling of sample(spellings, 5)) {
      const { code, stdout } = await box.run(...runWith(spelling))
      expect([spelling, code, stdout.toString()]).toEqual([spelling, 0, publicKey])
    }
    // A blank is a part of a passphrase.
    for (const other of [`${passphrase} `, ` ${passphrase}`, `${passphrase}\r\r\n`])
      expect([other, (await box.run(...runWith(other))).code]).toEqual([other, 3])
  })

  it.for(doors)(
    "and none or a long one is refused by %s",
    { timeout: 60_000 },
    async ([, runWith], { box }) => {
      box.write("me.key", text)
      for (const [input, clause] of [
        ["\n", "has no passphrase as its first line"],
        [`${mark}\r\nx`, "has no passphrase as its first line"],
        [`${"ä".repeat(513)}\n`, "has a first line of more than 1024 bytes"]
      ] as const) {
        const { code, stderr } = await box.run(...runWith(input))
        expect([code, stderr.includes(clause)]).toEqual([3, true])
      }
    }
  )
})

describe("keys protect and unprotect", () => {
  it("rewrite the file in place, and back", async ({ box }) => {
    await box.run(["keygen", "identity", "-o", "./me.key"])
    const plain = box.read("me.key")
    const env = { SEALWIRE_PASSPHRASE: "x" }
    const made = await box.run(["keys", "protect", "./me.key", "--json"], { env })
    expect([made.code, made.stdout.toString()]).toEqual([
      0,
      '{"event":"key-protected","key":"./me.key","kind":"identity"}\n'
    ])
    expect(box.read("me.key").toString()).toMatch(
      /^# passphrase-protected key; .*\nSEALWIRE-PROTECTED-KEY-1/
    )
    expect((await box.run(["keys", "unprotect", "./me.key"], { env })).code).toBe(0)
    expect([box.read("me.key"), box.mode("me.key"), box.names]).toEqual([plain, 0o600, ["me.key"]])
  })
})

describe.runIf(hasScript)("a passphrase on a terminal", () => {
  const start = (box: Box, args: string): Running => {
    const command = `${process.execPath} ${bin} ${args}`
    return box.startOther("script", ["-qec", command, "/dev/null"], {
      stdin: "open",
      env: { TERM: "xterm" }
    })
  }
  /** Types the answer to the nth prompt. */
  const answer = async (running: Running, question: string, nth: number, text: string) => {
    await running.until(
      `question ${nth}`,
      ({ stdout }) => stdout.toString().split(question).length > nth
    )
    running.type(text)
  }
  const asks = "Passphrase of ./me.key: "

  it("is requested without echo, and again after a wrong one", async ({ box }) => {
    box.write("me.key", text)
    const running = start(box, "pubkey --identity ./me.key")
    await answer(running, asks, 1, "wrong\r")
    await answer(running, asks, 2, `junk\u0015${passphrase}!\u007f\u001b[A\r`)
    const { code, stdout } = await running.ended()
    const shown = linesOf(stdout.toString().replaceAll("\r", ""))
    expect([code, shown.slice(0, 3)]).toEqual([
      0,
      [asks, `Wrong passphrase. ${asks}`, publicKey.trim()]
    ])
    expect(stdout.toString()).not.toMatch(/wrong|junk|wort/)
  })

  it("is rejected after three attempts", async ({ box }) => {
    box.write("me.key", text)
    const running = start(box, "pubkey --identity ./me.key")
    for (const nth of [1, 2, 3]) await answer(running, asks, nth, "wrong\r")
    const { code, stdout } = await running.ended()
    expect([code, linesOf(stdout.toString()).at(-1)]).toEqual([
      3,
      "sealwire: key refused: ./me.key: the passphrase is wrong\r"
    ])
  })

  it("may be empty, and Ctrl-C ends the command", async ({ box }) => {
    box.write("me.key", text)
    const none = start(box, "pubkey --identity ./me.key")
    await answer(none, asks, 1, "\u0004")
    const ended = await none.ended()
    expect([ended.code, ended.stdout.toString()]).toEqual([
      3,
      expect.stringContaining("it is protected by a passphrase, and none was entered")
    ])
    const stopped = start(box, "pubkey --identity ./me.key")
    await answer(stopped, asks, 1, "half\u0003")
    expect((await stopped.ended()).code).toBe(130)
  })

  it("leaves standard input and output free", async ({ box }) => {
    box.write("me.key", text)
    const running = start(box, "pubkey --identity ./me.key < /dev/null > shown")
    await answer(running, asks, 1, `${passphrase}\r`)
    expect((await running.ended()).code).toBe(0)
    expect(readFileSync(box.path("shown"), "utf8")).toBe(publicKey)
  })

  it("pasted lines answer consecutive prompts", async ({ box }) => {
    await box.run(["keygen", "-o", "./new.key"])
    box.write("me.key", text)
    for (const [command, question, pasted] of [
      ["keys protect ./new.key", "New passphrase for ./new.key: ", "päss\r\npäss\r\n"],
      ["keys unprotect ./me.key", asks, `wrong\n${passphrase}\n`]
    ] as const) {
      const running = start(box, command)
      await answer(running, question, 1, pasted)
      expect((await running.ended()).code).toBe(0)
    }
    // The only key here that a process of its own has protected, at the cost that users get.
    expect((await box.run(["inspect", "./new.key"])).stdout.toString()).toContain(
      "scrypt N = 2^18, r = 8, p = 1;"
    )
    const env = { SEALWIRE_PASSPHRASE: "päss" }
    expect((await box.run(["keys", "unprotect", "./new.key"], { env })).code).toBe(0)
    expect(box.read("me.key").toString()).toContain(KeyText.encode(Identity, secret))
  })

  it("a new one is requested twice and must match", async ({ box }) => {
    await box.run(["keygen", "-o", "./new.key"])
    const before = box.read("new.key")
    for (const [first, second, complaint] of [
      ["one\r", "two\r", "the passphrases differ"],
      ["\r", undefined, "it is empty"]
    ] as const) {
      const running = start(box, "keys protect ./new.key")
      await answer(running, "New passphrase for ./new.key: ", 1, first)
      if (second !== undefined) await answer(running, "Repeat the passphrase: ", 1, second)
      const { code, stdout } = await running.ended()
      expect([code, stdout.toString()]).toEqual([
        3,
        expect.stringContaining(`no new passphrase for ./new.key: ${complaint}`)
      ])
      expect(box.read("new.key")).toEqual(before)
    }
  })
})

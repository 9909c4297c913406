// Bytes that are not UTF-8 at each way into the command: refused, and never another text. A shell
// makes them with printf, because Node gives a process only text.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { describe, expect } from "vitest"
import { sample, sampled } from "../fixtures/sample.ts"
import { bin, it, type Box } from "./Sealwire.ts"

const hasScript = existsSync("/usr/bin/script")
const isLinux = process.platform === "linux"

/** Runs a shell script in which `sealwire` is the command. */
const shell = (box: Box, script: string, env: Readonly<Record<string, string>> = {}) =>
  box.runOther(
    "/bin/sh",
    ["-c", `sealwire() { "${process.execPath}" "${bin}" "$@"; }\n${script}`],
    {
      env
    }
  )

const invalid = "\\377"
const bytes = (text: string) => Buffer.from(text, "latin1")
const place = (box: Box, name: string) => Buffer.concat([Buffer.from(`${box.cwd}/`), bytes(name)])
const advice =
  "give text in UTF-8; pipe in a message of other bytes, and rename a file with such a name"

describe.runIf(isLinux)("an argument that is not UTF-8", () => {
  it.for([
    ["a message", `sealwire send "$(printf 'a${invalid}b')"`, "argument 2", "byte 2"],
    ["a value", `sealwire send --server-name="$(printf '${invalid}')" hi`, "argument 2", "byte 15"],
    ["a truncated character", `sealwire send hi "$(printf 'x\\357\\277')"`, "argument 3", "byte 2"]
  ] as const)("is refused: %s", async ([, script, argument, byte], { box }) => {
    expect(await shell(box, script)).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr: `sealwire: ${argument} is not valid UTF-8 (${byte}); ${advice}; see: sealwire send --help\n`
    })
  })

  it("does not take a neighbouring file", async ({ box }) => {
    box.write("a\ufffd", "the neighbour")
    writeFileSync(place(box, "a\xff"), "the file")
    await box.run(["keygen", "file-key"])
    const before = box.names
    const { code } = await shell(
      box,
      `sealwire encrypt "$(printf 'a${invalid}')" --file-key ./sealwire-file.key -o out`
    )
    expect([code, box.names]).toEqual([2, before])
    expect(
      (await shell(box, `sealwire push "$(printf 'a${invalid}')" --to :1 --json`)).stderr
    ).toContain("argument 2 is not valid UTF-8")
  })

  it("may contain a true U+FFFD", async ({ box }) => {
    const server = await box.serve(["--once"])
    const { code } = await shell(box, `sealwire classic send --to ${server.address} 'a\ufffdb'`)
    expect(code).toBe(0)
    expect((await server.ended()).stdout).toEqual(Buffer.from("a\ufffdb"))
  })
})

describe.runIf(isLinux)("a variable that is not UTF-8", () => {
  it.for(sample(["XDG_CONFIG_HOME", "HOME", "TMPDIR", "TMP", "SEALWIRE_PASSPHRASE"], 3))(
    sampled("is refused: %s"),
    async (name, { box }) => {
      const { code, stderr } = await shell(
        box,
        `export ${name}="$(printf '${invalid}')"; sealwire keygen identity`
      )
      expect([code, stderr]).toEqual([
        2,
        `sealwire: the environment variable ${name} is not valid UTF-8; set it to a value in UTF-8; see: sealwire keygen --help\n`
      ])
      expect(readdirSync(box.cwd)).toEqual([])
    }
  )

  it("is refused as a key", async ({ box }) => {
    const script = `export MINE="$(printf '# ${invalid}\\nx')"; sealwire fingerprint env:MINE`
    expect((await shell(box, script)).stderr).toBe(
      "sealwire: no key from env:MINE: the environment variable MINE is not valid UTF-8; set MINE to the text of the key\n"
    )
  })

  it("is refused as the password of a database", async ({ box }) => {
    const script = `export PGPASSWORD="$(printf '${invalid}')"; sealwire inbox list --inbox postgres://a@127.0.0.1:1/b`
    expect((await shell(box, script)).stderr).toBe(
      "sealwire: cannot open the inbox postgres://a@127.0.0.1:1/b: the environment variable PGPASSWORD is not valid UTF-8; set it to a value in UTF-8\n"
    )
  })

  it("is not passed on to commands with another value", async ({ box }) => {
    const script = `export OTHER="$(printf '${invalid}')"; sealwire fingerprint 'exec:echo "[$OTHER]" >&2'`
    expect((await shell(box, script)).stderr).toContain("printed nothing: []")
  })

  it("does not matter when nothing uses it", async ({ box }) => {
    const script = `export OTHER="$(printf '${invalid}')"; sealwire keygen`
    expect((await shell(box, script)).code).toBe(0)
  })
})

describe.runIf(isLinux)("a working directory whose path is not UTF-8", () => {
  it("is refused, and its neighbour is not used", async ({ box }) => {
    mkdirSync(place(box, "d\xff"))
    mkdirSync(box.path("d\ufffd"))
    const script = `cd "$(printf 'd${invalid}')" && sealwire keygen`
    expect((await shell(box, script)).stderr).toMatch(
      /^sealwire: the path of the working directory/
    )
    expect(readdirSync(box.path("d\ufffd"))).toEqual([])
    expect((await shell(box, "cd 'd\ufffd' && sealwire keygen")).code).toBe(0)
  })
})

describe("a file whose text is not UTF-8 is refused", () => {
  it("a configuration file, with the place", async ({ box }) => {
    box.write("c.toml", Buffer.concat([Buffer.from("# \ufffd\n"), bytes('name = "caf\xe9"\n')]))
    expect((await box.run(["check-config", "./c.toml"])).stderr).toBe(
      "sealwire: ./c.toml:2:12: not valid UTF-8\n"
    )
  })

  it("a file of recipients, with the line", async ({ box }) => {
    box.write("team", bytes("# caf\xe9\n"))
    await box.run(["keygen", "identity"])
    const { code, stderr } = await box.run(["encrypt", "--recipient", "./team", "-o", "x"], {
      stdin: "a"
    })
    expect([code, stderr]).toEqual([2, "sealwire: ./team:1: not valid UTF-8\n"])
  })

  it("a passphrase", async ({ box }) => {
    const args = ["encrypt", "--passphrase", "--passphrase-fd", "0", "./plain", "-o", "./x"]
    box.write("plain", "text")
    const { code, stderr } = await box.run(args, { stdin: bytes("secret\xff\n") })
    expect(code).toBe(3)
    expect(stderr).toContain("has a first line that is not valid UTF-8")
    expect(box.names).toEqual(["plain"])
  })
})

describe.runIf(isLinux)("push", () => {
  it("leaves out what a link leads to if its path is not UTF-8", async ({ box }) => {
    mkdirSync(box.path("store"))
    mkdirSync(box.path("docs"))
    box.write("a\ufffd", "the neighbour")
    writeFileSync(place(box, "a\xff"), "the file")
    symlinkSync(Buffer.concat([Buffer.from("../"), bytes("a\xff")]), box.path("docs/link"))
    writeFileSync(Buffer.concat([Buffer.from(box.path("docs/")), bytes("b\xff")]), "")
    await box.run(["keygen"])
    const server = await box.listen(["serve", "--listen", "127.0.0.1:0", "--files", "./store"])
    for (const policy of ["follow", "keep"]) {
      const { stderr } = await box.run([
        "push",
        "./docs",
        "--symlinks",
        policy,
        "--to",
        server.address
      ])
      expect(stderr).toMatch(/2 of 2 files failed/)
      expect(stderr).toMatch(/warning: docs\/link: .*name/)
      expect(stderr).toMatch(/warning: docs\/b\\xff: .*name/)
      // A folder was sent, and nothing in it.
      expect(readdirSync(box.path("store"), { recursive: true })).toEqual(["docs"])
    }
  })

  it("refuses a link as the folder of serve whose path is not UTF-8", async ({ box }) => {
    mkdirSync(place(box, "d\xff"))
    mkdirSync(box.path("d\ufffd"))
    symlinkSync(bytes("d\xff"), box.path("link"))
    const { code, stderr } = await box.run(["serve", "--listen", ":0", "--files", "./link"])
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/sealwire: \.\/link: leads to a path that is not valid UTF-8\n$/)
    ])
  })
})

describe.runIf(hasScript)("on a terminal", () => {
  it("a passphrase that is not UTF-8 is refused", async ({ box }) => {
    box.write("plain", "text")
    const command = `${process.execPath} ${bin} encrypt --passphrase ./plain -o ./x`
    const terminal = box.startOther("script", ["-qec", command, "/dev/null"], {
      stdin: "open"
    })
    await terminal.until("the prompt", ({ stdout }) => stdout.includes("New passphrase"))
    terminal.type(Buffer.from([0x61, 0xff, 0x0d]))
    const { stdout } = await terminal.ended()
    expect(stdout.toString()).toContain(
      "what was typed is not valid UTF-8; set the terminal to UTF-8"
    )
    expect(box.names).toEqual(["plain"])
  })
})

describe("a comment above a key that is not UTF-8", () => {
  it("is not lost when the key gets a passphrase", async ({ box }) => {
    await box.run(["keygen", "identity", "--pem", "-o", "./k"])
    box.write("k", Buffer.concat([bytes("# caf\xe9\n"), readFileSync(box.path("k"))]))
    const before = box.read("k")
    const env = { SEALWIRE_PASSPHRASE: "correct horse" }
    expect((await box.run(["keys", "protect", "./k"], { env })).stderr).toBe(
      "sealwire: key refused: ./k: has a comment that is not valid UTF-8; remove the comment first\n"
    )
    expect(box.read("k")).toEqual(before)
  })
})

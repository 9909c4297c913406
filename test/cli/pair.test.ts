// `pair`: two users who share nothing but a code, each with a folder of its own, and then `serve` and `send` between them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect } from "vitest"
import * as Code from "../../src/bytes/Code.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { bin, eventsOf, it, linesOf, type Box, type Options, type Running } from "./Sealwire.ts"

const hasScript = existsSync("/usr/bin/script")

/** A user of this box: who it is, and what it keeps. */
const user = (box: Box, name: string) => {
  const config = box.path(`${name}-config`)
  const file = (which: string) => path.join(config, "sealwire", which)
  return {
    env: { XDG_CONFIG_HOME: config },
    identity: file("identity.key"),
    file,
    read: (which: string) => (existsSync(file(which)) ? readFileSync(file(which), "utf8") : ""),
    write: (which: string, text: string) => {
      mkdirSync(path.join(config, "sealwire"), { recursive: true, mode: 0o700 })
      writeFileSync(file(which), text, { mode: 0o600 })
    }
  }
}

type User = ReturnType<typeof user>

const addressIn = (text: string): string => /waiting on (\S+)/.exec(text)?.[1] ?? ""

interface Host extends Running {
  readonly address: string
  readonly code: string
}

const host = async (box: Box, { env }: User, ...args: ReadonlyArray<string>): Promise<Host> => {
  const running = box.start(["pair", "--listen", "127.0.0.1:0", ...args], { env })
  const opened = await running.until("the code", ({ stdout, stderr }) => {
    if (args.includes("--json"))
      return eventsOf(stdout).find(({ event }) => event === "pairing-listening")
    const code = /^(\S+)\n/.exec(stdout.toString())?.[1]
    return code === undefined ? undefined : { code, address: addressIn(stderr) }
  })
  return Object.assign(running, { address: String(opened.address), code: String(opened.code) })
}

const join = (
  box: Box,
  { env }: User,
  { address, code }: Pick<Host, "address" | "code">,
  args: ReadonlyArray<string>,
  more: Options = {}
) => box.run(["pair", address, ...args], { env, stdin: `${code}\n`, ...more })

const publicKey = async (box: Box, { env }: User) =>
  (await box.run(["pubkey"], { env })).stdout.toString().trim()

describe.concurrent("two users with a code", () => {
  it("know each other afterwards: serve and send simply work", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--as", "laptop")
    // The code alone is the output, for a program that shows it otherwise.
    expect(hosting.stdout.toString()).toBe(`${hosting.code}\n`)
    const joined = await join(box, laptop, hosting, ["--as", "mail"])
    expect({ code: joined.code, stdout: joined.stdout.toString() }).toEqual({ code: 0, stdout: "" })
    const hosted = await hosting.ended()
    expect({ code: hosted.code, stdout: hosted.stdout.toString() }).toEqual({
      code: 0,
      stdout: `${hosting.code}\n`
    })
    for (const { stderr } of [joined, hosted]) {
      expect(stderr).toContain("created a new identity")
      expect(stderr).toContain("paired: ")
      expect(stderr).not.toContain(hosting.code)
    }
    const [mailKey, laptopKey] = [await publicKey(box, mail), await publicKey(box, laptop)]
    expect(mail.read("authorized_peers")).toBe(`${laptopKey} laptop\n`)
    expect(laptop.read("known_peers")).toBe(`${hosting.address} ${mailKey} mail\n`)
    expect([mail.read("known_peers"), laptop.read("authorized_peers")]).toEqual(["", ""])

    const server = box.start(
      ["serve", "--json", "--listen", hosting.address, "--identity", mail.identity],
      { env: mail.env }
    )
    await server.until("the server", ({ stdout }) =>
      eventsOf(stdout).some(({ event }) => event === "server-listening")
    )
    const named = await box.run(
      ["send", "by name", "--to", hosting.address, "--peer", "mail", "--json"],
      { env: laptop.env }
    )
    expect(eventsOf(named.stdout)).toMatchObject([{ event: "messages-delivered", suite: "IK" }])
    const pinned = ["send", "by pin", "--to", hosting.address, "--identity", laptop.identity]
    expect((await box.run(pinned, { env: laptop.env })).code).toBe(0)
    const messages = eventsOf(server.stdout).filter(({ event }) => event === "message-received")
    expect(messages).toMatchObject([
      { text: "by name", peer: "laptop", suite: "IK" },
      { text: "by pin", peer: "laptop", suite: "IK" }
    ])
  })

  it("a second pairing finds what the first one wrote, and says the name it has", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    for (const [mine, yours] of [
      ["laptop", "mail"],
      ["other", "post"]
    ] as const) {
      const hosting = await host(box, mail, "--as", mine, "--json")
      const joined = await join(box, laptop, hosting, [
        "--as",
        yours,
        "--json",
        "--for",
        "mail.example:8080"
      ])
      expect(eventsOf(joined.stdout).at(-1)).toMatchObject({
        event: "pairing-completed",
        name: "mail",
        address: "mail.example:8080",
        existing: mine === "other"
      })
      const { code, stdout } = await hosting.ended()
      expect(code).toBe(0)
      expect(eventsOf(stdout).at(-1)).toMatchObject({
        event: "pairing-completed",
        name: "laptop",
        existing: mine === "other"
      })
    }
    expect(linesOf(mail.read("authorized_peers")).length).toBe(1)
    expect(linesOf(laptop.read("known_peers")).length).toBe(1)
  })

  it("--yes takes the partner's own word for its name, but never another's name", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    expect((await join(box, laptop, hosting, ["--yes"])).code).toBe(0)
    expect((await hosting.ended()).code).toBe(0)
    const [, name = ""] = mail.read("authorized_peers").trim().split(" ")
    // Another machine of the same name.
    const thief = user(box, "thief")
    const again = await host(box, mail, "--yes")
    expect((await join(box, thief, again, ["--yes"])).code).toBe(0)
    expect((await again.ended()).code).toBe(0)
    expect(linesOf(mail.read("authorized_peers")).map((line) => line.split(" ")[1])).toEqual([
      name,
      `${name}-2`
    ])
  })

  it("a partner that cannot stand in this side's file is declined, before anybody is asked", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    await box.run(["keygen", "--identity"], { env: laptop.env })
    const revoked = `revoked ${await publicKey(box, laptop)} old\n`
    mail.write("authorized_peers", revoked)
    const hosting = await host(box, mail, "--as", "laptop")
    const joined = await join(box, laptop, hosting, ["--as", "mail"])
    const hosted = await hosting.ended()
    expect([hosted.code, joined.code]).toEqual([2, 4])
    expect(hosted.stderr).toContain("authorized_peers:1 has this key, revoked, as old")
    expect(joined.stderr).toContain("declined the pairing; nothing was changed on either side")
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual([revoked, ""])
  })

  it("a wrong code gets exit code 4 on both sides, and the right one is void", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    const wrong = Code.encode(Secret.random(Code.length))
    const joined = await join(box, laptop, { ...hosting, address: hosting.address, code: wrong }, [
      "--yes"
    ])
    expect({ code: joined.code, lines: linesOf(joined.stderr).length }).toEqual({
      code: 4,
      lines: 2
    })
    expect(joined.stderr).toContain(
      `${hosting.address} refused the code (it closed the connection)`
    )
    const hosted = await hosting.ended()
    expect(hosted.code).toBe(4)
    expect(hosted.stderr).toMatch(
      /sealwire: wrong code or incomplete handshake from 127\.0\.0\.1:\d+ at [\d.:]+ \(decrypt failed\); this code is void, pair again with a new one/
    )
    expect(
      [joined, hosted].some(({ stderr }) => stderr.includes(wrong) || stderr.includes(hosting.code))
    ).toBe(false)
    expect((await join(box, laptop, hosting, ["--yes"])).code).toBe(5)
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
  })

  it("a code with a slip in it is told before anything is sent, and is as good as before", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    for (const code of [
      hosting.code.slice(1),
      `${hosting.code.slice(0, -1)}${hosting.code.endsWith("Z") ? "Y" : "Z"}`,
      ""
    ]) {
      const slipped = await join(box, laptop, { address: hosting.address, code }, ["--yes"])
      expect(slipped.code).toBe(2)
      expect(slipped.stderr).toContain("not a valid code: a character is missing or wrong")
      if (code !== "") expect(slipped.stderr).not.toContain(code)
    }
    const typed = hosting.code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o")
    expect(
      (await join(box, laptop, { ...hosting, address: hosting.address, code: typed }, ["--yes"]))
        .code
    ).toBe(0)
    expect((await hosting.ended()).code).toBe(0)
  })

  it("the code may come by another descriptor", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    const line = 'exec "$0" "$@" 3<<<"$CODE"'
    const joined = await box.runOther(
      "bash",
      ["-c", line, process.execPath, bin, "pair", hosting.address, "--yes", "--code-fd", "3"],
      {
        env: { ...laptop.env, CODE: hosting.code }
      }
    )
    expect({ code: joined.code, stderr: joined.stderr }).toMatchObject({ code: 0 })
    expect((await hosting.ended()).code).toBe(0)
    const missing = await box.run(["pair", hosting.address, "--yes", "--code-fd", "999"], laptop)
    expect(missing).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no code: file descriptor 999 is not open")
    })
    const wrong = await box.run(
      ["pair", hosting.address, "--yes", "--code-fd", hosting.code],
      laptop
    )
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--code-fd: this is no number")
    })
    expect(wrong.stderr).not.toContain(hosting.code)
  })

  it("Ctrl-C at the host ends it at once, and nobody joins afterwards", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    hosting.kill("SIGINT")
    expect((await hosting.ended(3000)).code).toBe(130)
    expect((await join(box, laptop, hosting, ["--yes"])).code).toBe(5)
  })
})

describe.concurrent("what does not go together", () => {
  const code = Code.encode(Secret.random(Code.length))
  it.for([
    ["the code as an argument", ["127.0.0.1:9", code], "never the code"],
    ["the code as the only argument", [code], "never the code"],
    ["half of the code as an argument", ["127.0.0.1:9", code.slice(0, 14)], "never the code"],
    ["nobody to ask for the name", [], "--as NAME"],
    ["nobody to ask for the code", ["127.0.0.1:9", "--yes"], "no terminal to ask for the code"],
    [
      "--listen with an address",
      ["127.0.0.1:9", "--listen", ":9", "--yes"],
      "--listen is for the side without ADDRESS"
    ],
    [
      "--code-fd without one",
      ["--code-fd", "3", "--yes"],
      "--code-fd is for the side with an ADDRESS"
    ],
    ["--for without one", ["--for", ":9", "--yes"], "--for is for the side with an ADDRESS"],
    [
      "an inherited socket to connect to",
      ["fd:3", "--yes"],
      "an inherited socket is for listening"
    ],
    ["a name that is none", ["--as", "a b"], "--as: this is no name"],
    ["a socket whose path no line can hold", ["unix:./a b.sock", "--yes"], "cannot be pinned"]
  ] as const)(
    "%s is refused before anything is made or sent",
    async ([, args, complaint], { box }) => {
      const mail = user(box, "mail")
      const result = await box.run(["pair", ...args], { env: mail.env })
      expect([result.code, linesOf(result.stderr).length, result.stdout.length]).toEqual([2, 1, 0])
      expect(result.stderr).toContain(complaint)
      expect(result.stderr).not.toContain(code.slice(0, 14))
      expect(result.stderr).toContain("sealwire: ")
      expect(existsSync(mail.identity)).toBe(false)
    }
  )

  it("a port that is taken, as by sealwire serve: exit code 5", async ({ box }) => {
    const [mail, other] = [user(box, "mail"), user(box, "other")]
    const hosting = await host(box, mail, "--yes")
    const taken = await box.run(["pair", "--listen", hosting.address, "--yes"], { env: other.env })
    expect([taken.code, taken.stdout.toString()]).toEqual([5, ""])
    expect(taken.stderr).toContain("already in use")
    expect(taken.stderr).toContain("--listen")
  })
})

describe.runIf(hasScript).concurrent("on a terminal", () => {
  /** `pair` at a terminal of its own; what is written to it is typed. */
  const atTerminal = (box: Box, { env }: User, ...args: ReadonlyArray<string>) => {
    const command = [process.execPath, bin, "pair", ...args].join(" ")
    return box.startOther("script", ["-qec", command, "/dev/null"], {
      env: { TERM: "xterm", ...env },
      stdin: "open"
    })
  }
  const shown = (what: string) => (running: Running) => running.stdout.toString().includes(what)
  const codeOf = ({ stdout }: Running) =>
    /^((?:[0-9A-Z]{4}-){6}[0-9A-Z]{4})\r?\n/m.exec(stdout.toString())?.[1]

  it("both are asked: a slip of the finger, a name that is none, and then the names", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const address = addressIn(hosting.stdout.toString())
    const joining = atTerminal(box, laptop, address)
    await joining.until("the question", shown("code shown by the other side: "))
    joining.type(`${code.slice(0, -1)}*\n`)
    await joining.until("the slip", shown("It can still be used"))
    joining.type(`${code.toLowerCase()}\n`)
    await joining.until("the partner", shown("name for it ["))
    await hosting.until("the partner", shown("name for it ["))
    joining.type("no name at all\n")
    await joining.until("the refusal", shown("is no name"))
    joining.type("mail\n")
    await joining.until("the wait", shown("waiting for the other side to confirm"))
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
    // Enter takes the suggestion.
    hosting.type("\n")
    expect((await hosting.ended()).code).toBe(0)
    expect((await joining.ended()).code).toBe(0)
    expect(laptop.read("known_peers")).toBe(`${address} ${await publicKey(box, mail)} mail\n`)
    expect(mail.read("authorized_peers")).toMatch(
      new RegExp(`^${await publicKey(box, laptop)} \\S+\n$`)
    )
  })

  it.for([
    ["-", "a dash"],
    ["\u0004", "Ctrl-D"]
  ] as const)(
    "%j declines, and nothing is changed on either side (%s)",
    async ([answer], { box }) => {
      const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
      const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
      const code = await hosting.until("the code", codeOf)
      const address = addressIn(hosting.stdout.toString())
      const joining = box.run(["pair", address, "--yes"], { env: laptop.env, stdin: code })
      await hosting.until("the partner", shown("name for it ["))
      hosting.type(answer === "-" ? "-\n" : answer)
      const joined = await joining
      expect([joined.code, (await hosting.ended()).code]).toEqual([4, 4])
      expect(joined.stderr).toContain("declined the pairing; nothing was changed")
      expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
    }
  )

  it("a partner that is killed ends the question at once: exit code 5, and nothing is changed", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const address = addressIn(hosting.stdout.toString())
    const joining = box.start(["pair", address, "--yes"], { env: laptop.env, stdin: code })
    await hosting.until("the partner", shown("name for it ["))
    await joining.until("its word", ({ stderr }) => stderr.includes("waiting for the other side"))
    joining.kill("SIGKILL")
    const { code: exit, stdout } = await hosting.ended()
    expect(exit).toBe(5)
    expect(stdout.toString()).toContain("disconnected before both sides had confirmed")
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
  })

  it("a line that cannot be written after both have confirmed is shown, to be added by hand: exit code 7", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const joining = box.run(["pair", addressIn(hosting.stdout.toString()), "--yes"], {
      env: laptop.env,
      stdin: code
    })
    await hosting.until("the partner", shown("name for it ["))
    mail.write("authorized_peers", "this is no peer\n")
    hosting.type("laptop\n")
    const hosted = await hosting.ended()
    expect([(await joining).code, hosted.code]).toEqual([0, 7])
    const line = `${await publicKey(box, laptop)} laptop`
    expect(hosted.stdout.toString()).toContain(`by hand: ${line}\r\n`)
    expect(mail.read("authorized_peers")).toBe("this is no peer\n")
    expect(laptop.read("known_peers")).toContain(await publicKey(box, mail))
  })

  it("Ctrl-C at the question is Ctrl-C, and the other side is told", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const address = addressIn(hosting.stdout.toString())
    const joining = box.run(["pair", address, "--yes"], { env: laptop.env, stdin: code })
    await hosting.until("the partner", shown("name for it ["))
    hosting.type("\u0003")
    expect((await hosting.ended()).code).toBe(130)
    expect((await joining).code).toBe(5)
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
  })
})

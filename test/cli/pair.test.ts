// The command `pair`: two users with separate folders share a code, then use `serve` and `send`.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect } from "vitest"
import * as Code from "../../src/bytes/Code.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { bin, eventsOf, it, linesOf, type Box, type Options, type Running } from "./Sealwire.ts"

const hasScript = existsSync("/usr/bin/script")

/** A user with its own configuration folder. */
const user = (box: Box, name: string) => {
  const config = box.path(`${name}-config`)
  const file = (name: string) => path.join(config, "sealwire", name)
  return {
    env: { XDG_CONFIG_HOME: config },
    identity: file("identity.key"),
    file,
    read: (name: string) => (existsSync(file(name)) ? readFileSync(file(name), "utf8") : ""),
    write: (name: string, text: string) => {
      mkdirSync(path.join(config, "sealwire"), { recursive: true, mode: 0o700 })
      writeFileSync(file(name), text, { mode: 0o600 })
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
    const address = addressIn(stderr)
    return code === undefined || address === "" ? undefined : { code, address }
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

describe("two users with a code", () => {
  it("can use serve and send afterwards without further set-up", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--peer-name", "laptop")
    // Standard output has only the code, for programs that display it.
    expect(hosting.stdout.toString()).toBe(`${hosting.code}\n`)
    const joined = await join(box, laptop, hosting, ["--peer-name", "mail"])
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

  it("keep the existing lines and names when they pair again", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    for (const [mine, yours] of [
      ["laptop", "mail"],
      ["other", "post"]
    ] as const) {
      const hosting = await host(box, mail, "--peer-name", mine, "--json")
      const joined = await join(box, laptop, hosting, [
        "--peer-name",
        yours,
        "--json",
        "--server",
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

  it("accept the suggested name with --yes unless another peer has it", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    expect((await join(box, laptop, hosting, ["--yes"])).code).toBe(0)
    expect((await hosting.ended()).code).toBe(0)
    const [, name = ""] = mail.read("authorized_peers").trim().split(" ")
    // Another machine with the same name.
    const other = user(box, "other")
    const again = await host(box, mail, "--yes")
    expect((await join(box, other, again, ["--yes"])).code).toBe(0)
    expect((await again.ended()).code).toBe(0)
    expect(linesOf(mail.read("authorized_peers")).map((line) => line.split(" ")[1])).toEqual([
      name,
      `${name}-2`
    ])
  })

  it("decline a revoked key without a prompt", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    await box.run(["keygen", "identity"], { env: laptop.env })
    const revoked = `revoked ${await publicKey(box, laptop)} old\n`
    mail.write("authorized_peers", revoked)
    const hosting = await host(box, mail, "--peer-name", "laptop")
    const joined = await join(box, laptop, hosting, ["--peer-name", "mail"])
    const hosted = await hosting.ended()
    expect([hosted.code, joined.code]).toEqual([2, 4])
    expect(hosted.stderr).toContain("authorized_peers:1 has this key, revoked, as old")
    expect(joined.stderr).toContain("declined the pairing; nothing was changed on either side")
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual([revoked, ""])
  })

  it("get exit code 4 on both sides for a wrong code, which voids the right one", async ({
    box
  }) => {
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
      /sealwire: wrong code or incomplete handshake from 127\.0\.0\.1:\d+ at [\d.:]+ \(decrypt failed\); this code is no longer valid; pair again with a new code/
    )
    expect(
      [joined, hosted].some(({ stderr }) => stderr.includes(wrong) || stderr.includes(hosting.code))
    ).toBe(false)
    expect((await join(box, laptop, hosting, ["--yes"])).code).toBe(5)
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
  })

  it("get an error for a mistyped code before anything is sent; the code stays valid", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    for (const code of [
      hosting.code.slice(1),
      `${hosting.code.slice(0, -1)}${hosting.code.endsWith("Z") ? "Y" : "Z"}`,
      ""
    ]) {
      // It uses no file of a user; with those of the host it can run in this process.
      const mistyped = await join(box, mail, { address: hosting.address, code }, ["--yes"])
      expect(mistyped.code).toBe(2)
      expect(mistyped.stderr).toContain("not a valid code: a character is missing or wrong")
      if (code !== "") expect(mistyped.stderr).not.toContain(code)
    }
    const typed = hosting.code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o")
    expect(
      (await join(box, laptop, { ...hosting, address: hosting.address, code: typed }, ["--yes"]))
        .code
    ).toBe(0)
    expect((await hosting.ended()).code).toBe(0)
  })

  it("read the code from another file descriptor", async ({ box }) => {
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
      stderr: expect.stringContaining("--code-fd: not a file descriptor number")
    })
    expect(wrong.stderr).not.toContain(hosting.code)
  })

  it("stop the host at once with Ctrl-C, and cannot join afterwards", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = await host(box, mail, "--yes")
    hosting.kill("SIGINT")
    expect((await hosting.ended()).code).toBe(130)
    expect((await join(box, laptop, hosting, ["--yes"])).code).toBe(5)
  })
})

describe("invalid usage", () => {
  const code = Code.encode(Secret.random(Code.length))
  it.for([
    ["the code as an argument", ["127.0.0.1:9", code], "never the code"],
    ["the code as the only argument", [code], "never the code"],
    ["half of the code as an argument", ["127.0.0.1:9", code.slice(0, 14)], "never the code"],
    ["no terminal to ask for the name", [], "--peer-name NAME"],
    [
      "no terminal to ask for the code",
      ["127.0.0.1:9", "--yes"],
      "no terminal to ask for the code"
    ],
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
    [
      "--server without one",
      ["--server", ":9", "--yes"],
      "--server is for the side with an ADDRESS"
    ],
    ["an inherited socket to connect to", ["fd:3", "--yes"], "an inherited socket can only listen"],
    ["an invalid name", ["--peer-name", "a b"], "--peer-name: invalid name"],
    ["a socket path with a space", ["unix:./a b.sock", "--yes"], "cannot be pinned"]
  ] as const)(
    "%s is refused before anything is created or sent",
    async ([, args, message], { box }) => {
      const mail = user(box, "mail")
      const result = await box.run(["pair", ...args], { env: mail.env })
      expect([result.code, linesOf(result.stderr).length, result.stdout.length]).toEqual([2, 1, 0])
      expect(result.stderr).toContain(message)
      expect(result.stderr).not.toContain(code.slice(0, 14))
      expect(result.stderr).toContain("sealwire: ")
      expect(existsSync(mail.identity)).toBe(false)
    }
  )

  it("a port in use gives exit code 5", async ({ box }) => {
    const [mail, other] = [user(box, "mail"), user(box, "other")]
    const hosting = await host(box, mail, "--yes")
    const taken = await box.run(["pair", "--listen", hosting.address, "--yes"], { env: other.env })
    expect([taken.code, taken.stdout.toString()]).toEqual([5, ""])
    expect(taken.stderr).toContain("already in use")
    expect(taken.stderr).toContain("listen on another address")
  })
})

describe.runIf(hasScript)("on a terminal", () => {
  /** Starts `pair` on a pseudo-terminal; its standard input is typed there. */
  const atTerminal = (box: Box, { env }: User, ...args: ReadonlyArray<string>) => {
    const command = [process.execPath, bin, "pair", ...args].join(" ")
    return box.startOther("script", ["-qec", command, "/dev/null"], {
      env: { TERM: "xterm", ...env },
      stdin: "open"
    })
  }
  const shows = (text: string) => (running: Running) => running.stdout.toString().includes(text)
  const codeOf = ({ stdout }: Running) =>
    /^((?:[0-9A-Z]{4}-){6}[0-9A-Z]{4})\r?\n/m.exec(stdout.toString())?.[1]

  it("prompts both users, and again after a mistyped code or an invalid name", async ({ box }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const address = addressIn(hosting.stdout.toString())
    const joining = atTerminal(box, laptop, address)
    await joining.until("the question", shows("code shown by the other side: "))
    joining.type(`${code.slice(0, -1)}*\n`)
    await joining.until("the error", shows("The code is still valid"))
    joining.type(`${code.toLowerCase()}\n`)
    await joining.until("the partner", shows("name for it ["))
    await hosting.until("the partner", shows("name for it ["))
    joining.type("no name at all\n")
    await joining.until("the refusal", shows("is not a valid name"))
    joining.type("mail\n")
    await joining.until("the wait", shows("waiting for the other side to confirm"))
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
    // Enter accepts the suggestion.
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
      await hosting.until("the partner", shows("name for it ["))
      hosting.type(answer === "-" ? "-\n" : answer)
      const joined = await joining
      expect([joined.code, (await hosting.ended()).code]).toEqual([4, 4])
      expect(joined.stderr).toContain("declined the pairing; nothing was changed")
      expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
    }
  )

  it("a killed partner ends the prompt at once with exit code 5, and nothing is changed", async ({
    box
  }) => {
    box.useProcesses()
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const address = addressIn(hosting.stdout.toString())
    const joining = box.start(["pair", address, "--yes"], { env: laptop.env, stdin: code })
    await hosting.until("the partner", shows("name for it ["))
    await joining.until("the confirmation", ({ stderr }) =>
      stderr.includes("waiting for the other side")
    )
    joining.kill("SIGKILL")
    const { code: exit, stdout } = await hosting.ended()
    expect(exit).toBe(5)
    expect(stdout.toString()).toContain("disconnected before both sides had confirmed")
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
  })

  it("a line that cannot be written after the confirmation is shown, with exit code 7", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const joining = box.run(["pair", addressIn(hosting.stdout.toString()), "--yes"], {
      env: laptop.env,
      stdin: code
    })
    await hosting.until("the partner", shows("name for it ["))
    mail.write("authorized_peers", "this is no peer\n")
    hosting.type("laptop\n")
    const hosted = await hosting.ended()
    expect([(await joining).code, hosted.code]).toEqual([0, 7])
    const line = `${await publicKey(box, laptop)} laptop`
    expect(hosted.stdout.toString()).toContain(`by hand: ${line}\r\n`)
    expect(mail.read("authorized_peers")).toBe("this is no peer\n")
    expect(laptop.read("known_peers")).toContain(await publicKey(box, mail))
  })

  it("Ctrl-C at the prompt gives exit code 130, and exit code 5 on the other side", async ({
    box
  }) => {
    const [mail, laptop] = [user(box, "mail"), user(box, "laptop")]
    const hosting = atTerminal(box, mail, "--listen", "127.0.0.1:0")
    const code = await hosting.until("the code", codeOf)
    const address = addressIn(hosting.stdout.toString())
    const joining = box.run(["pair", address, "--yes"], { env: laptop.env, stdin: code })
    await hosting.until("the partner", shows("name for it ["))
    hosting.type("\u0003")
    expect((await hosting.ended()).code).toBe(130)
    expect((await joining).code).toBe(5)
    expect([mail.read("authorized_peers"), laptop.read("known_peers")]).toEqual(["", ""])
  })
})

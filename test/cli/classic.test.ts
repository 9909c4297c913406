import { randomBytes } from "node:crypto"
import path from "node:path"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { ciphers } from "../../src/classic/ciphers.ts"
import { ClassicKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { answerOf, connected, recordingServer } from "../interop/Plain.ts"
import { eventsOf, it, linesOf, type Box } from "./Sealwire.ts"

const keyMade =
  "sealwire: created a new classic key: ./aes_key.bin (readable only by you); copy it to the other side securely, for example with scp"
const danger =
  "sealwire: warning: aes-128-cbc has no integrity and a fixed IV: an attacker on the network can change, replay and compare messages undetected. " +
  "Use it only with the original C++ programs or openssl; between your own programs, use aes-256-gcm"

describe("classic serve and send", () => {
  it("delivers Hello Server! and reports only the addresses", async ({ box }) => {
    const server = await box.serve()
    const sent = await box.send(server)

    expect(sent).toEqual({
      code: 0,
      stdout: Buffer.alloc(0),
      stderr: `sealwire: sent 13 bytes to ${server.address}; the classic protocol has no receipt, so delivery is not confirmed\n`
    })
    await server.until("the message", ({ stdout }) => stdout.equals(Buffer.from("Hello Server!\n")))
    expect(linesOf(server.stderr)).toEqual([
      keyMade,
      danger,
      `sealwire: listening on ${server.address} for classic messages (aes-128-cbc); press Ctrl-C to stop`
    ])
  })

  it("listens on and sends to 127.0.0.1:8080 by default", async ({ box }) => {
    const help = async (command: string) =>
      (await box.run(["classic", command, "--help"])).stdout.toString()
    expect(await help("serve")).toMatch(/--listen ADDRESS\n.*Default: 127\.0\.0\.1:8080\.\n/)
    expect(await help("send")).toMatch(/--to ADDRESS\n.*Default: 127\.0\.0\.1:8080\.\n/)
  })

  it("creates the server's key with mode 0600 under umask 000, and no other file", async ({
    box
  }) => {
    box.useProcesses("serve")
    const umask = process.umask(0)
    const starting = box.serve()
    process.umask(umask)
    await starting

    expect(box.names).toEqual(["aes_key.bin"])
    expect(box.mode("aes_key.bin")).toBe(0o600)
    expect(box.read("aes_key.bin")).toHaveLength(32)
  })

  it("uses an existing key, and reports no creation", async ({ box }) => {
    box.writeKey()
    const content = box.read("aes_key.bin")
    const server = await box.serve()
    expect(server.stderr).not.toContain("created a new")
    expect(box.read("aes_key.bin")).toEqual(content)
  })

  it("never creates a key in the client", async ({ box }) => {
    expect(await box.run(["classic", "send"])).toEqual({
      code: 3,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: no classic key at ./aes_key.bin; copy it from the other side or create one; try: sealwire classic keygen -o ./aes_key.bin\n"
    })
    expect(box.names).toEqual([])
  })

  it("creates one key for two servers that start at once, and both use it", async ({ box }) => {
    const servers = await Promise.all([1, 2, 3].map(() => box.serve()))

    expect(box.names).toEqual(["aes_key.bin"])
    expect(servers.filter(({ stderr }) => stderr.includes("created a new"))).toHaveLength(1)
    for (const server of servers) {
      expect((await box.send(server, ["one key"])).code).toBe(0)
      await server.until("the message", ({ stdout }) => stdout.toString() === "one key\n")
    }
  })

  it("serves a hundred clients at once", async ({ box }) => {
    const key = randomBytes(32)
    box.writeKey(key)
    const server = await box.serve()
    const sealer = ciphers[0].make(ClassicKey.make(new Secret(key)))
    const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)

    const sockets = await Promise.all(texts.map(() => connected(box, server.port)))
    const answers = sockets.map(answerOf)
    // All first halves, then all second halves: a hundred messages are incomplete at once.
    const sealed = texts.map((text) => sealer.encrypt(Buffer.from(text)))
    await Promise.all(
      sockets.map(
        (socket, index) =>
          new Promise((done) => socket.write(sealed[index]?.subarray(0, 8) ?? "", done))
      )
    )
    sockets.forEach((socket, index) => socket.end(sealed[index]?.subarray(8) ?? ""))

    await server.until(
      "all messages",
      ({ stdout }) => linesOf(stdout.toString()).length === texts.length
    )
    expect(linesOf(server.stdout.toString()).toSorted()).toEqual(texts.toSorted())
    expect(await Promise.all(answers)).toEqual(
      texts.map(() => ({ bytes: Buffer.alloc(0), ending: "FIN" }))
    )
    expect(server.stderr).not.toContain("refused")
  })

  it("serves several client processes at once", async ({ box }) => {
    const server = await box.serve()
    const texts = ["1", "2", "3", "4", "5", "6"]
    const codes = await Promise.all(
      texts.map(async (text) => (await box.send(server, [text])).code)
    )
    expect(codes).toEqual(texts.map(() => 0))
    await server.until(
      "all messages",
      ({ stdout }) => linesOf(stdout.toString()).toSorted().join("") === texts.join("")
    )
  })

  it("listens on a Unix socket of this user only, and replaces the socket of a killed server", async ({
    box
  }) => {
    box.useProcesses("serve")
    const killed = await box.serve(["--listen", "unix:./a.sock"])
    expect(killed.address).toBe("unix:./a.sock")
    expect(box.mode("a.sock")).toBe(0o600)
    killed.kill("SIGKILL")
    await killed.ended()
    expect(box.names).toContain("a.sock")

    const server = await box.serve(["--listen", "unix:./a.sock"])
    expect((await box.send(server, ["over a file"])).code).toBe(0)
    await server.until("the message", ({ stdout }) => stdout.toString() === "over a file\n")
    server.kill("SIGTERM")
    expect((await server.ended()).code).toBe(0)
    expect(box.names).toEqual(["aes_key.bin"])
  })
})

describe("the bytes of a message", () => {
  const nulls = Buffer.from("\0a\0\0b\n\0")
  const cases: ReadonlyArray<readonly [string, Buffer]> = [
    ["no bytes", Buffer.alloc(0)],
    ["one byte", Buffer.from([0xff])],
    ["NUL bytes", nulls],
    ["escape sequences", Buffer.from("\u001b[2J\r\u202e")],
    ["1,023 random bytes", randomBytes(1023)]
  ]
  it.for(cases)("are the exact output of --once: %s", async ([, bytes], { box }) => {
    const server = await box.serve(["--once"])
    expect((await box.send(server, ["-"], { stdin: bytes })).code).toBe(0)
    expect(await server.ended()).toMatchObject({ code: 0, stdout: bytes })
  })

  it("get a newline in a pipe only if they have none", async ({ box }) => {
    const server = await box.serve()
    let output = ""
    for (const [text, shown] of [
      ["without", "without\n"],
      ["with\n", "with\n"],
      ["two\n\n", "two\n\n"],
      ["", "\n"]
    ] as const) {
      await box.send(server, [text])
      output += shown
      await server.until(JSON.stringify(shown), ({ stdout }) => stdout.toString() === output)
    }
  })

  it("are text in --json if they are UTF-8, else base64", async ({ box }) => {
    const server = await box.serve(["--json"])
    const messages = [
      Buffer.from("grüße\n"),
      Buffer.from([0xff, 0x00, 0xfe]),
      Buffer.alloc(0),
      randomBytes(500)
    ]
    for (const bytes of messages) await box.send(server, ["-"], { stdin: bytes })
    const seen = await server.until("the messages", ({ stdout }) => {
      const found = eventsOf(stdout).filter(({ event }) => event === "message-received")
      return found.length === messages.length && found
    })
    expect(
      seen.map(({ text, base64 }) =>
        base64 === undefined ? Buffer.from(String(text)) : Buffer.from(String(base64), "base64")
      )
    ).toEqual(messages)
    expect(seen.map(({ base64 }) => base64 === undefined)).toEqual([true, false, true, false])
    expect(seen.map(({ bytes }) => bytes)).toEqual([7 + 1, 3, 0, 500])
  })
})

describe("the message", () => {
  const sentBy = async (
    box: Box,
    args: ReadonlyArray<string>,
    options: { readonly stdin?: string } = {}
  ) => {
    const server = await box.serve(["--once"])
    const { code, stderr } = await box.send(server, args, options)
    expect(stderr).toMatch(/^sealwire: sent [^\n]*\n$/)
    expect(code).toBe(0)
    return (await server.ended()).stdout.toString()
  }

  it("is the argument, even with piped input", async ({ box }) => {
    expect(await sentBy(box, ["argument"], { stdin: "piped" })).toBe("argument")
  })

  it("is the argument after --, even with a leading hyphen", async ({ box }) => {
    expect(await sentBy(box, ["--", "--json"])).toBe("--json")
  })

  it("is the piped input, byte for byte", async ({ box }) => {
    expect(await sentBy(box, [], { stdin: "piped\n" })).toBe("piped\n")
  })

  it("is the piped input for -, at any position", async ({ box }) => {
    const server = await box.serve(["--once"])
    expect(
      (await box.run(["classic", "send", "-", "--to", server.address], { stdin: "by name" })).code
    ).toBe(0)
    expect((await server.ended()).stdout.toString()).toBe("by name")
  })

  it("is empty for - and an empty pipe", async ({ box }) => {
    expect(await sentBy(box, ["-"], { stdin: "" })).toBe("")
  })

  it("is none for an empty pipe", async ({ box }) => {
    const server = await box.serve()
    const { code, stdout, stderr } = await box.send(server, ["--json"], { stdin: "" })
    expect([code, stdout.toString(), stderr]).toEqual([
      0,
      "",
      "sealwire: standard input is empty; nothing is sent\n"
    ])
  })

  it("is Hello Server! for /dev/null", async ({ box }) => {
    expect(await sentBy(box, [])).toBe("Hello Server!")
  })

  it("is awaited with a notice", async ({ box }) => {
    box.writeKey()
    const sending = box.start(["classic", "send"], { stdin: "open" })
    await sending.until("the notice", ({ stderr }) => stderr !== "")
    expect(sending.stderr).toBe(
      "sealwire: waiting for the message on standard input (or give it as an argument)\n"
    )
    sending.kill("SIGINT")
    expect(await sending.ended()).toMatchObject({ code: 130, stdout: Buffer.alloc(0) })
  })
})

describe("the length of a message", () => {
  it("is rejected above 1,023 bytes before anything is sent", async ({ box }) => {
    box.writeKey()
    const { place, connections } = await recordingServer(box)
    expect(
      await box.run(["classic", "send", "--to", `:${place}`], { stdin: Buffer.alloc(1024, "a") })
    ).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: message too long: 1,024 bytes; the original C++ server cannot read it (limit: 1,023 bytes); Sealwire's own server accepts more; use --any-length\n"
    })
    expect(connections()).toBe(0)
  })

  it.for([
    ["with --any-length", [], ["--any-length"]],
    [
      "with aes-256-gcm, which the origin does not implement",
      ["--cipher", "aes-256-gcm"],
      ["--cipher", "aes-256-gcm"]
    ]
  ] as const)("may be more %s", async ([, serving, sending], { box }) => {
    const text = randomBytes(300_000)
    const server = await box.serve(["--once", ...serving])
    expect((await box.send(server, sending, { stdin: text })).code).toBe(0)
    expect((await server.ended()).stdout.equals(text)).toBe(true)
  })

  it("is at most 8 MiB on the wire, with any options", async ({ box }) => {
    box.writeKey()
    const { place, connections } = await recordingServer(box)
    const sending = (bytes: number) =>
      box.run(["classic", "send", "--any-length", "--to", `:${place}`], {
        stdin: Buffer.alloc(bytes)
      })

    expect(await sending(8 * 1024 * 1024)).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr: "sealwire: message too long: 8,388,624 bytes (limit: 8,388,608 bytes)\n"
    })
    expect(await sending(8 * 1024 * 1024 + 1)).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: standard input: has more than 8,388,608 bytes, more than a message may have\n"
    })
    expect(connections()).toBe(0)
  })
})

describe("ciphers and keys", () => {
  it.for(ciphers.map(({ name, keyFile }) => [name, keyFile] as const))(
    "%s carries a message with %s",
    async ([cipher, file], { box }) => {
      const server = await box.serve(["--once", "--cipher", cipher])
      expect(box.names).toEqual([path.basename(file)])
      expect((await box.send(server, ["sealed", "--cipher", cipher])).code).toBe(0)
      expect(await server.ended()).toMatchObject({ code: 0, stdout: Buffer.from("sealed") })
    }
  )

  it("warns only of aes-128-cbc", async ({ box }) => {
    const warned = await Promise.all(
      ciphers.map(async ({ name }) =>
        (await box.serve(["--cipher", name])).stderr.includes("warning:")
      )
    )
    expect(warned).toEqual([true, false, false])
  })

  it("rejects a message under another key in one line, and keeps serving", async ({ box }) => {
    // A fixed key: with one of 256 wrong keys a CBC message has valid padding and decrypts to
    // noise.
    box.writeKey(Buffer.alloc(32, 1))
    box.write("other.bin", Buffer.alloc(32, 2))
    const server = await box.serve(["--once"])
    expect((await box.send(server, ["lost", "--key", "other.bin"])).code).toBe(0)
    await server.until("the refusal", ({ stderr }) => stderr.includes("refused"))
    expect(linesOf(server.stderr).at(-1)).toMatch(
      /^sealwire: warning: refused a message from 127\.0\.0\.1:\d+: it does not decrypt with this key and cipher \(16 bytes\)$/
    )
    await box.send(server, ["found"])
    expect(await server.ended()).toMatchObject({ code: 0, stdout: Buffer.from("found") })
  })

  it("loads a classic key from the environment, as hexadecimal digits or text", async ({ box }) => {
    const key = randomBytes(32)
    const server = await box.serve(["--key", "env:SERVER_KEY"], {
      env: { SERVER_KEY: key.toString("hex") }
    })
    const text = KeyText.encode(ClassicKey, new Secret(key))
    expect(
      (await box.send(server, ["--key", "env:CLIENT_KEY"], { env: { CLIENT_KEY: text } })).code
    ).toBe(0)
    await server.until("the message", ({ stdout }) => stdout.toString() === "Hello Server!\n")
    expect(box.names).toEqual([])
  })

  it("accepts the key file of a GCM server under any name", async ({ box }) => {
    const server = await box.serve([
      "--once",
      "--cipher",
      "aes-256-gcm",
      "--key",
      "file:./made.key"
    ])
    box.write("copy.key", box.read("made.key"))
    expect((await box.send(server, ["--cipher", "aes-256-gcm", "--key", "./copy.key"])).code).toBe(
      0
    )
    expect((await server.ended()).stdout.toString()).toBe("Hello Server!")
  })

  it("keygen creates a key with mode 0600, and never overwrites one", async ({ box }) => {
    expect(await box.run(["classic", "keygen"])).toEqual({
      code: 0,
      stdout: Buffer.alloc(0),
      stderr: `${keyMade}\n`
    })
    const content = box.read("aes_key.bin")
    expect(content).toHaveLength(32)
    expect(box.mode("aes_key.bin")).toBe(0o600)

    expect(await box.run(["classic", "keygen"])).toEqual({
      code: 3,
      stdout: Buffer.alloc(0),
      stderr:
        "sealwire: ./aes_key.bin already exists, and a key is never overwritten; choose another name, or move the old key first\n"
    })
    expect(box.read("aes_key.bin")).toEqual(content)
    expect(box.names).toEqual(["aes_key.bin"])
  })

  it("keygen creates a GCM key in its text form", async ({ box }) => {
    await box.run(["classic", "keygen", "--cipher", "aes-256-gcm"])
    expect(box.read("aes_gcm.key").toString()).toMatch(
      /^# classic GCM key; keep it secret; made by: sealwire classic keygen --cipher aes-256-gcm\nSEALWIRE-CLASSIC-GCM-KEY-1[A-Z0-9]+\n$/
    )
  })
})

describe("--json and --wire", () => {
  const vectorKey = Buffer.from(
    "d132e6dc58223e4b68118df9725a16f6f4a4176db5c3825404bcd5d67df8de9b",
    "hex"
  )
  const wire = "aa2ce453438ce0ea54e75c5d8d125eb0"

  it("--json writes one object per line to stdout, and nothing to stderr", async ({ box }) => {
    const server = await box.serve(["--json"])
    const sent = await box.send(server, ["--json"])
    expect(eventsOf(sent.stdout)).toEqual([
      { event: "message-sent", address: server.address, bytes: 13, wireBytes: 16 }
    ])
    const attacker = await connected(box, server.port)
    attacker.end("garbage")

    await server.until("the refusal", ({ stdout }) => stdout.includes("refused"))
    expect(eventsOf(server.stdout)).toEqual([
      { event: "key-created", key: "./aes_key.bin", kind: "classic key" },
      { event: "warning", message: danger.replace("sealwire: warning: ", "") },
      { event: "server-listening", address: server.address, cipher: "aes-128-cbc" },
      {
        event: "message-received",
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        bytes: 13,
        text: "Hello Server!"
      },
      {
        event: "message-refused",
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        reasonCode: "decrypt-failed",
        bytes: 7,
        count: 1
      }
    ])
    expect([sent.stderr, server.stderr]).toEqual(["", ""])
  })

  it("--json of keygen is one object", async ({ box }) => {
    const made = await box.run(["classic", "keygen", "--json"])
    expect(eventsOf(made.stdout)).toEqual([
      { event: "key-created", key: "./aes_key.bin", kind: "classic key" }
    ])
    expect(made).toMatchObject({ code: 0, stderr: "" })
  })

  it("--wire shows the bytes on both sides", async ({ box }) => {
    box.writeKey(vectorKey)
    const server = await box.serve(["--wire"])
    expect((await box.send(server, ["--wire"])).stderr).toBe(
      `sealwire: sent 13 bytes to ${server.address}; 16 bytes on the wire: ${wire}\n`
    )
    await server.until(
      "the message",
      ({ stdout, stderr }) => stdout.length > 0 && linesOf(stderr).length === 3
    )
    expect(linesOf(server.stderr).at(-1)).toMatch(
      /^sealwire: 127\.0\.0\.1:\d+: 16 bytes on the wire: aa2ce453438ce0ea54e75c5d8d125eb0$/
    )
    expect(server.stdout.toString()).toBe("Hello Server!\n")
  })

  it("--wire --json adds them as a field", async ({ box }) => {
    box.writeKey(vectorKey)
    const server = await box.serve(["--wire", "--json"])
    expect(eventsOf((await box.send(server, ["--wire", "--json"])).stdout)).toMatchObject([
      { event: "message-sent", wire }
    ])
    await server.until("the message", ({ stdout }) =>
      eventsOf(stdout).some((event) => event.wire === wire)
    )
  })

  it("--log-level warning omits information", async ({ box }) => {
    box.writeKey()
    const { place, received } = await recordingServer(box)
    const sent = await box.run(["classic", "send", "--to", `:${place}`, "--log-level", "warning"])
    expect(sent).toEqual({ code: 0, stdout: Buffer.alloc(0), stderr: "" })
    expect(Buffer.concat([...(await received())])).toHaveLength(16)
  })
})

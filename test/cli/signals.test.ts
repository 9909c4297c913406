// The end of a running command: by signals, and by a closed or full output.
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, constants, existsSync, openSync } from "node:fs"
import net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { ciphers } from "../../src/classic/ciphers.ts"
import { ClassicKey } from "../../src/keys/KeyKind.ts"
import { answerOf, connected } from "../interop/Plain.ts"
import { sample, sampled } from "../fixtures/sample.ts"
import { bin, it, linesOf, within, type Box, type Server } from "./Sealwire.ts"

const sealed = (box: Box, text: string): Uint8Array =>
  ciphers[0].make(ClassicKey.make(new Secret(box.read("aes_key.bin")))).encrypt(Buffer.from(text))

/** A connection that has sent the first half of a message, and the server has read it; what is left to send. */
const halfSent = async (server: Server, box: Box, text: string) => {
  const socket = await connected(box, server.port)
  const message = sealed(box, text)
  await within(new Promise((done) => socket.write(message.subarray(0, 20), done)), "the first half")
  // Served after it, so the first half has been read by then.
  await box.send(server, ["afterwards"])
  await server.until("the message that came afterwards", ({ stdout }) =>
    stdout.includes("afterwards")
  )
  return { socket, rest: message.subarray(20) }
}

/** Waits until the server refuses connections: it is draining. */
const refusing = async (server: Server): Promise<void> => {
  const deadline = Date.now() + 30_000
  while (Date.now() < deadline) {
    const socket = net.connect(server.port, "127.0.0.1")
    const refused = await once(socket, "connect").then(
      () => false,
      () => true
    )
    socket.destroy()
    if (refused) return
    await sleep(10)
  }
  throw new Error("the server still accepts connections")
}

/** Real signals and descriptors are for the server alone. */
const ownProcess = { process: true } as const

describe("signals", () => {
  it("SIGUSR1 opens no debugger, which every user of the machine could use", async ({ box }) => {
    box.useProcesses()
    const server = await box.serve()
    for (let count = 0; count < 3; count++) server.kill("SIGUSR1")
    await box.send(server, ["after the signals"])
    expect(server.stderr.toString()).not.toContain("Debugger")
    server.kill("SIGTERM")
    expect((await server.ended()).code).toBe(0)
  })

  it.for([
    ["SIGTERM", 0],
    ["SIGINT", 130],
    ["SIGHUP", 129]
  ] as const)(
    "%s ends an idle server with %i, without another line",
    async ([signal, code], { box }) => {
      const server = await box.serve([], ownProcess)
      const logged = server.stderr
      server.kill(signal)
      expect(await server.ended()).toEqual({ code, stdout: Buffer.alloc(0), stderr: logged })
    }
  )

  it("the first signal waits for a message in flight and refuses new connections", async ({
    box
  }) => {
    const server = await box.serve([], ownProcess)
    const { socket, rest } = await halfSent(server, box, "in flight when the signal came")
    const answer = answerOf(socket)
    server.kill("SIGTERM")
    await refusing(server)
    expect(server.alive).toBe(true)

    socket.end(rest)
    expect(await answer).toEqual({ bytes: Buffer.alloc(0), ending: "FIN" })
    expect(await server.ended()).toMatchObject({
      code: 0,
      stdout: Buffer.from("afterwards\nin flight when the signal came\n")
    })
  })

  it("an idle connection does not delay the exit", async ({ box }) => {
    const server = await box.serve()
    const socket = await connected(box, server.port)
    const answer = answerOf(socket)
    server.kill("SIGTERM")
    // Far below the drain deadline of 10 seconds.
    expect((await server.ended(9_000)).code).toBe(0)
    expect((await answer).bytes).toHaveLength(0)
    expect(server.stderr).not.toContain("refused")
  })

  it.for([
    ["SIGTERM", 143],
    ["SIGINT", 130]
  ] as const)("a second signal, %s, ends the server at once", async ([second, code], { box }) => {
    const server = await box.serve([], ownProcess)
    await halfSent(server, box, "never finished, and long enough for two blocks")
    server.kill("SIGTERM")
    await refusing(server)
    server.kill(second)
    expect((await server.ended(9_000)).code).toBe(code)
  })

  it.for([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129]
  ] as const)(
    "%s ends a command that waits for the writer of a FIFO",
    async ([signal, code], { box }) => {
      expect((await box.run(["keygen", "file-key"])).code).toBe(0)
      execFileSync("mkfifo", [box.path("fifo")])
      const running = box.start(
        ["encrypt", "./fifo", "--file-key", "./sealwire-file.key"],
        ownProcess
      )
      await sleep(500)
      running.kill(signal)
      expect((await running.ended(3_000)).code).toBe(code)
    }
  )

  it("SIGTERM ends a client that waits for its text", async ({ box }) => {
    await box.run(["classic", "keygen"])
    const client = box.start(["classic", "send"], { stdin: "open" })
    await client.until("the notice", ({ stderr }) => stderr.includes("waiting"))
    client.kill("SIGTERM")
    expect((await client.ended()).code).toBe(143)
  })
})

const noSpace = "sealwire: cannot write standard output (ENOSPC)\n"

describe("closed and full outputs", () => {
  it("a server with closed stdout exits with 141 and no message", async ({ box }) => {
    const server = await box.serve([], ownProcess)
    const logged = server.stderr
    server.closeReader("stdout")
    await box.send(server, ["into the void"])
    expect(await server.ended()).toMatchObject({ code: 141, stderr: logged })
  })

  it("a server with a closed pipe as stdout exits with 141 and no message", async ({ box }) => {
    const { reader, writer } = await openPipe(box)
    const server = await box.serve([], { stdio: ["ignore", writer, "pipe"] })
    closeSync(writer)
    const logged = server.stderr
    closeSync(reader)
    await box.send(server, ["into the void"])
    expect(await server.ended()).toMatchObject({ code: 141, stderr: logged })
  })

  /** Starts `serve`, on a free port, by a shell. */
  const serveBy = (box: Box, redirection: string, ...args: ReadonlyArray<string>) =>
    box.startOther("bash", [
      "-c",
      `exec "$0" "$@" ${redirection}`,
      process.execPath,
      bin,
      "serve",
      "--listen",
      "127.0.0.1:0",
      ...args
    ])

  it.runIf(existsSync("/proc/self/fd"))(
    "a server started without stdout accepts no message",
    async ({ box }) => {
      const closed = await serveBy(box, ">&-").ended()
      expect([closed.code, linesOf(closed.stderr).at(-1)]).toEqual([
        2,
        "sealwire: --inbox: standard output, the default inbox, is closed and messages would be lost; name an inbox; see: sealwire serve --help"
      ])
      for (const serving of [
        serveBy(box, ">&-", "--inbox", "./inbox.db"),
        serveBy(box, "> /dev/null"),
        serveBy(box, "> messages")
      ])
        await serving.until("the listening line", ({ stderr }) => stderr.includes("listening"))
      box.write("serve.toml", 'listen = "127.0.0.1:0"')
      expect(
        (
          await box.runOther("bash", [
            "-c",
            'exec "$0" "$@" >&-',
            process.execPath,
            bin,
            "check-config",
            "serve.toml"
          ])
        ).code
      ).toBe(0)
    }
  )

  it(
    sampled("data is not lost in a closed stdout, and nothing is done for it"),
    async ({ box }) => {
      const lost = `sealwire: standard output is closed, and the data would be lost; name a file or a pipe\n`
      await box.run(["keygen"])
      await box.run(["keygen", "identity"])
      await box.run(["keygen", "file-key"])
      box.write("x", "text")
      await box.run(["encrypt", "./x", "--file-key", "./sealwire-file.key", "-o", "./x.sealed"])
      const server = await box.listen(
        "serve --listen unix:./s --key ./sealwire.key --inbox ./i.db --control ./c".split(" "),
        ownProcess
      )
      await box.run(["send", "--to", "unix:./s", "--key", "./sealwire.key", "kept"])
      const { stdout: publicKey } = await box.run(["pubkey"])
      await box.run([
        "peers",
        "add",
        "alice",
        publicKey.toString().trim(),
        "--authorized-peers",
        "./p"
      ])
      const closed = (args: string) =>
        box.startOther("sh", ["-c", `exec "$0" "$1" ${args} >&-`, process.execPath, bin]).ended()
      const commands = [
        "inbox take --inbox ./i.db --ack",
        "decrypt ./x.sealed --file-key ./sealwire-file.key",
        "encrypt ./x --file-key ./sealwire-file.key",
        "keygen -o -",
        "pubkey",
        "fingerprint",
        "inspect ./x.sealed",
        "inspect ./x.sealed --json",
        "inbox list --inbox ./i.db",
        "peers list --authorized-peers ./p",
        "peers show alice --authorized-peers ./p",
        "status ./c",
        "status ./c --json",
        "send --reply --to unix:./s --key ./sealwire.key question"
      ]
      for (const args of sample(commands, 5)) {
        const { code, stderr } = await closed(args)
        expect([args, code]).toEqual([args, 2])
        expect(stderr.endsWith(lost) || stderr.includes(`"code":"OutputFailed"`)).toBe(true)
      }
      // It was not even leased.
      const { stdout } = await box.run(["inbox", "take", "--inbox", "./i.db", "--ack"])
      expect(stdout.toString()).toBe("kept")
      expect(server.stderr).not.toContain("question")
    }
  )

  it("help with a closed reader exits with 141 and no message", async ({ box }) => {
    const { reader, writer } = await openPipe(box)
    closeSync(reader)
    const help = box.start(["--help"], { stdio: ["ignore", writer, "pipe"] })
    closeSync(writer)
    expect(await help.ended()).toMatchObject({ code: 141, stderr: "" })
  })

  it.for([
    ["help", ["--help"]],
    ["a version", ["--version"]],
    ["an event", ["classic", "keygen", "--json"]]
  ] as const)("reports a full disk while writing %s", async ([, args], { box }) => {
    const full = openSync("/dev/full", constants.O_WRONLY)
    const running = box.start(args, { stdio: ["ignore", full, "pipe"] })
    closeSync(full)
    const { code, stderr } = await running.ended()
    expect(code).toBe(2)
    expect(stderr).toMatch(/^[^\n]*cannot write standard output \(ENOSPC\)[^\n]*\n$/)
  })

  it("fails if --once cannot write the message", async ({ box }) => {
    const full = openSync("/dev/full", constants.O_WRONLY)
    const server = await box.serve(["--once"], { stdio: ["ignore", full, "pipe"] })
    closeSync(full)
    const logged = server.stderr
    await box.send(server)
    expect(await server.ended()).toMatchObject({ code: 2, stderr: logged + noSpace })
  })

  it("a server whose stderr is closed keeps serving", async ({ box }) => {
    const server = await box.serve([], ownProcess)
    server.closeReader("stderr")
    for (const text of ["one", "two"]) {
      ;(await connected(box, server.port)).end("garbage that makes a line in the log")
      await box.send(server, [text])
      await server.until(text, ({ stdout }) => linesOf(stdout.toString()).at(-1) === text)
    }
    server.kill("SIGTERM")
    expect((await server.ended()).code).toBe(0)
  })
})

/** Both ends of a pipe; Node itself gives a child a socket. */
const openPipe = async (
  box: Box
): Promise<{ readonly reader: number; readonly writer: number }> => {
  const file = box.path("pipe")
  await box.runOther("mkfifo", [file])
  const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  return { reader, writer: openSync(file, constants.O_WRONLY) }
}

// `send --outbox`: undelivered messages stay in a file, survive any process, and are delivered once
// and in order.
import { randomBytes } from "node:crypto"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { expectDeliveredOnce } from "./Producer.ts"
import { eventsOf, it, linesOf, type Box, type Options, type Running } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

const socket = "unix:./s.sock"
const file = "./outbox.db"

const serve = async (box: Box, args: ReadonlyArray<string> = ["--json"]): Promise<Running> => {
  return box.listen(["serve", "--listen", socket, ...args])
}

const giveKey = (box: Box) =>
  box.write("sealwire.key", KeyText.encode(SharedKey, new Secret(randomBytes(32))))
const send = (box: Box, args: ReadonlyArray<string>, options?: Options, outbox = file) =>
  box.start(["send", "--to", socket, "--outbox", outbox, ...args], options)
const received = (server: Running) =>
  eventsOf(server.stdout).filter(({ event }) => event === "message-received")
const texts = (server: Running) => received(server).map(({ text }) => text)
const pending = async (box: Box) =>
  eventsOf((await box.run(["inbox", "list", "--inbox", file, "--json"])).stdout).map(
    ({ text, id }) => ({ text, id })
  )

describe("an outbox", () => {
  it("stores undelivered messages and delivers them in the next run: in order, under their IDs, before new ones", async ({
    box
  }) => {
    giveKey(box)
    const first = await send(box, ["--lines", "--json"], { stdin: "one\ntwo\nthree" }).ended()
    expect(first.code).toBe(7)
    expect(eventsOf(first.stdout).findLast(({ event }) => event === "messages-queued")).toEqual({
      event: "messages-queued",
      outbox: file,
      messages: 3
    })
    expect(first.stderr).toMatch(
      /^\{"event":"error","code":"OutboxWaits","message":"3 messages pending in \.\/outbox\.db; the next run delivers them \(/
    )
    for (const name of box.names.filter((name) => name.startsWith("outbox")))
      expect(box.mode(name)).toBe(0o600)
    expect(await send(box, ["four"]).ended()).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(
        /^sealwire: 4 messages pending in \.\/outbox\.db; the next run delivers them \(cannot connect .*\)\n$/
      ) as unknown
    })
    const kept = await pending(box)
    expect(kept.map(({ text }) => text)).toEqual(["one", "two", "three", "four"])

    const server = await serve(box)
    expect((await send(box, ["five"]).ended()).code).toBe(0)
    expect(texts(server)).toEqual(["one", "two", "three", "four", "five"])
    expect(
      received(server)
        .slice(0, 4)
        .map(({ text, id }) => ({ text, id }))
    ).toEqual(kept)
    expect(await pending(box)).toEqual([])
  })

  it.for([
    ["/dev/null", undefined],
    ["an empty pipe", ""]
  ] as const)(
    "is delivered without new messages when standard input is %s",
    async ([, stdin], { box }) => {
      giveKey(box)
      expect((await send(box, ["waits"]).ended()).code).toBe(7)
      const server = await serve(box)
      const options = stdin === undefined ? {} : { stdin }
      for (const messages of [1, 0]) {
        const { code, stdout } = await send(box, ["--json"], options).ended()
        expect([code, eventsOf(stdout)]).toMatchObject([
          0,
          [{ event: "messages-delivered", messages }]
        ])
      }
      expect(texts(server)).toEqual(["waits"])
    }
  )

  it("that is empty opens no connection", async ({ box }) => {
    giveKey(box)
    expect(await send(box, []).ended()).toMatchObject({ code: 0, stderr: "" })
  })

  it("is delivered by one run at a time: the messages of the second follow those of the first", async ({
    box
  }) => {
    giveKey(box)
    const first = send(box, ["--lines", "--retry", "1m"], { stdin: "open" })
    first.type("one\n")
    await first.until("an attempt", ({ stderr }) => stderr.includes("retrying in"))
    const second = send(box, ["two", "--retry", "1m", "--json"])
    await second.until("a stored message", ({ stdout }) => stdout.includes('"messages-queued"'))
    const server = await serve(box)
    // The first run delivers for both, although its own input is still open.
    expect(await second.ended()).toMatchObject({ code: 0, stderr: "" })
    expect(first.alive).toBe(true)
    first.type("three\n")
    first.closeInput()
    expect((await first.ended()).code).toBe(0)
    expect(texts(server)).toEqual(["one", "two", "three"])
  })

  it("that another run is delivering for too long stores the new message and reports it", async ({
    box
  }) => {
    giveKey(box)
    const first = send(box, ["--lines"], { stdin: "open", process: true })
    first.type("one\n")
    await first.until("an attempt", ({ stderr }) => stderr.includes("retrying in"))
    const { code, stderr } = await send(box, ["two", "--retry", "1"]).ended()
    expect([code, stderr]).toEqual([
      7,
      "sealwire: 2 messages pending in ./outbox.db; the next run delivers them (cannot use the outbox ./outbox.db: another process is delivering its messages)\n"
    ])
    first.kill("SIGKILL")
    const server = await serve(box)
    expect((await send(box, []).ended()).code).toBe(0)
    expect(texts(server)).toEqual(["one", "two"])
  })

  it("is retried without a deadline while the input is open", async ({ box }) => {
    giveKey(box)
    const sending = send(box, ["--lines", "--retry", "1"], { stdin: "open" })
    sending.type("one\n")
    await sending.until("several attempts", ({ stderr }) => linesOf(stderr).length > 4)
    const server = await serve(box)
    await server.until("the message", (it) => texts(it).includes("one"))
    sending.closeInput()
    expect((await sending.ended()).code).toBe(0)
  })

  it("keeps its order behind a refused message until that one is deleted", async ({ box }) => {
    const server = await serve(box, ["--inbox", "exec:grep good"])
    const { code, stderr } = await send(box, ["--lines"], {
      stdin: "good 1\nbad\ngood 2\ngood 3\n"
    }).ended()
    expect([code, linesOf(stderr).at(-2)]).toEqual([
      8,
      "sealwire: warning: 3 messages pending in ./outbox.db; the refused message is the first: sealwire inbox list --inbox ./outbox.db shows its ID, sealwire inbox done ID --inbox ./outbox.db deletes it"
    ])
    const [bad] = await pending(box)
    expect(bad?.text).toBe("bad")
    expect((await send(box, ["good 4"]).ended()).code).toBe(8)
    expect((await box.run(["inbox", "done", "--inbox", file, String(bad?.id)])).code).toBe(0)
    expect((await send(box, []).ended()).code).toBe(0)
    expect(
      linesOf(server.stderr).flatMap((line) => /the command: (.*)/.exec(line)?.[1] ?? [])
    ).toEqual(["good 1", "good 2", "good 3", "good 4"])
  })

  it("belongs to one server, and never sends its messages to another", async ({ box }) => {
    giveKey(box)
    const to = async (address: string | undefined, ...args: ReadonlyArray<string>) =>
      await box.run([
        "send",
        ...(address === undefined ? [] : ["--to", address]),
        "--outbox",
        file,
        ...args
      ])
    // A timer that runs before the first message names no server.
    expect(await to(undefined)).toMatchObject({ code: 0, stderr: "" })
    expect((await to("unix:./a.sock", "secret for a")).code).toBe(7)
    const other = await box.listen(["serve", "--listen", socket, "--json"])
    const refused = (named: string) => ({
      code: 2,
      stderr:
        `sealwire: the outbox ${file} belongs to ${box.path("a.sock")}; use another file for ${named}; ` +
        `its messages: sealwire inbox list --inbox ${file}\n`
    })
    expect(await to(socket, "for b")).toMatchObject(refused(box.path("s.sock")))
    expect(await to(":8080")).toMatchObject(refused("127.0.0.1:8080"))
    expect(received(other)).toEqual([])
    expect((await pending(box)).map(({ text }) => text)).toEqual(["secret for a"])

    const right = await box.listen(["serve", "--listen", "unix:./a.sock", "--json"])
    // From a timer: the file names the server.
    expect(await to(undefined)).toMatchObject({ code: 0 })
    expect(texts(right)).toEqual(["secret for a"])
  })

  it("belongs to one key of a server once --peer names it", async ({ box }) => {
    for (const name of ["a", "b"]) await box.run(["keygen", "identity", "-o", `./${name}.key`])
    const publicKey = async (name: string) =>
      (await box.run(["pubkey", "--identity", `./${name}.key`])).stdout.toString().trim()
    const [a, b] = [await publicKey("a"), await publicKey("b")]
    const to = (...args: ReadonlyArray<string>) =>
      box.run(["send", "--to", socket, "--outbox", file, "--identity", "./a.key", ...args])
    expect((await to("text", "--peer", a)).code).toBe(7)
    expect(await to("more", "--peer", b)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        `belongs to ${box.path("s.sock")} (peer ${a}); use another file for ${box.path("s.sock")} (peer ${b});`
      ) as unknown
    })
    expect((await pending(box)).map(({ text }) => text)).toEqual(["text"])
  })

  it("does not send the messages of an inbox", async ({ box }) => {
    const server = await serve(box, ["--inbox", "./in.db"])
    expect((await box.run(["send", "came in", "--to", socket])).code).toBe(0)
    expect((await send(box, [], undefined, "./in.db").ended()).code).toBe(0)
    expect((await box.run(["inbox", "list", "--inbox", "./in.db"])).stdout.toString()).toContain(
      "came in"
    )
    expect(server.alive).toBe(true)
  })

  it("that cannot be opened is reported in one line", async ({ box }) => {
    giveKey(box)
    box.write("text", "this is no database, and long enough to be looked at")
    for (const [outbox, reason] of [
      ["./text", "it is not a SQLite database"],
      [".", "it is a directory"],
      ["./none/outbox.db", "its directory does not exist"]
    ] as const)
      expect(await send(box, ["text"], undefined, outbox).ended()).toMatchObject({
        code: 2,
        stderr: `sealwire: cannot use the outbox ${outbox}: ${reason}\n`
      })
  })

  it.skipIf(!canMount)(
    "on a full disk reports it and delivers what is stored",
    async ({ box, skip }) => {
      const disk = smallDisk(box)
      if (disk === undefined) return skip("no file system can be mounted here")
      giveKey(box)
      const outbox = "./disk/outbox.db"
      expect((await send(box, ["before"], undefined, outbox).ended()).code).toBe(7)
      const large = send(
        box,
        ["--lines"],
        { stdin: `${"x".repeat(400_000)}\n${"y".repeat(400_000)}\n` },
        outbox
      )
      const { code, stderr } = await large.ended()
      expect([code, linesOf(stderr).at(-1)]).toEqual([
        5,
        expect.stringMatching(
          /^sealwire: cannot use the outbox \.\/disk\/outbox\.db: the disk is full: free [\d,]+ KiB on it$/
        )
      ])
      const server = await serve(box)
      const sent = await send(box, [], undefined, outbox).ended()
      expect([sent.code, texts(server)[0]]).toEqual([0, "before"])
    }
  )

  it("loses and duplicates no stored message when it is killed at any time", async ({ box }) => {
    giveKey(box)
    await expectDeliveredOnce(box, 3)
  })
})

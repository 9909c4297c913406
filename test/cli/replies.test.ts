// `send --reply`: the output and exit codes of the built command.
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { suites } from "../../src/channel/Suite.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { encodeReceipt, type Receipt } from "../../src/services/messages/Receipt.ts"
import { application } from "../../src/services/Service.ts"
import { unix } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { eventsOf, it, linesOf, type Box, type Running } from "./Sealwire.ts"

const socket = "unix:./s.sock"

const serve = async (box: Box, ...args: ReadonlyArray<string>): Promise<Running> => {
  return box.listen(["serve", "--listen", socket, ...args])
}

const ask = (box: Box, ...args: ReadonlyArray<string>) =>
  box.run(["send", "--reply", "--to", socket, ...args])
const ended = (code: number, stdout: string, stderr = "") => ({
  code,
  stdout: Buffer.from(stdout),
  stderr
})

describe("send --reply", () => {
  it("prints the output of the command, and only when requested", async ({ box }) => {
    const server = await serve(box, "--inbox", `exec:echo "[$SEALWIRE_REPLY]" >&2; tr a-z A-Z`)
    expect(await ask(box, "question")).toEqual(ended(0, "QUESTION"))
    expect(await ask(box, "one", "two\n", "three")).toEqual(ended(0, "ONE\nTWO\nTHREE\n"))
    expect(await box.run(["send", "--to", socket, "plain\n"])).toEqual(ended(0, ""))
    const logged = linesOf(server.stderr).filter((line) => line.includes("the command"))
    expect(logged.toSorted()).toEqual(
      ["[1]", "[1]", "[1]", "[1]", "[]", "PLAIN"]
        .map((line) => `sealwire: the command: ${line}`)
        .toSorted()
    )
    const lines = box.start(["send", "--reply", "--lines", "--json", "--to", socket], {
      stdin: Buffer.from("a\nb\n\xff\n", "latin1")
    })
    const { code, stdout } = await lines.ended()
    expect([
      code,
      eventsOf(stdout).map(({ event, number, text, base64 }) => [event, number, text ?? base64])
    ]).toEqual([
      0,
      [
        ["reply-received", 1, "A"],
        ["reply-received", 2, "B"],
        ["reply-received", 3, "/w=="],
        ["messages-delivered", undefined, undefined]
      ]
    ])
  })

  it("prints replies byte for byte up to the limit; one byte more is refused after the earlier replies are printed", async ({
    box
  }) => {
    const server = await serve(box, "--inbox", `exec:read -r n; head -c "$n" /dev/zero`)
    const most = 1_048_576
    const { code, stdout } = await ask(box, `${most}\n`)
    expect([code, stdout.equals(Buffer.alloc(most))]).toEqual([0, true])
    expect(await ask(box, "3\n", `${most + 1}\n`, "4\n")).toEqual(
      ended(
        8,
        "\0\0\0\n",
        "sealwire: unix:./s.sock refused the message; messages handled before it: 1\n"
      )
    )
    expect(server.stderr).toContain(
      "message refused: the output of the command exceeds 1,048,576 bytes, the limit of a reply\n"
    )
    expect(eventsOf((await ask(box, "2\n", "--json")).stdout)[0]).toEqual({
      event: "reply-received",
      number: 1,
      bytes: 2,
      text: "\0\0"
    })
  })

  it("reflects the exit status of the command in its exit code", async ({ box }) => {
    await serve(box, "--inbox", "exec:read -r n; echo half; exit $n")
    expect(await ask(box, "0\n")).toEqual(ended(0, "half\n"))
    expect(await ask(box, "1\n")).toMatchObject({ code: 8, stdout: Buffer.alloc(0) })
    expect(await ask(box, "75\n", "--retry", "0")).toMatchObject({
      code: 5,
      stdout: Buffer.alloc(0)
    })
  })

  it.for([
    ["prints", []],
    ["stores messages", ["--inbox", "./inbox.db"]]
  ] as const)("is refused, and nothing handled, by a server that %s", async ([, args], { box }) => {
    const server = await serve(box, ...args)
    expect(await ask(box, "question")).toEqual(
      ended(
        8,
        "",
        "sealwire: unix:./s.sock refused the message (it gives no replies; send the message without requesting one); messages handled before it: 0\n"
      )
    )
    expect(server.stdout.length).toBe(0)
    if (args.length > 0) expect((await box.run(["inbox", "list"])).stdout.length).toBe(0)
  })

  it("requests again when the server is killed", async ({ box }) => {
    box.useProcesses("serve")
    const args = [
      "--inbox",
      "exec:echo begun >&2; until test -e go; do sleep 0.05; done; echo again"
    ]
    const first = await serve(box, ...args)
    const asking = box.start(["send", "--reply", "question\n", "--to", socket, "--retry", "30s"])
    await first.until("the command", (it) => it.stderr.includes("the command: begun"))
    await first.crash()
    box.write("go", "")
    await serve(box, ...args)
    const { code, stdout, stderr } = await asking.ended()
    expect([code, stdout.toString()]).toEqual([0, "again\n"])
    expect(stderr).toMatch(/^(sealwire: warning: .*; retrying in [\d.]+ s\n)+$/)
  })

  it("reports a lost reply as an error after printing the earlier replies", async ({ box }) => {
    const secret = new Secret(randomBytes(32))
    box.write("sealwire.key", KeyText.encode(SharedKey, secret))
    const receipts: ReadonlyArray<Receipt> = [
      { status: "reply", count: 1, text: Buffer.from("first") },
      { status: "reply lost", count: 2 },
      { status: "reply", count: 3, text: Buffer.from("third") }
    ]
    const keys = {
      serverName: "",
      application,
      suites,
      psks: [{ secret }],
      identities: [],
      authorize: () => "peer"
    }
    const serving = Effect.gen(function* () {
      const { listen } = yield* Transport
      yield* listen(unix(box.path("s.sock")), (connection) =>
        Effect.gen(function* () {
          const channel = yield* Channel.accept(connection, keys)
          yield* channel.read
          yield* channel.write(Buffer.concat(receipts.map(encodeReceipt)))
          yield* connection.draining
        }).pipe(Effect.ignore)
      )
      return yield* Effect.promise(() => ask(box, "one", "two", "three"))
    })
    expect(
      await Effect.runPromise(serving.pipe(Effect.scoped, Effect.provide(Transport.layerNet)))
    ).toEqual(
      ended(
        7,
        "first\n",
        "sealwire: unix:./s.sock handled message 2, but its reply is lost: the connection failed before it arrived, and the server no longer has it\n"
      )
    )
  })

  it("cannot be combined with --outbox", async ({ box }) => {
    expect(await ask(box, "question", "--outbox", "./outbox.db")).toEqual(
      ended(
        2,
        "",
        "sealwire: --reply cannot be combined with --outbox, which stores no replies; use one of them; see: sealwire send --help\n"
      )
    )
    expect(box.names).toEqual([])
  })
})

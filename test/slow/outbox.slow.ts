// An outbox over a long run: `send` is killed fifty times, and many messages take little memory.
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { expectDeliveredOnce } from "../cli/Producer.ts"
import { bin, eventsOf, it, type Box } from "../cli/Sealwire.ts"

const writeKey = (box: Box) =>
  box.write("sealwire.key", KeyText.encode(SharedKey, Secret.random(32)))

describe("an outbox", () => {
  it("loses and duplicates nothing over fifty kills of send and sixteen of the server", async ({
    box
  }) => {
    writeKey(box)
    await expectDeliveredOnce(box, 50)
  })

  it("delivers 400,000 messages with a heap of 48 MiB", async ({ box }) => {
    writeKey(box)
    const count = 400_000
    box.write("lines", Array.from({ length: count }, (_, line) => `${line}\n`).join(""))
    // exec: the limit applies to the heap of the command itself.
    const sending = (from: string, ...words: ReadonlyArray<string>) =>
      box.startOther("sh", [
        "-c",
        `exec "$@" < ${from}`,
        "sh",
        process.execPath,
        "--max-old-space-size=48",
        bin,
        "send",
        "--to",
        "unix:./s.sock",
        "--outbox",
        "./outbox.db",
        "--json",
        ...words
      ])
    expect((await sending("lines", "--lines", "--retry", "0").ended(200_000)).code).toBe(7)
    box.start(["serve", "--listen", "unix:./s.sock"])
    const { code, stdout } = await sending("/dev/null", "--retry", "1m").ended(200_000)
    expect([code, eventsOf(stdout).at(-1)]).toMatchObject([
      0,
      { event: "messages-delivered", messages: count }
    ])
  })
})

// The receipt of a message follows the flush of the inbox. The database writes in native code, so
// the order is read from the system calls.
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { suiteNamed } from "../../src/channel/Suite.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { tcp } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { bin, it } from "../cli/Sealwire.ts"

const hasStrace = spawnSync("strace", ["-V"]).status === 0

const watched = [
  "-D",
  "-f",
  "-y",
  "-e",
  "trace=read,write,writev,sendto,sendmsg,fsync,fdatasync",
  "-o",
  "trace"
]
const serving = ["serve", "--listen", "127.0.0.1:0", "--inbox", "./inbox.db"]

/**
 * The step of a line of strace: R a message was read, S the inbox was synced, W a receipt was
 * written.
 */
const steps: ReadonlyArray<readonly [step: string, line: RegExp]> = [
  ["R", /\bread\(\d+<(TCP|socket):.* = [1-9]/],
  ["S", /\b(fdatasync|fsync)\(\d+<[^>]*inbox\.db-wal>\)\s+= 0/],
  ["W", /\b(write|writev|sendto|sendmsg)\(\d+<(TCP|socket):.* = [1-9]/]
]

describe("a receipt", () => {
  it.skipIf(!hasStrace)("is written after fsync of its message (needs strace)", async ({ box }) => {
    const psk = new Secret(randomBytes(32))
    box.write("sealwire.key", KeyText.encode(SharedKey, psk))
    const server = box.startOther("strace", [
      // -D: the started process, which is stopped later, is the server.
      ...watched,
      process.execPath,
      bin,
      ...serving
    ])
    const port = Number(
      await server.until(
        "the listening line",
        ({ stderr }) => /listening on \S+:(\d+)/.exec(stderr)?.[1],
        60_000
      )
    )
    const messages = 20
    await Effect.gen(function* () {
      const keys = { suite: suiteNamed("NNpsk0"), serverName: "", psk }
      const client = yield* MessageClient.connect({
        address: tcp("127.0.0.1", port),
        keys
      })
      for (let count = 0; count < messages; count++) yield* client.send([Buffer.from(`${count}`)])
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise)
    server.kill("SIGTERM")
    await server.ended(20_000)

    const trace = box
      .read("trace")
      .toString()
      .split("\n")
      .flatMap((line) => steps.flatMap(([step, pattern]) => (pattern.test(line) ? [step] : [])))
      .join("")
    // Per message: read, sync, write. The handshake, READY and the first message come before.
    expect(trace).toMatch(new RegExp(`SW+(R+S+W+){${messages - 1}}`))
  })
})

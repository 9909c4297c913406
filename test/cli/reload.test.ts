// Edits authorized_peers while the built `serve` runs and clients have open sessions.
import { readFileSync, renameSync, unlinkSync, utimesSync, writeFileSync } from "node:fs"
import net from "node:net"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { generate, type KeyPair } from "../../src/keys/KeyPair.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { parse } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { eventsOf, it, type Box, type Running } from "./Sealwire.ts"

const lineOf = (pair: KeyPair, name: string, options = ""): string =>
  `${options === "" ? "" : `${options} `}${PublicKey.encode(pair.publicKey)} ${name}\n`

interface Fixture {
  readonly server: Running
  readonly file: string
  readonly events: (name: string) => ReadonlyArray<Readonly<Record<string, unknown>>>
  /** The event of that name at the index `before`; waits until it is logged. */
  readonly next: (name: string, before: number) => Promise<Readonly<Record<string, unknown>>>
  /** Sends a text in a new session and keeps it open; `ended` is the tag of the error that ends it. */
  readonly openSession: (pair: KeyPair) => Promise<{ readonly ended: Promise<string> }>
}

const start = async (box: Box, lines: string): Promise<Fixture> => {
  await box.run(["keygen", "identity", "-o", "./server.key"])
  const serverKey = PublicKey.decode(
    (await box.run(["pubkey", "--identity", "./server.key"])).stdout.toString().trim()
  )
  const file = box.path("peers")
  box.write("peers", lines)
  const from = ["--identity", "./server.key", "--authorized-peers", "./peers"]
  const server = box.start(["serve", "--listen", "127.0.0.1:0", "--json", ...from])
  const events: Fixture["events"] = (name) =>
    eventsOf(server.stdout).filter(({ event }) => event === name)
  const next: Fixture["next"] = (name, before) =>
    server.until(`${name} number ${before + 1}`, () => events(name)[before])
  const { address } = await next("server-listening", 0)
  const openSession: Fixture["openSession"] = async (pair) => {
    const before = events("message-received").length
    const ended = Effect.gen(function* () {
      const client = yield* MessageClient.connect({
        address: Either.getOrThrow(parse(String(address))),
        keys: { serverName: "", identity: pair, serverKey: serverKey as Uint8Array }
      })
      yield* client.send([Buffer.from("here")])
      // Sends nothing more; an empty write fails when the session has ended.
      for (;;) {
        const written = yield* Effect.either(
          Effect.zipRight(Effect.sleep(20), client.channel.write(new Uint8Array(0)))
        )
        if (written._tag === "Left") return written.left._tag
      }
    })
    const fiber = Effect.runFork(ended.pipe(Effect.scoped, Effect.provide(Transport.layerNet)))
    box.defer(() => Effect.runPromise(Fiber.interrupt(fiber)))
    await next("message-received", before)
    const outcome = Effect.map(
      Fiber.await(fiber),
      Exit.getOrElse(() => "stopped by the test")
    )
    return { ended: Effect.runPromise(outcome) }
  }
  return { server, file, events, next, openSession }
}

const alice = generate()
const bob = generate()

describe("authorized_peers of a running server", () => {
  it("revoked: ends the session of that client at once, and no other", async ({ box }) => {
    const both = lineOf(alice, "alice") + lineOf(bob, "bob")
    const { file, events, next, openSession } = await start(box, both)
    const [aliceSession, bobSession] = [await openSession(alice), await openSession(bob)]
    const revoked = await box.run(["peers", "revoke", "alice", "--authorized-peers", "./peers"])
    expect(revoked.code).toBe(0)
    // The stream is truncated; the server sends no reason.
    expect(await aliceSession.ended).toBe("StreamTruncated")
    expect(await next("session-failed", 0)).toMatchObject({
      peer: "alice",
      reason: "session of alice ended: its key is revoked (peers:1)"
    })
    expect(events("peers-reloaded")).toMatchObject([{ keys: 2, endedSessions: 1 }])
    writeFileSync(file, lineOf(bob, "bob"))
    await next("peers-reloaded", 1)
    expect(events("session-failed").length).toBe(1)
    // A client that is added to the list connects without a restart.
    writeFileSync(file, both)
    await next("peers-reloaded", 2)
    await openSession(alice)
    unlinkSync(file)
    expect(await next("peers-reload-failed", 0)).toMatchObject({ keys: 2 })
    writeFileSync(file, "")
    expect(await bobSession.ended).toBe("StreamTruncated")
  })

  it("with an error: keeps the previous list and logs the line; SIGHUP logs it again", async ({
    box
  }) => {
    box.useProcesses("serve")
    const { server, file, events, next, openSession } = await start(box, lineOf(alice, "alice"))
    const aliceSession = await openSession(alice)
    writeFileSync(file, `${lineOf(bob, "bob")}sealwire2 carol\n`)
    const reason =
      './peers:2:1: "sealwire2" is not a public key (sealwire1…); write: public-key name'
    expect(await next("peers-reload-failed", 0)).toMatchObject({
      event: "peers-reload-failed",
      level: "error",
      file: "./peers",
      reason,
      keys: 1
    })
    server.kill("SIGHUP")
    expect(await next("peers-reload-failed", 1)).toMatchObject({ reason })
    await openSession(alice)
    expect(events("session-failed")).toEqual([])
    // Editors save by renaming a new file over the old one.
    writeFileSync(`${file}.new`, lineOf(alice, "alina"), { mode: 0o600 })
    renameSync(`${file}.new`, file)
    await next("peers-reloaded", 0)
    server.kill("SIGHUP")
    await next("peers-reloaded", 1)
    await openSession(alice)
    expect(events("message-received").at(-1)).toMatchObject({ peer: "alina", text: "here" })
    server.kill("SIGTERM")
    expect(await aliceSession.ended).not.toBe("")
    expect(readFileSync(file, "utf8")).toContain("alina")
  })

  it("ends a session at expiry-time", async ({ box }) => {
    const { file, next, openSession } = await start(box, lineOf(alice, "alice"))
    const aliceSession = await openSession(alice)
    const soon = new Date(Math.ceil(Date.now() / 1000) * 1000 + 2000)
    writeFileSync(
      file,
      lineOf(alice, "alice", `expiry-time="${soon.toISOString().replace(".000", "")}"`)
    )
    expect(await aliceSession.ended).toBe("StreamTruncated")
    expect(Date.now()).toBeGreaterThanOrEqual(soon.getTime())
    expect(String((await next("session-failed", 0)).reason)).toMatch(
      /^session of alice ended: its key has expired: /
    )
  })

  it("handles repeated SIGHUPs sequentially", async ({ box }) => {
    box.useProcesses("serve")
    const { server, next, openSession } = await start(box, lineOf(alice, "alice"))
    const other = await box.listen(["serve", "--listen", "127.0.0.1:0"])
    for (let time = 0; time < 200; time++) {
      for (const { pid } of [server, other]) process.kill(pid, "SIGHUP")
      await new Promise((resume) => setTimeout(resume, 1))
    }
    await next("peers-reloaded", 1)
    await openSession(alice)
    expect([server.alive, other.alive]).toEqual([true, true])
  })

  it("revoked: takes effect although the file keeps changing", async ({ box }) => {
    box.useProcesses("serve")
    const { server, file, openSession } = await start(
      box,
      lineOf(alice, "alice") + lineOf(bob, "bob")
    )
    const [aliceSession, bobSession] = [await openSession(alice), await openSession(bob)]
    server.stallReader()
    writeFileSync(file, lineOf(bob, "bob"))
    const timer = setInterval(() => utimesSync(file, new Date(), new Date()), 100)
    try {
      expect(await aliceSession.ended).toBe("StreamTruncated")
      writeFileSync(file, "")
      expect(await bobSession.ended).toBe("StreamTruncated")
    } finally {
      clearInterval(timer)
    }
  })

  it("ends a session whose rule was removed", async ({ box }) => {
    const { file, next, openSession } = await start(box, lineOf(alice, "alice"))
    const aliceSession = await openSession(alice)
    writeFileSync(file, lineOf(alice, "alice", 'services="file"'))
    expect(await aliceSession.ended).toBe("StreamTruncated")
    expect(await next("session-failed", 0)).toMatchObject({
      reason:
        "session of alice ended: its rules allow only the services file, not message (peers:1)"
    })
  })

  it("an unauthenticated client does not delay shutdown", async ({ box }) => {
    const { server, next } = await start(box, lineOf(alice, "alice"))
    const port = Number(
      String((await next("server-listening", 0)).address)
        .split(":")
        .at(-1)
    )
    const socket = net.connect(port, "127.0.0.1").on("error", () => {})
    box.defer(() => socket.destroy())
    socket.write("SLWR")
    await new Promise((resume) => setTimeout(resume, 100))
    server.kill("SIGTERM")
    expect(await server.exited(9_000)).toBe(0)
  })

  it("SIGHUP does not stop a server without a peers file", async ({ box }) => {
    box.useProcesses("serve")
    const server = await box.listen(["serve", "--listen", "127.0.0.1:0"])
    server.kill("SIGHUP")
    await new Promise((resume) => setTimeout(resume, 300))
    expect(server.alive).toBe(true)
  })
})

describe("rules", () => {
  const sendMessages = async (box: Box, options: string, texts: ReadonlyArray<string>) => {
    expect((await box.run(["keygen", "identity"])).code).toBe(0)
    const key = (await box.run(["pubkey"])).stdout.toString().trim()
    const { next, events } = await start(box, `${options} ${key} alice\n`)
    const { address } = await next("server-listening", 0)
    const server = (await box.run(["pubkey", "--identity", "./server.key"])).stdout
      .toString()
      .trim()
    const result = await box.run(["send", "--to", String(address), "--peer", server, ...texts])
    return {
      code: result.code,
      errorLine: result.stderr.trimEnd().replaceAll(String(address), "SERVER"),
      events
    }
  }

  it("a limit of messages: handles the first ones and refuses the rest", async ({ box }) => {
    const { code, errorLine, events } = await sendMessages(box, 'messages-per-minute="2"', [
      "one",
      "two",
      "three"
    ])
    expect([code, errorLine]).toEqual([
      8,
      "sealwire: SERVER refused the message (a limit of this key is reached, per minute or of memory; try again later); messages handled before it: 2"
    ])
    expect(events("message-received").map(({ text }) => text)).toEqual(["one", "two"])
  })

  it("service not allowed: the peer gets a refusal, the log the reason", async ({ box }) => {
    const { code, errorLine, events } = await sendMessages(box, 'services="tunnel"', ["one"])
    expect([code, errorLine]).toEqual([
      8,
      "sealwire: SERVER refused the request: its rules for this key do not allow it, or not now; ask its administrator"
    ])
    expect(events("session-failed")).toMatchObject([
      { reason: "alice refused: its rules allow only the services tunnel, not message (peers:1)" }
    ])
    expect(events("message-received")).toEqual([])
  })

  it("network not allowed: the handshake is refused", async ({ box }) => {
    const { code, errorLine, events } = await sendMessages(box, 'from="10.0.0.0/8"', ["one"])
    expect([code, errorLine.includes("proved its own key and refused ours")]).toEqual([4, true])
    expect(events("connection-refused")[0]).toMatchObject({
      reason: "its rules allow connections only from 10.0.0.0/8 (peers:1)"
    })
  })
})

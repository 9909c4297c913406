// authorized_peers while `serve` runs: the built command, its file edited under it, and a client whose session is open.
import { readFileSync, renameSync, unlinkSync, utimesSync, writeFileSync } from "node:fs"
import net from "node:net"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { suites, type Suite } from "../../src/channel/Suite.ts"
import { generate, type KeyPair } from "../../src/keys/KeyPair.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { parse } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { eventsOf, it, type Box, type Running } from "./Sealwire.ts"

const ik = suites.find(({ name }) => name === "IK") as Suite

const lineOf = (pair: KeyPair, name: string, options = ""): string =>
  `${options === "" ? "" : `${options} `}${PublicKey.encode(pair.publicKey)} ${name}\n`

interface World {
  readonly server: Running
  readonly file: string
  readonly events: (name: string) => ReadonlyArray<Readonly<Record<string, unknown>>>
  /** The next event of that name, beyond those that were. */
  readonly next: (name: string, before: number) => Promise<Readonly<Record<string, unknown>>>
  /** Sends a text on a session of its own, and keeps that session; how it ends. */
  readonly stay: (pair: KeyPair) => Promise<{ readonly ended: Promise<string> }>
}

const world = async (box: Box, lines: string): Promise<World> => {
  await box.run(["keygen", "--identity", "--key", "./server.key"])
  const serverKey = PublicKey.decode(
    (await box.run(["pubkey", "--identity", "./server.key"])).stdout.toString().trim()
  )
  const file = box.path("peers")
  box.write("peers", lines)
  const from = ["--identity", "./server.key", "--authorized-peers", "./peers"]
  const server = box.start(["serve", "--listen", "127.0.0.1:0", "--json", ...from])
  const events: World["events"] = (name) =>
    eventsOf(server.stdout).filter(({ event }) => event === name)
  const next: World["next"] = (name, before) =>
    server.until(`${name} number ${before + 1}`, () => events(name)[before])
  const { address } = await next("server-listening", 0)
  const stay: World["stay"] = async (pair) => {
    const before = events("message-received").length
    const ended = Effect.gen(function* () {
      const client = yield* MessageClient.connect({
        address: Either.getOrThrow(parse(String(address))),
        keys: { suite: ik, serverName: "", identity: pair, serverKey: serverKey as Uint8Array },
        checkServer: () => Effect.void
      })
      yield* client.send([Buffer.from("here")])
      // Nothing is said any more; a write of nothing tells whether the session stands.
      for (;;) {
        const stands = yield* Effect.either(
          Effect.zipRight(Effect.sleep(20), client.channel.write(new Uint8Array(0)))
        )
        if (stands._tag === "Left") return stands.left._tag
      }
    })
    const fiber = Effect.runFork(ended.pipe(Effect.scoped, Effect.provide(Transport.layerNet)))
    box.defer(() => Effect.runPromise(Fiber.interrupt(fiber)))
    await next("message-received", before)
    const how = Effect.map(
      Fiber.await(fiber),
      Exit.getOrElse(() => "stopped by the test")
    )
    return { ended: Effect.runPromise(how) }
  }
  return { server, file, events, next, stay }
}

const alice = generate()
const bob = generate()

describe.concurrent("authorized_peers of a running server", () => {
  it("revoked: the session ends at once, others go on, and no handshake is let in any more", async ({
    box
  }) => {
    const both = lineOf(alice, "alice") + lineOf(bob, "bob")
    const { file, events, next, stay } = await world(box, both)
    const [hers, his] = [await stay(alice), await stay(bob)]
    const revoked = await box.run(["peers", "revoke", "alice", "--file", "./peers"])
    expect(revoked.code).toBe(0)
    // What came is a cut, and no word.
    expect(await hers.ended).toBe("StreamTruncated")
    expect(await next("session-failed", 0)).toMatchObject({
      peer: "alice",
      reason: "session of alice ended: its key is revoked (peers:1)"
    })
    expect(events("peers-reloaded")).toMatchObject([{ keys: 2, endedSessions: 1 }])
    writeFileSync(file, lineOf(bob, "bob"))
    await next("peers-reloaded", 1)
    expect(events("session-failed").length).toBe(1)
    // One that is let in meanwhile comes in without a restart.
    writeFileSync(file, both)
    await next("peers-reloaded", 2)
    await stay(alice)
    unlinkSync(file)
    expect(await next("peers-reload-failed", 0)).toMatchObject({ keys: 2 })
    writeFileSync(file, "")
    expect(await his.ended).toBe("StreamTruncated")
  })

  it("with a fault: the last good list stays in force, and the fault is told with its line; SIGHUP tells it again", async ({
    box
  }) => {
    const { server, file, events, next, stay } = await world(box, lineOf(alice, "alice"))
    const hers = await stay(alice)
    writeFileSync(file, `${lineOf(bob, "bob")}sealwire2 carol\n`)
    const fault =
      './peers:2:1: "sealwire2" is not a public key (sealwire1…); write: public-key name'
    expect(await next("peers-reload-failed", 0)).toMatchObject({
      event: "peers-reload-failed",
      level: "error",
      file: "./peers",
      reason: fault,
      keys: 1
    })
    server.kill("SIGHUP")
    expect(await next("peers-reload-failed", 1)).toMatchObject({ reason: fault })
    await stay(alice)
    expect(events("session-failed")).toEqual([])
    // As an editor saves: a new file in the place of the old one.
    writeFileSync(`${file}.new`, lineOf(alice, "alina"), { mode: 0o600 })
    renameSync(`${file}.new`, file)
    await next("peers-reloaded", 0)
    server.kill("SIGHUP")
    await next("peers-reloaded", 1)
    await stay(alice)
    expect(events("message-received").at(-1)).toMatchObject({ peer: "alina", text: "here" })
    server.kill("SIGTERM")
    expect(await hers.ended).not.toBe("")
    expect(readFileSync(file, "utf8")).toContain("alina")
  })

  it("expiry-time ends the session when its moment comes", async ({ box }) => {
    const { file, next, stay } = await world(box, lineOf(alice, "alice"))
    const hers = await stay(alice)
    const soon = new Date(Math.ceil(Date.now() / 1000) * 1000 + 2000)
    writeFileSync(
      file,
      lineOf(alice, "alice", `expiry-time="${soon.toISOString().replace(".000", "")}"`)
    )
    expect(await hers.ended).toBe("StreamTruncated")
    expect(Date.now()).toBeGreaterThanOrEqual(soon.getTime())
    expect(String((await next("session-failed", 0)).reason)).toMatch(
      /^session of alice ended: its key has expired: /
    )
  })

  it("a storm of SIGHUPs is one reload after another, with peers or without, and ends nothing", async ({
    box
  }) => {
    const { server, next, stay } = await world(box, lineOf(alice, "alice"))
    const other = box.start(["serve", "--listen", "127.0.0.1:0"])
    await other.until("the listening line", ({ stderr }) => stderr.includes("listening on"))
    for (let time = 0; time < 200; time++) {
      for (const { pid } of [server, other]) process.kill(pid, "SIGHUP")
      await new Promise((resume) => setTimeout(resume, 1))
    }
    await next("peers-reloaded", 1)
    await stay(alice)
    expect([server.alive, other.alive]).toEqual([true, true])
  })

  it("revoked in a file that is touched all the time: out all the same, and no word that waits to be read keeps anybody in", async ({
    box
  }) => {
    const { server, file, stay } = await world(box, lineOf(alice, "alice") + lineOf(bob, "bob"))
    const [hers, his] = [await stay(alice), await stay(bob)]
    server.stallReader()
    writeFileSync(file, lineOf(bob, "bob"))
    const touching = setInterval(() => utimesSync(file, new Date(), new Date()), 100)
    try {
      expect(await hers.ended).toBe("StreamTruncated")
      writeFileSync(file, "")
      expect(await his.ended).toBe("StreamTruncated")
    } finally {
      clearInterval(touching)
    }
  })

  it("a rule that is taken away ends the session that stood by it", async ({ box }) => {
    const { file, next, stay } = await world(box, lineOf(alice, "alice"))
    const hers = await stay(alice)
    writeFileSync(file, lineOf(alice, "alice", 'services="file"'))
    expect(await hers.ended).toBe("StreamTruncated")
    expect(await next("session-failed", 0)).toMatchObject({
      reason:
        "session of alice ended: its rules allow only the services file, not message (peers:1)"
    })
  })

  it("a stranger who has said a little does not keep a server that stops", async ({ box }) => {
    const { server, next } = await world(box, lineOf(alice, "alice"))
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
    expect(await server.exited(3000)).toBe(143)
  })

  it("SIGHUP does not end a server that has no peers", async ({ box }) => {
    const server = box.start(["serve", "--listen", "127.0.0.1:0"])
    await server.until("the listening line", ({ stderr }) => stderr.includes("listening on"))
    server.kill("SIGHUP")
    await new Promise((resume) => setTimeout(resume, 300))
    expect(server.alive).toBe(true)
  })
})

describe.concurrent("rules", () => {
  const sent = async (box: Box, options: string, texts: ReadonlyArray<string>) => {
    expect((await box.run(["keygen", "--identity"])).code).toBe(0)
    const key = (await box.run(["pubkey"])).stdout.toString().trim()
    const { next, events } = await world(box, `${options} ${key} alice\n`)
    const { address } = await next("server-listening", 0)
    const server = (await box.run(["pubkey", "--identity", "./server.key"])).stdout
      .toString()
      .trim()
    const result = await box.run(["send", "--to", String(address), "--peer", server, ...texts])
    return {
      code: result.code,
      said: result.stderr.trimEnd().replaceAll(String(address), "SERVER"),
      events
    }
  }

  it("a quota of messages: what is above it is refused, and what is below it was handled", async ({
    box
  }) => {
    const { code, said, events } = await sent(box, 'messages-per-minute="2"', [
      "one",
      "two",
      "three"
    ])
    expect([code, said]).toEqual([
      8,
      "sealwire: SERVER refused the message (the limit per minute of our key is reached; try again later); messages handled before it: 2"
    ])
    expect(events("message-received").map(({ text }) => text)).toEqual(["one", "two"])
  })

  it("a service that is not its own: the peer is told that it is refused, the log says why", async ({
    box
  }) => {
    const { code, said, events } = await sent(box, 'services="tunnel"', ["one"])
    expect([code, said]).toEqual([
      8,
      "sealwire: SERVER refused the request: its rules for this key do not allow it, or not now; ask its administrator"
    ])
    expect(events("session-failed")).toMatchObject([
      { reason: "alice refused: its rules allow only the services tunnel, not message (peers:1)" }
    ])
    expect(events("message-received")).toEqual([])
  })

  it("another network: it is a stranger", async ({ box }) => {
    const { code, said, events } = await sent(box, 'from="10.0.0.0/8"', ["one"])
    expect([code, said.includes("did not complete the handshake")]).toEqual([4, true])
    expect(events("connection-refused")[0]).toMatchObject({
      reason: "its rules allow connections only from 10.0.0.0/8 (peers:1)"
    })
  })
})

// Key rotation of a running server with the built command, real processes and real sockets.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import * as Either from "effect/Either"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { Identity, SharedKey, type KeyKind } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as UtcDate from "../../src/keys/UtcDate.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { eventsOf, it, linesOf, type Box, type Running } from "./Sealwire.ts"

interface Serving extends Running {
  readonly address: string
}

const serve = async (
  box: Box,
  listen: string,
  ...args: ReadonlyArray<string>
): Promise<Serving> => {
  return box.listen(["serve", "--listen", listen, "--json", ...args])
}

const stop = async (server: Serving): Promise<void> => {
  server.kill("SIGTERM")
  expect((await server.ended()).code).toBe(0)
}

const send = (box: Box, { address }: Serving, ...args: ReadonlyArray<string>) =>
  box.run(["send", "--to", address, ...args])
const rotate = (box: Box, ...args: ReadonlyArray<string>) =>
  box.run(["keys", "rotate", "--identity", "./server.key", ...args])

const messagesOf = (server: Running) =>
  eventsOf(server.stdout).filter(({ event }) => event === "message-received")
const refusalsOf = (server: Running) =>
  eventsOf(server.stdout).filter(({ event }) => event === "connection-refused")

/** Writes a new key of that kind at that path, and returns the key. */
const keyAt = <Key>(box: Box, name: string, kind: KeyKind<Key>): Key => {
  const secret = Secret.random(kind.length)
  mkdirSync(path.dirname(box.path(name)), { recursive: true, mode: 0o700 })
  box.write(name, KeyText.encode(kind, secret))
  return kind.make(secret)
}
const identityAt = (box: Box, name: string): string =>
  PublicKey.encode(keyAt(box, name, Identity).publicKey)

const publicKeyAt = (box: Box, name: string): string => {
  const secret = Either.getOrThrow(KeyText.decode(Identity, box.read(name)))
  return PublicKey.encode(Identity.make(secret).publicKey)
}

const own = ".config/sealwire/identity.key"
const knownFile = ".config/sealwire/known_peers"
const lines = (box: Box) => linesOf(readFileSync(box.path(knownFile), "utf8"))

const peers = ["--authorized-peers", "./peers"]

/** Creates the user's identity, lists it as alice in ./peers, and creates ./server.key. */
const setUp = (box: Box) => {
  const alice = identityAt(box, own)
  box.write("peers", `${alice} alice\n`)
  return { alice, old: identityAt(box, "server.key") }
}

describe("a server's identity", () => {
  it("is rotated while a client keeps sending, without reconfiguring the client", async ({
    box
  }) => {
    const { old } = setUp(box)
    const current = ["--identity", "./server.key", ...peers]
    let server = await serve(box, "127.0.0.1:0", ...current)
    const { address } = server
    expect((await send(box, server, "first", "--accept-new")).code).toBe(0)
    const [pin = ""] = lines(box)
    expect(pin).toBe(`${address} ${old} ${address.replace(":", "-")}`)
    await stop(server)

    expect((await rotate(box, "--begin")).code).toBe(0)
    const next = publicKeyAt(box, "server.key.next")
    server = await serve(box, address, ...current, "--next-identity", "./server.key.next")
    // The known_peers file of a client that does not connect during the rotation.
    const outdated = readFileSync(box.path(knownFile))
    const second = await send(box, server, "second")
    expect([second.code, linesOf(second.stderr).length]).toEqual([0, 1])
    expect(second.stderr).toMatch(
      /^sealwire: \S+ \(\S+\) announced its keys: added SHA256:\S+ \(\S+known_peers\)\n$/
    )
    const learned = `announced ${pin.replace(old, next)}`
    expect(lines(box)).toEqual([pin, learned])
    expect(await send(box, server, "third")).toMatchObject({ code: 0, stderr: "" })
    expect(messagesOf(server)).toMatchObject([{ peer: "alice", suite: "IK" }, { suite: "IK" }])
    await stop(server)

    expect((await rotate(box, "--switch", "--retire-at", "2099-01-01")).code).toBe(0)
    expect(publicKeyAt(box, "server.key")).toBe(next)
    server = await serve(
      box,
      address,
      ...current,
      "--retiring-identity",
      "./server.key.retiring",
      "--retire-at",
      "2099-01-01"
    )
    const fourth = await send(box, server, "fourth", "--json")
    expect(eventsOf(fourth.stdout)).toMatchObject([
      {
        event: "server-keys-learned",
        address,
        added: [],
        retiring: [{ publicKey: old, retiresAt: "2099-01-01T00:00:00.000Z" }]
      },
      { event: "messages-delivered", suite: "IK" }
    ])
    expect(lines(box)).toEqual([`retiring="2099-01-01" ${pin}`, learned])
    await stop(server)

    expect((await rotate(box, "--finish")).code).toBe(0)
    server = await serve(box, address, ...current)
    // The client tries the new key first, so no handshake is refused. The old key is not announced
    // any longer, and retires before its date.
    const fifth = await send(box, server, "fifth")
    expect(fifth.stderr).toMatch(/announced its keys: retired SHA256:\S+, which is not among them/)
    expect(refusalsOf(server)).toEqual([])
    // A client with both keys and no date tries one after the other.
    writeFileSync(box.path(knownFile), `${pin}\n${pin.replace(old, next)}\n`)
    expect((await send(box, server, "sixth")).code).toBe(0)
    expect(refusalsOf(server).length).toBe(1)
    expect(await send(box, server, "seventh")).toMatchObject({ code: 0, stderr: "" })
    expect(messagesOf(server).map(({ text }) => text)).toEqual(["fifth", "sixth", "seventh"])
    expect(lines(box)[0]).toMatch(/^retiring="20\d\d-\d\d-\d\dT/)
    // A client with only the old key stops; its error shows both keys.
    writeFileSync(box.path(knownFile), outdated)
    const late = await send(box, server, "late")
    expect([late.code, late.stderr.includes("has changed: expected SHA256:")]).toEqual([4, true])
  })

  it("a key that a thief has announced is retired by the next session with the true server", async ({
    box
  }) => {
    const { old } = setUp(box)
    identityAt(box, "thief.key")
    identityAt(box, "new.key")
    box.write(knownFile, `127.0.0.1:0 ${old} bank\n`)
    // The thief has the current key.
    const thief = await serve(
      box,
      "127.0.0.1:0",
      "--identity",
      "./server.key",
      "--next-identity",
      "./thief.key",
      ...peers
    )
    const { address } = thief
    const pin = `${address} ${old} bank`
    box.write(knownFile, `${pin}\n`)
    expect((await send(box, thief, "to the thief")).code).toBe(0)
    const theirs = `announced ${address} ${publicKeyAt(box, "thief.key")} bank`
    expect(lines(box)).toEqual([pin, theirs])
    await stop(thief)

    // The owner replaces the key; without a rotation a session would retire the thief's key too.
    const owner = await serve(
      box,
      address,
      "--identity",
      "./new.key",
      "--retiring-identity",
      "./server.key",
      "--retire-at",
      "2099-01-01",
      ...peers
    )
    expect((await send(box, owner, "to the owner")).code).toBe(0)
    expect(lines(box)).toEqual([
      `retiring="2099-01-01" ${pin}`,
      expect.stringMatching(new RegExp(`^retiring="[^"]+",${theirs}$`)),
      `announced ${address} ${publicKeyAt(box, "new.key")} bank`
    ])
    await stop(owner)

    const again = await serve(box, address, "--identity", "./thief.key", ...peers)
    const refused = await send(box, again, "my secret")
    expect([refused.code, messagesOf(again)]).toEqual([4, []])
  })

  it("warns when a server under a retiring key leaves out a key that a thief has announced", async ({
    box
  }) => {
    const { old } = setUp(box)
    identityAt(box, "thief.key")
    const current = ["--identity", "./server.key", ...peers]
    const first = await serve(box, "127.0.0.1:0", ...current)
    const { address } = first
    await stop(first)
    const pin = `${address} ${old} bank`
    box.write(knownFile, `${pin}\n`)
    // The thief has the current key, and lets it retire.
    const thief = await serve(
      box,
      address,
      "--identity",
      "./thief.key",
      "--retiring-identity",
      "./server.key",
      "--retire-at",
      "2099-01-01",
      ...peers
    )
    expect((await send(box, thief, "to the thief")).code).toBe(0)
    await stop(thief)
    const theirs = publicKeyAt(box, "thief.key")
    expect(lines(box)).toEqual([
      `retiring="2099-01-01" ${pin}`,
      `announced ${address} ${theirs} bank`
    ])
    const owner = await serve(box, address, ...current)
    const warned = await send(box, owner, "to the owner")
    expect(warned.code).toBe(0)
    expect(linesOf(warned.stderr)).toEqual([
      expect.stringMatching(
        /^sealwire: warning: bank \(\S+\) showed a key that retires, and announced its keys without SHA256:\S+, valid in \S+known_peers: a key of the server may be stolen\./
      )
    ])
  })

  it("a unit that still names the next identity after the switch is told what to change", async ({
    box
  }) => {
    setUp(box)
    expect((await rotate(box, "--begin")).code).toBe(0)
    expect((await rotate(box, "--switch")).code).toBe(0)
    const unit = ["serve", "--listen", "127.0.0.1:0", "--identity", "./server.key", ...peers]
    const month = new Date(Date.now() + 31 * 24 * 60 * 60 * 1000).toISOString().slice(0, 10)
    const replacement = `--retiring-identity ./server.key.retiring --retire-at ${month}`
    const stale = await box.run([...unit, "--next-identity", "./server.key.next"])
    expect(stale).toMatchObject({
      code: 2,
      stderr: `sealwire: ./server.key.next not found: "keys rotate --switch" has made it the current identity; replace --next-identity by ${replacement}\n`
    })
    // A server that leaves out the old key refuses every client that knows no other.
    identityAt(box, "server.key.next")
    const server = box.start([...unit, "--next-identity", "./server.key.next"])
    await server.until("the warning", ({ stderr }) =>
      stderr.includes(
        `./server.key.retiring is not used, so that clients which know only that key are refused; add ${replacement}`
      )
    )
  })

  it("a retiring key is accepted until its date; --peer KEY does not write known_peers", async ({
    box
  }) => {
    const { old } = setUp(box)
    identityAt(box, "new.key")
    const servingUntil = (retires: number) => {
      const at = ["--retiring-identity", "./server.key", "--retire-at", UtcDate.format(retires)]
      return serve(box, "127.0.0.1:0", "--identity", "./new.key", ...at, ...peers)
    }
    // On a busy machine the first message may take longer than a short period.
    const startWithin = async (
      seconds: number
    ): Promise<{
      readonly server: Awaited<ReturnType<typeof serve>>
      readonly before: Awaited<ReturnType<typeof send>>
      readonly retires: number
    }> => {
      const retires = Math.ceil(Date.now() / 1000 + seconds) * 1000
      const server = await servingUntil(retires)
      const before = await send(box, server, "before", "--peer", old)
      if (Date.now() < retires || seconds > 30) return { server, before, retires }
      await stop(server)
      return startWithin(4 * seconds)
    }
    const { server, before, retires } = await startWithin(4)
    expect(eventsOf(server.stdout)[0]).toMatchObject({
      event: "server-keys-announced",
      keys: [{}, { publicKey: old }]
    })
    expect(before.code).toBe(0)
    expect(existsSync(box.path(knownFile))).toBe(false)
    await new Promise((done) => setTimeout(done, Math.max(0, retires - Date.now()) + 50))
    const after = await send(box, server, "after", "--peer", old)
    expect([after.code, after.stderr.includes("has changed")]).toEqual([4, true])
    expect(messagesOf(server).map(({ text }) => text)).toEqual(["before"])
    await stop(server)
    const again = await servingUntil(retires)
    expect(again.stderr).toMatch(
      /"warning","message":"\.\/server\.key retired on \S+ and is ignored/
    )
  })

  it("reports that the server still uses a retired key", async ({ box }) => {
    const { old } = setUp(box)
    const server = await serve(box, "127.0.0.1:0", "--identity", "./server.key", ...peers)
    identityAt(box, "new.key")
    const next = publicKeyAt(box, "new.key")
    box.write(
      knownFile,
      `retiring="2020-01-01" ${server.address} ${old} mail\n${server.address} ${next} mail\n`
    )
    const result = await send(box, server)
    expect(result.code).toBe(4)
    expect(result.stderr).toMatch(/is retired 2020-01-01 \(\S+known_peers:1\)/)
  })
})

describe("an address in another spelling", () => {
  it("finds the pin, so that no second key is pinned beside it", async ({ box }) => {
    setUp(box)
    const server = await serve(box, "127.0.0.1:0", "--identity", "./server.key", ...peers)
    const port = server.address.replace(/^.*:/, "")
    const sendTo = (host: string) =>
      box.run(["send", "--to", `${host}:${port}`, "--accept-new", "x"])
    expect((await sendTo("LOCALHOST")).code).toBe(0)
    expect(lines(box)).toEqual([
      expect.stringMatching(`^localhost:${port} sealwire1\\S+ localhost-${port}$`)
    ])
    await stop(server)

    identityAt(box, "impostor.key")
    const impostor = await serve(box, `127.0.0.1:${port}`, "--identity", "./impostor.key", ...peers)
    for (const host of ["localhost", "LOCALHOST", "Localhost."]) {
      const refused = await sendTo(host)
      expect([host, refused.code, refused.stderr.includes("has changed")]).toEqual([host, 4, true])
    }
    expect(lines(box).length).toBe(1)
    expect(messagesOf(impostor)).toEqual([])
  })
})

describe("several shared keys", () => {
  it("each shared key names its client; another key is refused", async ({ box }) => {
    for (const name of ["alice", "bob", "eve"]) keyAt(box, `${name}.key`, SharedKey)
    const server = await serve(
      box,
      "127.0.0.1:0",
      "--key",
      "alice=./alice.key",
      "--key=bob=./bob.key"
    )
    for (const [name, code] of Object.entries({ alice: 0, bob: 0, eve: 4 }))
      expect((await send(box, server, name, "--key", `./${name}.key`)).code).toBe(code)
    expect(messagesOf(server).map(({ text, peer }) => [text, peer])).toEqual([
      ["alice", "alice"],
      ["bob", "bob"]
    ])
  })

  const keys = (...values: ReadonlyArray<string>) => values.flatMap((value) => ["--key", value])
  const nine = Array.from({ length: 9 }, (_, index) => `k${index}=./k${index}.key`)
  it.for([
    ["nine keys", keys(...nine), "--key: too many shared keys: 9 (limit: 8)"],
    ["one name twice", keys("a=./1.key", "a=./2.key"), "--key: duplicate shared key name: a"],
    [
      "a second without a name",
      keys("./1.key", "./2.key"),
      "--key: only the first of several shared keys may omit its name; use NAME=KEY"
    ],
    ["a name without a key", keys("a="), "--key: a=: missing key"],
    ["one key twice", keys("./1.key", "a=./1.key"), "./1.key and ./1.key hold the same shared key"],
    [
      "a retiring identity without a date",
      ["--identity", "./i", "--retiring-identity", "./n"],
      "--retiring-identity and --retire-at must be used together"
    ],
    ["an invalid date", ["--retire-at", "tomorrow"], "--retire-at: a date is 2027-01-01"]
  ] as const)("%s is refused", async ([, args, message], { box }) => {
    const result = await box.run(["serve", "--listen", "127.0.0.1:0", ...args])
    expect([result.code, linesOf(result.stderr).at(-1)?.includes(message)]).toEqual([2, true])
  })

  it("a next identity needs the current one, by default your own", async ({ box }) => {
    const result = await box.run(["serve", "--next-identity", "./n.key"])
    expect([result.code, result.stderr.includes("no identity at ")]).toEqual([3, true])
    expect(result.stderr).toContain("identity.key")
  })

  it("one identity in two options is refused", async ({ box }) => {
    identityAt(box, "i.key")
    const result = await box.run([
      "serve",
      "--identity",
      "./i.key",
      "--next-identity",
      "file:./i.key"
    ])
    expect([result.code, result.stderr]).toEqual([
      2,
      "sealwire: ./i.key and file:./i.key hold the same identity\n"
    ])
  })

  it("a rule selects one; an unknown name refuses all and logs a warning", async ({ box }) => {
    const { alice, old } = setUp(box)
    for (const name of ["first", "backup"]) keyAt(box, `${name}.key`, SharedKey)
    box.write("peers", `shared-key="backup" ${alice} alice\n`)
    const server = await serve(
      box,
      "127.0.0.1:0",
      "--identity",
      "./server.key",
      "--key",
      "./first.key",
      "--key",
      "backup=./backup.key",
      ...peers
    )
    const sendWith = (name: string) =>
      send(box, server, name, "--peer", old, "--key", `./${name}.key`)
    expect((await sendWith("backup")).code).toBe(0)
    const wrong = await sendWith("first")
    expect([
      wrong.code,
      wrong.stderr.includes("probable causes: it has another shared key; ")
    ]).toEqual([4, true])
    expect(messagesOf(server)).toMatchObject([{ text: "backup", peer: "alice", suite: "IKpsk2" }])

    box.write("peers", `shared-key="gone" ${alice} alice\n`)
    const unknown = await server.until("the warning", (it) =>
      eventsOf(it.stdout).find(({ event }) => event === "shared-key-unknown")
    )
    expect(unknown).toMatchObject({
      file: "./peers",
      line: 1,
      name: "alice",
      sharedKey: "gone",
      sharedKeys: ["backup"]
    })
    expect((await sendWith("backup")).code).toBe(4)
    const refused = () =>
      refusalsOf(server).some(
        ({ reason }) => reason === "it needs the shared key gone, which this server does not have"
      )
    await server.until("the refusal", refused)
    await stop(server)

    const without = box.start([
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--identity",
      "./server.key",
      ...peers
    ])
    const line = await without.until(
      "the warning",
      ({ stderr }) => /error: (.*)\n/.exec(stderr)?.[1]
    )
    expect(line).toBe(
      './peers:1: alice is refused: the line requires the shared key "gone", and this server has no named shared key; load it with --key gone=KEY'
    )
  })
})

describe("send without --key, --peer and --identity", () => {
  it("prefers the pin to a shared key", async ({ box }) => {
    const { old } = setUp(box)
    keyAt(box, "sealwire.key", SharedKey)
    const server = await serve(box, "127.0.0.1:0", "--identity", "./server.key", ...peers)
    box.write(knownFile, `${server.address} ${old} mail\n`)
    const result = await send(box, server, "--log-level", "debug")
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/is pinned in \S+known_peers:1, so \.\/sealwire\.key is not used/)
    expect(messagesOf(server)).toMatchObject([{ suite: "IK", peer: "alice" }])

    rmSync(box.path(own))
    const withoutIdentity = await send(box, server)
    expect([withoutIdentity.code, linesOf(withoutIdentity.stderr).length]).toEqual([3, 1])
    for (const hint of ["known_peers:1", "sealwire keygen identity", "--key ./sealwire.key"])
      expect(withoutIdentity.stderr).toContain(hint)

    // --key selects the shared key, which this server does not accept.
    const withKey = await send(box, server, "--key", "./sealwire.key")
    expect([
      withKey.code,
      withKey.stderr.includes("it requires an identity (--identity) instead of a shared key")
    ]).toEqual([4, true])
  })
})

describe("keys rotate", () => {
  const lastLine = async (box: Box, ...args: ReadonlyArray<string>) => {
    const { code, stderr } = await rotate(box, ...args)
    return {
      code,
      last: linesOf(stderr)
        .at(-1)
        ?.replace(/^sealwire: /, "")
    }
  }

  it("without an option shows the stage and next step, and changes nothing", async ({ box }) => {
    identityAt(box, "server.key")
    const first = box.read("server.key")
    expect(await lastLine(box)).toEqual({
      code: 0,
      last: "here: sealwire keys rotate --begin --identity ./server.key (creates the next key; the current one stays in use)"
    })
    expect((await lastLine(box, "--switch")).code).toBe(2)
    expect(box.names).toEqual(["server.key"])

    const begun = await rotate(box, "--begin")
    const next = box.read("server.key.next")
    expect(box.mode("server.key.next")).toBe(0o600)
    const shown = publicKeyAt(box, "server.key.next")
    expect(begun.stderr).toContain(
      "sealwire serve … --identity ./server.key --next-identity ./server.key.next ("
    )
    expect(begun.stderr).toContain(`sealwire peers add NAME ${shown} (`)
    expect(begun.stderr).toContain("sealwire keys rotate --switch --identity ./server.key (")
    expect(await lastLine(box, "--begin")).toEqual({
      code: 2,
      last: "nothing was changed: the rotation of ./server.key is begun; the next step is switch, not begin; try: sealwire keys rotate --switch"
    })
    expect(box.read("server.key.next").equals(next)).toBe(true)

    const switched = await rotate(box, "--switch")
    expect([box.read("server.key"), box.read("server.key.retiring")]).toEqual([next, first])
    const month = new Date(Date.now() + 31 * 24 * 60 * 60 * 1000).toISOString().slice(0, 10)
    expect(switched.stderr).toContain(
      `--retiring-identity ./server.key.retiring --retire-at ${month} (`
    )
    expect(switched.stderr).toMatch(
      /sealwire peers remove sealwire1\S+ \(or add expiry-time="\d{4}-\d\d-\d\d" to its line\)/
    )

    const state = eventsOf((await rotate(box, "--json")).stdout)
    expect(state.map(({ event }) => event)).toEqual([
      "rotation-status",
      "next-step",
      "next-step",
      "next-step"
    ])
    expect(state[0]).toMatchObject({
      stage: "switched",
      file: "./server.key",
      current: { publicKey: shown }
    })

    const finished = await rotate(box, "--finish")
    expect(finished.stderr).toMatch(
      /^sealwire: removed \.\/server\.key\.retiring \(SHA256:\S+\); the rotation is complete, the key is SHA256:\S+\n$/
    )
    expect(box.names).not.toContain("server.key.retiring")
    expect((await lastLine(box, "--finish")).code).toBe(2)
  })

  it.for([
    [
      "a rotation of a key that is not a file",
      ["--identity", "env:KEY"],
      2,
      "a rotation renames key files"
    ],
    ["a rotation of a missing file", ["--identity", "./none.key"], 3, "no identity at ./none.key"],
    [
      "a rotation with two steps at once",
      ["--begin", "--switch"],
      2,
      "--begin, --switch and --finish exclude each other"
    ],
    [
      "a rotation with a date for another step",
      ["--begin", "--retire-at", "2099-01-01"],
      2,
      "--retire-at requires --switch"
    ]
  ] as const)("%s is refused with the reason", async ([, args, code, message], { box }) => {
    const result = await box.run(["keys", "rotate", ...args])
    expect([result.code, linesOf(result.stderr).length, result.stderr.includes(message)]).toEqual([
      code,
      1,
      true
    ])
  })
})

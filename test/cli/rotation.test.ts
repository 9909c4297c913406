// Keys are changed while everybody keeps working: the built command, real processes, real sockets.
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
  const running = box.start(["serve", "--listen", listen, "--json", ...args])
  const address = await running.until("the listening line", (it) =>
    eventsOf(it.stdout)
      .find(({ event }) => event === "server-listening")
      ?.address?.toString()
  )
  return Object.assign(running, { address })
}

const stop = async (server: Serving): Promise<void> => {
  server.kill("SIGTERM")
  expect((await server.ended()).code).toBe(143)
}

const send = (box: Box, { address }: Serving, ...args: ReadonlyArray<string>) =>
  box.run(["send", "--to", address, ...args])
const rotate = (box: Box, ...args: ReadonlyArray<string>) =>
  box.run(["keys", "rotate", "--identity", "./server.key", ...args])

const messagesOf = (server: Running) =>
  eventsOf(server.stdout).filter(({ event }) => event === "message-received")
const refusalsOf = (server: Running) =>
  eventsOf(server.stdout).filter(({ event }) => event === "connection-refused")

/** A new key of that kind at that path; of an identity, its public key. */
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

/** This box's user as alice, and ./server.key, whose server lets her in. */
const prepared = (box: Box) => {
  const alice = identityAt(box, own)
  box.write("peers", `${alice} alice\n`)
  return { alice, old: identityAt(box, "server.key") }
}

describe.concurrent("a server's identity", () => {
  it("is changed for the next while a client keeps sending, and is not told how", async ({
    box
  }) => {
    const { old } = prepared(box)
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
    // A copy of what alice knows: she who hears nothing until all is over.
    const away = readFileSync(box.path(knownFile))
    const told = await send(box, server, "second")
    expect([told.code, linesOf(told.stderr).length]).toEqual([0, 1])
    expect(told.stderr).toMatch(
      /^sealwire: \S+ \(\S+\) announced its keys: added SHA256:\S+ \(\S+known_peers\)\n$/
    )
    expect(lines(box)).toEqual([pin, pin.replace(old, next)])
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
    const dated = await send(box, server, "fourth", "--json")
    expect(eventsOf(dated.stdout)).toMatchObject([
      {
        event: "server-keys-learned",
        address,
        added: [],
        retiring: [{ publicKey: old, retiresAt: "2099-01-01T00:00:00.000Z" }]
      },
      { event: "messages-delivered", suite: "IK" }
    ])
    expect(lines(box)).toEqual([`retiring="2099-01-01" ${pin}`, pin.replace(old, next)])
    await stop(server)

    expect((await rotate(box, "--finish")).code).toBe(0)
    server = await serve(box, address, ...current)
    // The new one is tried first now: nobody is refused.
    expect(await send(box, server, "fifth")).toMatchObject({ code: 0, stderr: "" })
    expect(refusalsOf(server)).toEqual([])
    // Who knows both and no date tries one after the other.
    writeFileSync(box.path(knownFile), `${pin}\n${pin.replace(old, next)}\n`)
    expect(await send(box, server, "sixth")).toMatchObject({ code: 0, stderr: "" })
    expect(refusalsOf(server).length).toBe(1)
    expect(messagesOf(server).map(({ text }) => text)).toEqual(["fifth", "sixth"])
    // Who was away all the time must ask, and is told of both keys.
    writeFileSync(box.path(knownFile), away)
    const late = await send(box, server, "late")
    expect([late.code, late.stderr.includes("has changed: expected SHA256:")]).toEqual([4, true])
  })

  it("that retires opens until its date and not after, and --peer KEY writes nothing down", async ({
    box
  }) => {
    const { old } = prepared(box)
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
      /"warning","message":"\.\/server\.key retired \S+ and opens nothing/
    )
  })

  it("a withdrawn key that the server still shows is named as withdrawn", async ({ box }) => {
    const { old } = prepared(box)
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

describe.concurrent("several shared keys", () => {
  it("each give their client its name; another opens nothing", async ({ box }) => {
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
    [
      "nine of them",
      keys(...nine),
      "--key: 9 shared keys are given, and 8 at most are taken at once"
    ],
    ["two of one name", keys("a=./1.key", "a=./2.key"), "--key: two shared keys are named a"],
    [
      "a second without a name",
      keys("./1.key", "./2.key"),
      "--key: of several shared keys all but the first need a name: NAME=KEY"
    ],
    ["a name of nothing", keys("a="), "--key: a= names no key"],
    ["one key twice", keys("./1.key", "a=./1.key"), "./1.key and ./1.key hold the same shared key"],
    [
      "a next identity without one",
      ["--next-identity", "./n.key"],
      "--next-identity and --retiring-identity stand beside"
    ],
    [
      "a retiring one without its date",
      ["--identity", "./i", "--retiring-identity", "./n"],
      "go together"
    ],
    ["a date that is none", ["--retire-at", "tomorrow"], "--retire-at: a date is 2027-01-01"]
  ] as const)("%s: refused", async ([, args, message], { box }) => {
    const result = await box.run(["serve", "--listen", "127.0.0.1:0", ...args])
    expect([result.code, linesOf(result.stderr).at(-1)?.includes(message)]).toEqual([2, true])
  })

  it("one identity in two places is refused", async ({ box }) => {
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

  it("a peer's rule chooses one of them; a rule that names none lets nobody in, and is told of loudly", async ({
    box
  }) => {
    const { alice, old } = prepared(box)
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
    const by = (name: string) => send(box, server, name, "--peer", old, "--key", `./${name}.key`)
    expect((await by("backup")).code).toBe(0)
    const wrong = await by("first")
    expect([
      wrong.code,
      wrong.stderr.includes("likely, in this order: it has another shared key; ")
    ]).toEqual([4, true])
    expect(messagesOf(server)).toMatchObject([{ text: "backup", peer: "alice", suite: "IKpsk2" }])

    box.write("peers", `shared-key="gone" ${alice} alice\n`)
    const unknown = await server.until("the loud word", (it) =>
      eventsOf(it.stdout).find(({ event }) => event === "shared-key-unknown")
    )
    expect(unknown).toMatchObject({
      file: "./peers",
      line: 1,
      name: "alice",
      sharedKey: "gone",
      sharedKeys: ["backup"]
    })
    expect((await by("backup")).code).toBe(4)
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
      "the loud word",
      ({ stderr }) => /error: (.*)\n/.exec(stderr)?.[1]
    )
    expect(line).toBe(
      './peers:1: alice is refused: the line requires the shared key "gone", and this server has no named shared key; load it with --key gone=KEY'
    )
  })
})

describe.concurrent("send without --key, --peer and --identity", () => {
  it("goes by the pin where there is one, though a shared key is there as well", async ({
    box
  }) => {
    const { old } = prepared(box)
    keyAt(box, "sealwire.key", SharedKey)
    const server = await serve(box, "127.0.0.1:0", "--identity", "./server.key", ...peers)
    box.write(knownFile, `${server.address} ${old} mail\n`)
    const result = await send(box, server, "--log-level", "debug")
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/is pinned in \S+known_peers:1, so \.\/sealwire\.key is not used/)
    expect(messagesOf(server)).toMatchObject([{ suite: "IK", peer: "alice" }])

    rmSync(box.path(own))
    const lost = await send(box, server)
    expect([lost.code, linesOf(lost.stderr).length]).toEqual([3, 1])
    for (const way of ["known_peers:1", "sealwire keygen --identity", "--key ./sealwire.key"])
      expect(lost.stderr).toContain(way)

    // Said aloud, the shared key is taken: this server does not want one.
    const asked = await send(box, server, "--key", "./sealwire.key")
    expect([
      asked.code,
      asked.stderr.includes("it wants an identity and not a shared key")
    ]).toEqual([4, true])
  })
})

describe.concurrent("keys rotate", () => {
  const walk = async (box: Box, ...args: ReadonlyArray<string>) => {
    const { code, stderr } = await rotate(box, ...args)
    return {
      code,
      last: linesOf(stderr)
        .at(-1)
        ?.replace(/^sealwire: /, "")
    }
  }

  it("tells where one stands, what comes next, and does nothing without the word", async ({
    box
  }) => {
    identityAt(box, "server.key")
    const first = box.read("server.key")
    expect(await walk(box)).toEqual({
      code: 0,
      last: "here: sealwire keys rotate --begin --identity ./server.key (creates the next key; the current one stays in use)"
    })
    expect((await walk(box, "--switch")).code).toBe(2)
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
    expect(await walk(box, "--begin")).toEqual({
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
    expect((await walk(box, "--finish")).code).toBe(2)
  })

  it.for([
    ["of what is no file", ["--identity", "env:KEY"], 2, "a rotation renames key files"],
    ["of a file that is not there", ["--identity", "./none.key"], 3, "no identity at ./none.key"],
    [
      "of two steps at once",
      ["--begin", "--switch"],
      2,
      "--begin, --switch and --finish exclude each other"
    ],
    [
      "with a date for another step",
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

// `peers`: the built command on real files. Its output is compared as text.
import { chmodSync, writeFileSync } from "node:fs"
import { describe, expect } from "vitest"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { eventsOf, it, linesOf, type Box, type Running } from "./Sealwire.ts"

const publicKeys = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte))
const [k1 = "", k2 = "", k3 = "", k4 = ""] = publicKeys.map(PublicKey.encode)
const [f1 = "", f2 = "", f3 = ""] = publicKeys.map(PublicKey.fingerprint)

const file = "./authorized_peers"
const peers = (box: Box, ...args: ReadonlyArray<string>) =>
  box.run(["peers", ...args, "--authorized-peers", file])
const read = (box: Box) => box.read(file).toString()

/** The exit code and the single line on stderr; stdout must be empty. */
const outcomeOf = async (running: ReturnType<typeof peers>) => {
  const { code, stdout, stderr } = await running
  expect([stdout.toString(), linesOf(stderr).length]).toEqual(["", 1])
  return [code, stderr.trimEnd()]
}

const text = `# our clients\r\n\r\n${k1} alice\r\nfrom="10.0.0.0/8",services="message"  ${k2}\talice \r\nexpiry-time="2020-01-01" ${k3} bob\r\n  # the end`

describe("peers", () => {
  it("add creates the file and reports a name with several keys", async ({ box }) => {
    expect(await outcomeOf(peers(box, "add", "alice", k1))).toEqual([
      0,
      `sealwire: added alice (${f1}) to ${file}`
    ])
    expect(
      await outcomeOf(peers(box, "add", "alice", k2, "--options", 'from="10.0.0.0/8"'))
    ).toEqual([0, `sealwire: added alice (${f2}) to ${file}; alice now has 2 keys`])
    expect([read(box), box.mode(file), box.names]).toEqual([
      `${k1} alice\nfrom="10.0.0.0/8" ${k2} alice\n`,
      0o600,
      [file.slice(2)]
    ])
  })

  it("add rejects an invalid line", async ({ box }) => {
    box.write(file, text)
    const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, error: string]> = [
      [["add", "carol", k2], `nothing was changed: ${file}:4 already has this key, as alice`],
      [
        ["add", "car ol", k4],
        'nothing was changed: "car ol" is not a valid name; a name is letters, digits, and . _ @ -, at most 64, the first a letter or a digit'
      ],
      [
        ["add", "__proto__", k4],
        'nothing was changed: "__proto__" is not a valid name; a name is letters, digits, and . _ @ -, at most 64, the first a letter or a digit'
      ],
      [["add", "carol", "SEALWIRE-IDENTITY-1QQQ"], "nothing was changed: KEY is not a public key"],
      [
        ["add", "carol", k4, "--options", 'from="10.1.0.0/8"'],
        '--options:1:7: "10.1.0.0/8" has bits beyond its mask'
      ],
      [
        ["add", "carol", k4, "--options", `revoked ${k1}`],
        `--options:1:77: name expected after the key`
      ],
      [
        ["add", "carol", k4, "--options", `${k1} mallory\n`],
        "nothing was changed: options and address must form one line"
      ],
      [
        ["add", "carol", k4, "--options", "#"],
        "nothing was changed: options and address must form one line"
      ],
      [
        ["add", "carol", k4, "--address", "x.example:1"],
        "nothing was changed: --address requires --known"
      ],
      [["rename", "bob", "alice"], `nothing was changed: ${file}:3 already has the name alice`],
      [["remove", "alcie"], `no peer "alcie" in ${file}; did you mean alice?`],
      [["show", k4], `no peer ${k4} in ${file}; list the peers: sealwire peers list`],
      [["show", "\u001b[2J"], `no peer "\\x1b[2J" in ${file}`]
    ]
    const results = await Promise.all(cases.map(([args]) => outcomeOf(peers(box, ...args))))
    for (const [index, [args, error]] of cases.entries()) {
      const [code, line] = results[index] ?? []
      expect([args, code, String(line).slice(0, `sealwire: ${error}`.length)]).toEqual([
        args,
        2,
        `sealwire: ${error}`
      ])
    }
    expect([read(box), box.names]).toEqual([text, [file.slice(2)]])
  })

  it("rename, revoke and remove change their lines and no other byte", async ({ box }) => {
    box.write(file, text)
    expect(await outcomeOf(peers(box, "rename", "alice", "alina"))).toEqual([
      0,
      `sealwire: renamed alice to alina in ${file} (2 keys)`
    ])
    expect(read(box)).toBe(text.replaceAll("alice", "alina"))
    expect(await outcomeOf(peers(box, "revoke", f2))).toEqual([
      0,
      `sealwire: revoked alina (${f2}) permanently in ${file}`
    ])
    const revoked = text.replaceAll("alice", "alina").replace('from="', 'revoked,from="')
    expect(read(box)).toBe(revoked)
    expect(await outcomeOf(peers(box, "revoke", k2))).toEqual([
      0,
      `sealwire: already revoked in ${file}; nothing changed`
    ])
    expect(await outcomeOf(peers(box, "add", "carol", k2))).toEqual([
      2,
      `sealwire: nothing was changed: ${file}:4 already has this key, revoked, as alina`
    ])
    const removed = await peers(box, "remove", "alina", "--json")
    expect(eventsOf(removed.stdout)).toEqual([
      {
        event: "peers-removed",
        file,
        removed: [k1, k2].map((publicKey, index) => ({
          name: "alina",
          publicKey,
          fingerprint: [f1, f2][index]
        }))
      }
    ])
    expect(read(box)).toBe(`# our clients\r\n\r\nexpiry-time="2020-01-01" ${k3} bob\r\n  # the end`)
  })

  it("list and show print clients with rules and expiry", async ({ box }) => {
    expect(await outcomeOf(peers(box, "list"))).toEqual([0, `sealwire: ${file} lists no peers`])
    box.write(file, `${text}\r\nrevoked,expiry-time="2099-01-01" ${k4} mallory`)
    expect((await peers(box, "list")).stdout.toString()).toBe(
      [
        `alice    ${f1}  active`,
        `alice    ${f2}  active              from="10.0.0.0/8",services="message"`,
        `bob      ${f3}  expired 2020-01-01`,
        `mallory  ${PublicKey.fingerprint(publicKeys[3] ?? new Uint8Array())}  revoked`,
        ""
      ].join("\n")
    )
    expect((await peers(box, "show", "alice")).stdout.toString()).toBe(
      `alice\n  key          ${k1}\n  fingerprint  ${f1}\n  state        active\n  line         ${file}:3\n\n` +
        `alice\n  key          ${k2}\n  fingerprint  ${f2}\n  state        active\n` +
        `  options      from="10.0.0.0/8"\n               services="message"\n  line         ${file}:4\n`
    )
    expect(eventsOf((await peers(box, "show", k3, "--json")).stdout)).toEqual([
      {
        event: "peer",
        name: "bob",
        publicKey: k3,
        fingerprint: f3,
        state: "expired",
        endsAt: "2020-01-01T00:00:00.000Z",
        options: 'expiry-time="2020-01-01"',
        file,
        line: 5
      }
    ])
  })

  it("refuses an invalid file and one that others can write", async ({ box }) => {
    box.write(file, `${k1} alice\nfrom="10.0.0.0/99" ${k2} bob\n`)
    for (const args of [["list"], ["add", "carol", k3], ["remove", "alice"]])
      expect(await outcomeOf(peers(box, ...args))).toEqual([
        2,
        `sealwire: ${file}:2:7: "10.0.0.0/99": the number of bits after / is 0 to 32`
      ])
    box.write(file, `${k1} alice\n`, 0o620)
    expect(await outcomeOf(peers(box, "add", "bob", k2))).toEqual([
      2,
      `sealwire: ${file}: others can change it; try: chmod 600 ${file}`
    ])
    box.write(file, `${k1} alice\n`)
    chmodSync(box.cwd, 0o777)
    expect(await outcomeOf(peers(box, "list"))).toEqual([
      2,
      `sealwire: ${file}: others can change its folder; try: chmod go-w ${box.cwd}`
    ])
  })

  it("concurrent edits lose no line", async ({ box }) => {
    const keys = Array.from({ length: 6 }, (_, index) =>
      PublicKey.encode(new Uint8Array(32).fill(index + 1))
    )
    const results = await Promise.all(
      keys.map((key, index) => peers(box, "add", `peer-${index}`, key))
    )
    expect(results.map(({ code }) => code)).toEqual(keys.map(() => 0))
    expect(linesOf(read(box)).toSorted()).toEqual(
      keys.map((key, index) => `${key} peer-${index}`).toSorted()
    )
    expect(box.names).toEqual([file.slice(2)])
  })

  it("--known edits known_peers", async ({ box }) => {
    const known = (...args: ReadonlyArray<string>) => box.run(["peers", ...args, "--known"])
    const path = box.path(".config/sealwire/known_peers")
    const added = await known("add", "mail", k1, "--address", "mail.example:8080")
    expect([added.code, added.stderr]).toEqual([0, `sealwire: added mail (${f1}) to ${path}\n`])
    const next = ["add", "mail", k2, "--address", "mail.example:8080"]
    expect((await known(...next, "--options", 'retiring="2020-01-01"')).code).toBe(0)
    expect((await known(...next)).stderr).toBe(
      `sealwire: nothing was changed: ${path}:2 already has this key, as mail\n`
    )
    expect((await known("add", "mail", k3, "--address", "other.example:1")).stderr).toBe(
      `sealwire: ${path}:3:85: this name is already used on line 1, for another address; nothing was changed\n`
    )
    expect((await known("add", "sock", k3, "--address", "unix:./a b.sock")).code).toBe(2)
    expect((await known("add", "sock", k3, "--address", "./nowhere")).code).toBe(2)
    expect((await known("list")).stdout.toString()).toBe(
      `mail  mail.example:8080  ${f1}  active\nmail  mail.example:8080  ${f2}  retired 2020-01-01\n`
    )
    expect(box.mode(".config/sealwire/known_peers")).toBe(0o600)
  })
})

describe("a known server", () => {
  const serve = async (box: Box, key: string): Promise<Running & { readonly address: string }> => {
    const running = box.start([
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--identity",
      key,
      "--authorized-peers",
      file
    ])
    const address = await running.until(
      "listening",
      ({ stderr }) => /listening on (\S+)/.exec(stderr)?.[1]
    )
    return Object.assign(running, { address })
  }
  const identity = async (box: Box, ...where: ReadonlyArray<string>) => {
    await box.run(["keygen", "identity", ...(where.length > 0 ? ["-o", ...where] : [])])
    return (await box.run(["pubkey", ...(where.length > 0 ? ["--identity", ...where] : [])])).stdout
      .toString()
      .trim()
  }
  const set = async (box: Box) => {
    const [alice, serverKey] = [await identity(box), await identity(box, "./server.key")]
    box.write(file, `${alice} alice\n`)
    const server = await serve(box, "./server.key")
    const pin = (lines: string) =>
      writeFileSync(box.path(".config/sealwire/known_peers"), lines, { mode: 0o600 })
    const send = (...args: ReadonlyArray<string>) =>
      box.run(["send", "x", "--to", server.address, ...args])
    const pinned = () => linesOf(box.read(".config/sealwire/known_peers").toString())
    return { serverKey, server, pin, send, pinned }
  }

  it("concurrent first contacts pin once", async ({ box }) => {
    const { server, send, serverKey, pinned } = await set(box)
    const results = await Promise.all([1, 2, 3, 4].map(() => send("--accept-new")))
    expect(results.map(({ code, stderr }) => [code, code === 0 ? "" : stderr])).toEqual(
      results.map(() => [0, ""])
    )
    expect(pinned()).toEqual([`${server.address} ${serverKey} ${server.address.replace(":", "-")}`])
  })

  it("gets a unique name", async ({ box }) => {
    const { server, pin, send, serverKey, pinned } = await set(box)
    const name = server.address.replace(":", "-")
    pin(`a:1 ${k1} ${name}\nb:1 ${k2} ${name}-2\n`)
    expect((await send("--accept-new")).code).toBe(0)
    expect(pinned().at(-1)).toBe(`${server.address} ${serverKey} ${name}-3`)
  })

  it("is accepted with its current key, and refused with a revoked or retired one", async ({
    box
  }) => {
    const { server, pin, send, serverKey, pinned } = await set(box)
    const { address } = server
    pin(`retiring="2099-01-01" ${address} ${k1} home\n${address} ${serverKey} home\n`)
    expect((await send("--peer", "home")).code).toBe(0)
    pin(
      `revoked ${address} ${k1} home\nretiring="2020-01-01" ${address} ${k2} home\nretiring="2099-01-01" ${address} ${serverKey} home\n`
    )
    expect((await send("--peer", "home")).code).toBe(0)
    const fingerprint = PublicKey.fingerprint(PublicKey.decode(serverKey) ?? new Uint8Array())
    for (const [options, reason] of [
      ["revoked", "revoked"],
      ['retiring="2020-01-01"', "retired 2020-01-01"]
    ] as const) {
      const lines = `${options} ${address} ${serverKey} home\n`
      pin(lines)
      const offered = await send("--accept-new")
      expect([offered.code, offered.stderr]).toEqual([
        4,
        `sealwire: the key of ${address}, ${fingerprint}, is ${reason} (${box.path(".config/sealwire/known_peers")}:1); ` +
          "it may be in other hands. Ask for the server's current key\n"
      ])
      const unknown = await send("--peer", "home")
      expect([
        unknown.code,
        unknown.stderr.includes("no key is known for home (retired or revoked: ")
      ]).toEqual([4, true])
      expect(pinned()).toEqual([lines.trim()])
    }
    pin(`revoked elsewhere:1 ${serverKey} gone\n`)
    for (const how of [["--peer", serverKey], ["--accept-new"]])
      expect((await send(...how)).code).toBe(4)
    expect(server.stdout.toString()).toBe("x\nx\n")
  })

  it("refuses a client outside its allowed networks", async ({ box }) => {
    const alice = await identity(box)
    const serverKey = await identity(box, "./server.key")
    for (const [options, code] of [
      ['from="10.0.0.0/8" ', 4],
      ['expiry-time="2099-01-01" ', 0]
    ] as const) {
      box.write(file, `${options}${alice} alice\n`)
      const server = await serve(box, "./server.key")
      expect([
        options,
        (await box.run(["send", "x", "--to", server.address, "--peer", serverKey])).code
      ]).toEqual([options, code])
      await server.destroy()
    }
  })
})

// Raw Noise over real sockets against independent implementations: flynn/noise (Go) and dissononce
// (Python).
import { sample, sampled } from "../fixtures/sample.ts"
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, rmSync } from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { requiredKeys } from "../../src/cli/debug/RawNoise.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import { fromPrivate } from "../../src/keys/KeyPair.ts"
import { fromPattern } from "../../src/noise/Protocol.ts"
import { it, type Box, type Ended } from "../cli/Sealwire.ts"
import { answerOf, connected, exchange } from "./Plain.ts"

const install = "apt-get install golang-go golang-github-flynn-noise-dev python3-dissononce"
const sources = path.join(import.meta.dirname, "noise")
const gopath = "/usr/share/gocode"
const python = "/usr/bin/python3"

const hasGo =
  spawnSync("go", ["version"]).status === 0 && existsSync(`${gopath}/src/github.com/flynn/noise`)
const hasPython = spawnSync(python, ["-c", "import dissononce, cryptography"]).status === 0

/** Kept, like what Go compiles: to compile takes longer than all tests of this file. */
const cache = path.resolve(import.meta.dirname, "../../node_modules/.cache")
const flynnProgram = path.join(cache, "flynn/flynn")
beforeAll(() => {
  if (!hasGo) return
  // Go links only if the program is out of date.
  const { status, stderr } = spawnSync(
    "go",
    ["build", "-o", flynnProgram, path.join(sources, "flynn.go")],
    {
      env: {
        PATH: process.env.PATH,
        HOME: cache,
        GOCACHE: path.join(cache, "go-build"),
        GOPATH: gopath,
        GO111MODULE: "off",
        GOFLAGS: ""
      },
      timeout: 60_000
    }
  )
  if (status !== 0) throw new Error(`go build: ${stderr.toString()}`)
}, 65_000)

/** A program that takes the options of `sealwire debug noise`. */
interface Program {
  readonly name: string
  readonly here: boolean
  readonly command: () => readonly [program: string, ...args: ReadonlyArray<string>]
  /** Patterns beyond those of the suites. */
  readonly patterns: ReadonlyArray<string>
}

const others: ReadonlyArray<Program> = [
  {
    name: "flynn/noise",
    here: hasGo,
    command: () => [flynnProgram],
    patterns: ["NK", "KK", "IX", "X", "K"]
  },
  {
    name: "dissononce",
    here: hasPython,
    command: () => [python, path.join(sources, "dissononce.py")],
    patterns: ["NK", "KK", "IX", "X", "X1K1", "IX1", "XXpsk0+psk3"]
  }
]

/** Long enough for a busy machine: other files run at the same time. */
const deadlineMillis = 20_000
const timeout = 3 * deadlineMillis

const ours = ["debug", "noise", "--plain"] as const

type Option = readonly [name: string, value: string]

interface Side {
  readonly role: "initiator" | "responder"
  readonly other?: Program
  /** Options that replace the defaults. */
  readonly extra?: ReadonlyArray<Option>
}

/** Lays out both sides' keys, a prologue and the messages in the box. */
const prepare = (box: Box, pattern: string, messages: ReadonlyArray<Uint8Array>) => {
  const protocol = fromPattern(pattern)
  const publicKeys = { initiator: "", responder: "" }
  for (const role of ["initiator", "responder"] as const) {
    const secret = Secret.random(32)
    const { publicKey } = fromPrivate(secret)
    box.write(`${role}.key`, secret.expose())
    box.write(`${role}.pub`, publicKey)
    publicKeys[role] = Buffer.from(publicKey).toString("hex")
  }
  box.write("psk", randomBytes(32 * protocol.psks))
  box.write("prologue", "by prior agreement")
  box.write("messages", messages.map((bytes) => `${Buffer.from(bytes).toString("hex")}\n`).join(""))
  const start = ({ role, other, extra = [] }: Side, place: Option) => {
    const { staticKey, remoteStatic, psks } = requiredKeys(protocol, role === "initiator")
    const options = new Map<string, string>([
      ["--pattern", pattern],
      ["--role", role],
      place,
      ["--prologue-file", "prologue"],
      ...(staticKey ? [["--static-file", `${role}.key`] as const] : []),
      ...(remoteStatic
        ? [["--remote-file", role === "initiator" ? "responder.pub" : "initiator.pub"] as const]
        : []),
      ...(psks > 0 ? [["--psk-file", "psk"] as const] : []),
      ...(role === "initiator" ? [["--messages-file", "messages"] as const] : []),
      ...extra
    ])
    const args = [...options].flat()
    if (other === undefined) return box.start([...ours, ...args])
    const [program, ...first] = other.command()
    return box.startOther(program, [...first, ...args])
  }
  return { publicKeys, start }
}

type Start = ReturnType<typeof prepare>["start"]

/** Runs both programs to their exit; the responder listens. */
const runBoth = async (
  start: Start,
  initiator: Side,
  responder: Side,
  place: string
): Promise<readonly [Ended, Ended]> => {
  const listening = start(responder, ["--listen", place])
  const address = await listening.until(
    "the address",
    ({ stderr }) => /listening on (\S+)/.exec(stderr)?.[1],
    deadlineMillis
  )
  const connecting = start(initiator, ["--to", address])
  const connected = await connecting.ended(deadlineMillis)
  // Without a connection the responder would wait, and hide the error of the initiator.
  const timer = connected.code === 0 ? undefined : setTimeout(() => listening.kill("SIGTERM"), 2000)
  return [connected, await listening.ended(deadlineMillis).finally(() => clearTimeout(timer))]
}

const lineOf = ({ stdout }: Ended) =>
  JSON.parse(stdout.toString()) as Readonly<Record<string, unknown>>

/** From an empty message to the longest. */
const sizes = [0, 1, 100, 65_519].map((size) => randomBytes(size))

const tcp = "127.0.0.1:0"
const unix = "unix:./s.sock"

/** Runs a session with the other program; both must succeed and report the same session. */
const expectAgreement = async (
  box: Box,
  other: Program,
  pattern: string,
  role: Side["role"],
  place: string
) => {
  const { publicKeys, start } = prepare(box, pattern, sizes)
  const [us, them]: readonly [Side, Side] = [
    { role },
    { role: role === "initiator" ? "responder" : "initiator", other }
  ]
  const [initiator, responder] = await runBoth(
    start,
    ...(role === "initiator" ? ([us, them] as const) : ([them, us] as const)),
    place
  )
  const [mine, theirs] = role === "initiator" ? [initiator, responder] : [responder, initiator]
  expect({ code: theirs.code, stderr: theirs.stderr.replace(/^listening on .*\n/, "") }).toEqual({
    code: 0,
    stderr: ""
  })
  expect({
    code: mine.code,
    stderr: mine.stderr.replace(/^sealwire: listening on .*\n/, "")
  }).toEqual({ code: 0, stderr: "" })
  const counts = { messages: 4, bytes: 65_620 }
  const theirReport = lineOf(theirs)
  expect(theirReport).toMatchObject(counts)
  expect(theirReport.handshakeHash).toMatch(/^[0-9a-f]{64}$/)
  const [hasMine, hasTheirs] = [role, them.role].map((side) =>
    hasStaticKey(pattern, side === "initiator")
  )
  expect(theirReport.remoteStatic).toBe(hasMine ? publicKeys[role] : "")
  expect(lineOf(mine)).toEqual({
    event: "noise-session",
    protocol: fromPattern(pattern).name,
    role,
    handshakeHash: theirReport.handshakeHash,
    remoteStatic: hasTheirs ? publicKeys[them.role] : null,
    ...counts,
    ok: true
  })
}

/** Returns whether that side has a static key. */
const hasStaticKey = (pattern: string, initiator: boolean): boolean =>
  requiredKeys(fromPattern(pattern), initiator).staticKey

const roles = ["initiator", "responder"] as const
const titled = ({ name, here }: Program) =>
  here ? name : `${name} (skipped; to run it: ${install})`

describe.each(others.map((other) => [titled(other), other] as const))("%s", (_, other) => {
  const suiteNames = allSuites.map(({ name }) => name)
  const cases = roles.flatMap((role) => [
    ...[...suiteNames, ...other.patterns].map((pattern) => [pattern, role, "TCP", tcp] as const),
    ...suiteNames.map((pattern) => [pattern, role, "Unix", unix] as const)
  ])
  describe.runIf(other.here)(sampled("agrees"), { timeout }, () => {
    it.for(sample(cases, 8))("on %s as the %s over %s", ([pattern, role, , place], { box }) =>
      expectAgreement(box, other, pattern, role, place)
    )
  })

  describe.runIf(other.here)("fails", { timeout }, () => {
    it("with another psk, exit code 4", async ({ box }) => {
      const { start } = prepare(box, "NNpsk0", sizes)
      box.write("other", randomBytes(32))
      const ended = await runBoth(
        start,
        { role: "initiator", other },
        { role: "responder", extra: [["--psk-file", "other"]] },
        tcp
      )
      expect(ended.map(({ code }) => code)).toEqual([1, 4])
      expect(ended[1].stdout.length).toBe(0)
    })

    it("with another prologue, exit code 4", async ({ box }) => {
      const { start } = prepare(box, "XX", sizes)
      box.write("other", "by no agreement")
      const ended = await runBoth(
        start,
        { role: "initiator", extra: [["--prologue-file", "other"]] },
        { role: "responder", other },
        tcp
      )
      expect(ended.map(({ code }) => code)).toEqual([4, 1])
    })
  })
})

const flynn = others[0] as Program

describe.runIf(hasGo)(`rekey every 3 of 11 messages with ${titled(flynn)}`, { timeout }, () => {
  const messages = Array.from({ length: 11 }, (_, index) => randomBytes(index))
  const extra: ReadonlyArray<Option> = [["--rekey-after", "3"]]

  it.for(roles)("as the %s: n is not reset", async (role, { box }) => {
    const { start } = prepare(box, "IK", messages)
    const sides = roles.map((each): Side =>
      each === role ? { role: each, extra } : { role: each, extra, other: flynn }
    )
    const ended = await runBoth(start, ...(sides as [Side, Side]), unix)
    expect(ended.map(({ code }) => code)).toEqual([0, 0])
    expect(lineOf(ended[roles.indexOf(role)] as Ended)).toMatchObject({
      messages: 11,
      bytes: 55,
      ok: true
    })
    // flynn/noise does not reset n in its three rekeys. With a reset on this side, no message after
    // the first rekey would decrypt.
    expect(lineOf(ended[1 - roles.indexOf(role)] as Ended)).toMatchObject({
      messages: 11,
      sendingNonce: 11
    })
  })

  it("by only one side fails at the fourth message with exit code 6", async ({ box }) => {
    const { start } = prepare(box, "IK", messages)
    const [, mine] = await runBoth(
      start,
      { role: "initiator", other: flynn },
      { role: "responder", extra },
      unix
    )
    expect(mine.code).toBe(6)
    expect(lineOf(mine)).toMatchObject({ messages: 3, ok: false })
    expect(mine.stderr).toContain("a message was rejected: decrypt failed")
  })
})

describe("sealwire debug noise", { timeout }, () => {
  it("completes a session with itself, with several psks and the default messages", async ({
    box
  }) => {
    const { start } = prepare(box, "XXpsk0+psk1+psk3", sizes)
    rmSync(box.path("messages"))
    const defaults = [
      "debug",
      "noise",
      "--plain",
      "--pattern",
      "XXpsk0+psk1+psk3",
      "--psk-file",
      "psk",
      "--prologue-file",
      "prologue"
    ]
    const listening = start({ role: "responder" }, ["--listen", unix])
    await listening.until(
      "the address",
      ({ stderr }) => stderr.includes("listening"),
      deadlineMillis
    )
    const initiator = await box
      .start([...defaults, "--role", "initiator", "--static-file", "initiator.key", "--to", unix])
      .ended(deadlineMillis)
    const responder = await listening.ended(deadlineMillis)
    expect([initiator.code, initiator.stderr, responder.code]).toEqual([0, "", 0])
    expect(lineOf(initiator)).toMatchObject({ messages: 4, bytes: 65_620 })
    expect(lineOf(responder).handshakeHash).toBe(lineOf(initiator).handshakeHash)
  })

  it("rejects a peer with another static key than expected, exit code 4", async ({ box }) => {
    const { start } = prepare(box, "XX", sizes)
    const ended = await runBoth(
      start,
      { role: "initiator", extra: [["--remote-file", "initiator.pub"]] },
      { role: "responder" },
      tcp
    )
    expect(ended.map(({ code }) => code)).toEqual([4, 4])
    expect(ended[0].stderr).toContain("its static key differs from the expected one")
  })

  it("rejects a message that does not decrypt, exit code 6", async ({ box }) => {
    const { start } = prepare(box, "NN", sizes)
    const extra = [["--rekey-after", "1"]] as const
    const [, responder] = await runBoth(
      start,
      { role: "initiator" },
      { role: "responder", extra },
      tcp
    )
    expect(responder.code).toBe(6)
    expect(lineOf(responder)).toMatchObject({ messages: 1, ok: false })
  })

  it("serves one connection, which does not delay Ctrl-C", async ({ box }) => {
    const { start } = prepare(box, "NN", sizes)
    const running = start({ role: "responder" }, ["--listen", tcp])
    const address = await running.until(
      "the address",
      ({ stderr }) => /listening on (\S+)/.exec(stderr)?.[1],
      deadlineMillis
    )
    const port = Number(address.split(":").at(-1))
    const held = answerOf(await connected(box, port))
    // The second connection is closed once the first is accepted.
    expect((await exchange(box, port, Buffer.alloc(0))).bytes.length).toBe(0)
    running.kill("SIGINT")
    expect((await running.ended()).code).toBe(130)
    expect((await held).bytes.length).toBe(0)
  })

  it("is not listed in the help, but has a help page", async ({ box }) => {
    expect((await box.run(["--help"])).stdout.toString()).not.toContain("noise")
    expect((await box.run(["debug", "noise", "--help"])).stdout.toString()).toContain(
      "--rekey-after N"
    )
  })

  it.for([
    [
      "without --plain",
      ["--pattern", "NN", "--role", "initiator", "--to", ":1"],
      "--plain: is required"
    ],
    [
      "with an unknown pattern",
      ["--plain", "--pattern", "ZZ", "--role", "initiator", "--to", ":1"],
      'unknown pattern "ZZ"'
    ],
    [
      "with an unknown role",
      ["--plain", "--pattern", "NN", "--role", "server", "--to", ":1"],
      '"server" is not one of initiator, responder'
    ],
    [
      "without an address",
      ["--plain", "--pattern", "NN", "--role", "initiator"],
      "--listen: use either --listen or --to"
    ],
    [
      "with a missing key",
      ["--plain", "--pattern", "XX", "--role", "initiator", "--to", ":1"],
      "--static-file: Noise_XX_25519"
    ],
    [
      "with an extra psk",
      ["--plain", "--pattern", "NN", "--role", "initiator", "--to", ":1", "--psk-file", "f"],
      "uses no pre-shared key"
    ],
    [
      "with --rekey-after 0",
      ["--plain", "--pattern", "NN", "--role", "initiator", "--to", ":1", "--rekey-after", "0"],
      "at least 1"
    ],
    [
      "with a message that is not hexadecimal",
      ["--plain", "--pattern", "NN", "--role", "initiator", "--to", ":1", "--messages-file", "f"],
      "line 2 is not"
    ]
  ] as const)("%s is a usage error", async ([, args, sentence], { box }) => {
    box.write("f", "00\nxy\n")
    const { code, stderr } = await box.run(["debug", "noise", ...args])
    expect(code).toBe(2)
    expect(stderr).toContain(sentence)
    expect(stderr.split("\n").length).toBe(2)
  })

  it("rejects a key that is missing or that others can read, exit code 3", async ({ box }) => {
    const run = () =>
      box.run([
        ...ours,
        "--pattern",
        "NNpsk0",
        "--role",
        "initiator",
        "--to",
        ":1",
        "--psk-file",
        "psk"
      ])
    const missing = await run()
    expect([missing.code, missing.stderr]).toEqual([
      3,
      "sealwire: no key from psk: no such file; write 32 bytes or their hexadecimal to it\n"
    ])
    box.write("psk", randomBytes(32), 0o644)
    expect(await run()).toMatchObject({ code: 3, stderr: expect.stringContaining("chmod 600 psk") })
  })
})

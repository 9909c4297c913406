// Errors on the command line: one line on stderr, nothing on stdout, and the exit code for its
// kind.
import { chmodSync, chownSync, mkdirSync } from "node:fs"
import { describe, expect } from "vitest"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import { kinds } from "../../src/keys/KeyKind.ts"
import { it, type Box } from "./Sealwire.ts"

interface Case {
  /** A sentence: "a key that others can read". */
  readonly name: string
  readonly prepare?: (box: Box) => unknown
  readonly args: string
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  /** The tag of the error, which `--json` prints. */
  readonly error: string
  readonly code: number
  readonly message: string
}

const root = process.geteuid?.() === 0

const bech32 = Object.fromEntries(
  kinds.map(({ name, prefix }) => [name, Bech32.encode(prefix, Buffer.alloc(32, 7))])
)
const classicText = bech32["classic key"] ?? ""
const gcmText = bech32["classic GCM key"] ?? ""
const lastChanged = classicText.slice(0, -1) + (classicText.endsWith("Q") ? "P" : "Q")

const refusedKey = (
  name: string,
  prepare: (box: Box) => unknown,
  detail: string,
  more: Partial<Case> = {}
): Case => ({
  name,
  prepare,
  args: "classic send",
  error: "KeyRejected",
  code: 3,
  message: `key refused: ./aes_key.bin: ${detail}`,
  ...more
})

const keyCases: ReadonlyArray<Case> = [
  {
    name: "no key for the client",
    args: "classic send --key ./keys/mine.bin",
    error: "KeyFileMissing",
    code: 3,
    message:
      "no classic key at ./keys/mine.bin; copy it from the other side or create one; try: sealwire classic keygen -o ./keys/mine.bin"
  },
  {
    name: "no GCM key for the client",
    args: "classic send --cipher aes-256-gcm",
    error: "KeyFileMissing",
    code: 3,
    message:
      "no classic GCM key at ./aes_gcm.key; copy it from the other side or create one; try: sealwire classic keygen --cipher aes-256-gcm -o ./aes_gcm.key"
  },
  refusedKey(
    "a key that others can read",
    (box) => box.writeKey(undefined, 0o644),
    "others can read or change it (mode 0644); try: chmod 600 ./aes_key.bin"
  ),
  refusedKey(
    "a folder in the key's place",
    (box) => mkdirSync(box.path("aes_key.bin")),
    "is not a regular file; name the file that holds the key"
  ),
  refusedKey(
    "a FIFO in the key's place, without a writer",
    (box) => box.runOther("mkfifo", ["-m", "600", "aes_key.bin"]),
    "is not a regular file; name the file that holds the key"
  ),
  refusedKey(
    "a key of 31 bytes",
    (box) => box.writeKey(Buffer.alloc(31, 0xa5)),
    "has 31 bytes; a classic key has 32"
  ),
  refusedKey(
    "a key of 33 bytes",
    (box) => box.writeKey(Buffer.alloc(33, 0xa5)),
    "has 33 bytes; a classic key has 32"
  ),
  refusedKey("an empty key file", (box) => box.writeKey(""), "has 0 bytes; a classic key has 32"),
  refusedKey(
    "a key file of 5,000 bytes",
    (box) => box.writeKey(Buffer.alloc(5000, 1)),
    "has 5000 bytes, more than any key"
  ),
  refusedKey(
    "a key of zeros",
    (box) => box.writeKey(Buffer.alloc(32)),
    "a classic key of all zeros is not valid; create a new one"
  ),
  refusedKey(
    "a text key with one character changed",
    (box) => box.writeKey(`# mine\n${lastChanged}\n`),
    "the checksum of this classic key is wrong; a character was lost or changed"
  ),
  refusedKey(
    "a GCM key where a classic one is needed",
    (box) => box.writeKey(gcmText),
    "is a classic GCM key; a classic key is needed"
  ),
  refusedKey(
    "an aes_key.bin where a GCM key is needed",
    (box) => box.writeKey(),
    "is not a classic GCM key: a line beginning SEALWIRE-CLASSIC-GCM-KEY-1 is needed",
    {
      args: "classic send --cipher aes-256-gcm --key ./aes_key.bin"
    }
  ),
  refusedKey(
    "a server's key that others can read",
    (box) => box.writeKey(undefined, 0o660),
    "others can read or change it (mode 0660); try: chmod 600 ./aes_key.bin",
    {
      args: "classic serve --listen 127.0.0.1:0"
    }
  ),
  {
    name: "a classic key in the environment where a GCM key is needed",
    args: "classic send --cipher aes-256-gcm --key env:MINE",
    env: { MINE: classicText },
    error: "KeyRejected",
    code: 3,
    message: "key refused: env:MINE: is a classic key; a classic GCM key is needed"
  },
  {
    name: "63 digits in the environment",
    args: "classic send --key env:MINE",
    env: { MINE: "a".repeat(63) },
    error: "KeyRejected",
    code: 3,
    message: "key refused: env:MINE: has 63 bytes; a classic key has 32"
  },
  {
    name: "an environment variable that is not set",
    args: "classic send --key env:MINE",
    error: "KeyUnavailable",
    code: 3,
    message:
      "no key from env:MINE: the environment variable MINE is not set; set MINE to the text of the key"
  },
  {
    name: "an environment variable that is empty",
    args: "classic send --key env:MINE",
    env: { MINE: "" },
    error: "KeyUnavailable",
    code: 3,
    message:
      "no key from env:MINE: the environment variable MINE is empty; set MINE to the text of the key"
  },
  {
    name: "a new key in a folder that is not there",
    args: "classic keygen -o ./no/such/key",
    error: "KeyNotCreated",
    code: 3,
    message: "cannot create a key at ./no/such/key: its folder does not exist; create it first"
  },
  {
    name: "a server whose key should be in its environment",
    args: "classic serve --key env:MINE",
    error: "KeyUnavailable",
    code: 3,
    message:
      "no key from env:MINE: the environment variable MINE is not set; set MINE to the text of the key"
  }
]

/** Cases that need another user, which requires root. */
const ownerCases: ReadonlyArray<Case> = [
  refusedKey(
    "a key of another user",
    (box) => {
      box.writeKey()
      chownSync(box.path("aes_key.bin"), 65534, 65534)
    },
    "belongs to another user (uid 65534); try: chown 0 ./aes_key.bin"
  ),
  refusedKey(
    "a key that this user may not read",
    (box) => {
      chmodSync(box.cwd, 0o755)
      box.writeKey()
    },
    "permission denied; check it and its folders with ls -l",
    { uid: 65534 }
  ),
  {
    name: "a new key in a folder where this user may not write",
    prepare: (box) => chmodSync(box.cwd, 0o755),
    args: "classic keygen",
    uid: 65534,
    error: "KeyNotCreated",
    code: 3,
    message: "cannot create a key at ./aes_key.bin: no permission to write in its folder"
  }
]

const usage = (args: string, message: string, name = args): Case => ({
  name,
  args,
  error: "Usage",
  code: 2,
  message
})
const ofSend = "see: sealwire classic send --help"

const usageCases: ReadonlyArray<Case> = [
  usage("frob", 'unknown command "frob"; see: sealwire --help', "an unknown command"),
  usage(
    "classic frob",
    'unknown command "classic frob"; see: sealwire --help',
    "an unknown command of a group"
  ),
  usage(
    "sned hello",
    'unknown command "sned" (did you mean send?); see: sealwire --help',
    "a command with a slip"
  ),
  usage(
    "peers ad x",
    'unknown command "peers ad" (did you mean peers add?); see: sealwire --help',
    "a slip in a group"
  ),
  usage("push", "<PATH> is missing; see: sealwire push --help", "nothing to push"),
  usage(
    "tunnel",
    "--listen is missing; see: sealwire tunnel --help",
    "an option that must be there"
  ),
  usage(
    "--frob",
    "options must follow the command; see: sealwire --help",
    "an option and no command"
  ),
  usage(
    "--log-level debug classic send",
    "options must follow the command; see: sealwire --help",
    "an option before the command"
  ),
  usage(
    "classic send --too :1",
    `unknown option --too (did you mean --to?); ${ofSend}`,
    "an option with a slip"
  ),
  usage(
    "classic send --frobnicate",
    `unknown option --frobnicate (put -- before an argument that begins with a hyphen); ${ofSend}`,
    "an unknown option"
  ),
  usage(
    "classic send -5",
    `unknown option -5 (put -- before an argument that begins with a hyphen); ${ofSend}`,
    "a text that looks like an option"
  ),
  usage(
    "classic send --key",
    `--key needs a value; ${ofSend}`,
    "an option whose value is missing at the end"
  ),
  usage(
    "classic send --key --wire",
    `--key needs a value; ${ofSend}`,
    "an option whose value is missing before another"
  ),
  usage(
    "classic send --key=",
    `--key needs a value; ${ofSend}`,
    "an option whose value is empty, as from an unset variable"
  ),
  usage("classic send --to :1 --to :2", `--to is given twice; ${ofSend}`, "an option given twice"),
  usage(
    "classic send --wire=yes",
    `--wire takes no value; ${ofSend}`,
    "a value for an option that has none"
  ),
  usage(
    "classic send one two",
    `Received unknown argument: 'two' (quote a text of several words, and put options before --); ${ofSend}`,
    "two texts"
  ),
  usage(
    "classic send --cipher rot13",
    `--cipher: "rot13" is not one of aes-128-cbc, aes-128-cbc-hmac-sha256, aes-256-gcm; ${ofSend}`,
    "an unknown cipher"
  ),
  usage(
    "classic send --to example.org",
    `--to: "example.org" is not an address: missing port: write example.org:8080; ${ofSend}`,
    "an address without a port"
  ),
  usage(
    "classic send --to 8080",
    `--to: "8080" is not an address: for a port on this machine write :8080; ${ofSend}`,
    "an address that is a port"
  ),
  usage(
    "classic send --to ::1:8080",
    `--to: "::1:8080" is not an address: put an IPv6 address in brackets: [::1]:8080; ${ofSend}`,
    "an IPv6 address without brackets"
  ),
  usage(
    "classic serve --listen :65536",
    '--listen: ":65536" is not an address: a port is at most 65535; see: sealwire classic serve --help',
    "a port above 65535"
  ),
  usage(
    "classic send --log-level loud",
    `--log-level: "loud" is not one of all, trace, debug, info, warning, error, fatal, none; ${ofSend}`,
    "an unknown log level"
  ),
  usage(
    "pubkey --log-level loud",
    '--log-level: "loud" is not one of all, trace, debug, info, warning, error, fatal, none; see: sealwire pubkey --help',
    "an unknown log level"
  )
]

const named = (cases: ReadonlyArray<Case>) => cases.map((sample) => [sample.name, sample] as const)

const sentence = (message: string) => `sealwire: ${message}\n`

/** Expects one line on stderr, and no change in the folder. */
const check = async ({ prepare, args, env, uid, code, message }: Case, box: Box) => {
  await prepare?.(box)
  const before = box.names
  const options = { ...(env === undefined ? {} : { env }), ...(uid === undefined ? {} : { uid }) }
  expect(await box.run(args.split(" "), options)).toEqual({
    code,
    stdout: Buffer.alloc(0),
    stderr: sentence(message)
  })
  expect(box.names).toEqual(before)
}

describe("keys that are rejected", () => {
  it.for(named(keyCases))("%s", ([, sample], { box }) => check(sample, box))
  it.runIf(root).for(named(ownerCases))("%s", ([, sample], { box }) => check(sample, box))
})

describe("a usage error", () => {
  it.for(named(usageCases))("%s", ([, sample], { box }) => check(sample, box))

  it("escapes control characters of the command line", async ({ box }) => {
    const { stderr } = await box.run(["classic", "send", "--\u001b[31m\nred"])
    expect(stderr).toBe(
      sentence(
        `unknown option --\\x1b[31m\\x0ared (put -- before an argument that begins with a hyphen); ${ofSend}`
      )
    )
  })
})

describe("a network error", () => {
  it("names a port in use, in the second server", async ({ box }) => {
    const { address } = await box.serve()
    expect(await box.run(["classic", "serve", "--listen", address])).toEqual({
      code: 5,
      stdout: Buffer.alloc(0),
      stderr: sentence(
        `${address} is already in use; stop the program that listens there, or listen on another address`
      )
    })
  })

  it("names a Unix socket in use, and its owner keeps serving", async ({ box }) => {
    const server = await box.serve(["--once", "--listen", "unix:./a.sock"])
    expect(await box.run(["classic", "serve", "--listen", "unix:./a.sock"])).toEqual({
      code: 5,
      stdout: Buffer.alloc(0),
      stderr: sentence(
        "unix:./a.sock is already in use; stop the program that listens there, or listen on another address"
      )
    })
    expect((await box.run(["classic", "send", "--to", "unix:./a.sock"])).code).toBe(0)
    expect((await server.ended()).stdout.toString()).toBe("Hello Server!")
  })

  it("names the address of a refused connection", async ({ box }) => {
    box.writeKey()
    // tcpmux (RFC 1078), which is never in use.
    expect(await box.run(["classic", "send", "--to", ":1"])).toEqual({
      code: 5,
      stdout: Buffer.alloc(0),
      stderr: sentence(
        "cannot connect to 127.0.0.1:1: connection refused; is the server running, and is the address right?"
      )
    })
  })

  it("names a missing socket file", async ({ box }) => {
    box.writeKey()
    expect(await box.run(["classic", "send", "--to", "unix:./none.sock"])).toEqual({
      code: 5,
      stdout: Buffer.alloc(0),
      stderr: sentence(
        "cannot connect to unix:./none.sock: no socket at that path; is the server running?"
      )
    })
  })

  it("is a configuration error for an address of another machine", async ({ box }) => {
    box.writeKey()
    // TEST-NET-1 (RFC 5737): assigned to no machine.
    expect(await box.run(["classic", "serve", "--listen", "192.0.2.1:0"])).toEqual({
      code: 2,
      stdout: Buffer.alloc(0),
      stderr: sentence("cannot listen at 192.0.2.1:0: the address is not assigned to this machine")
    })
  })
})

describe("with --json an error is one object on stderr", () => {
  const samples = [keyCases[0], keyCases[2], usageCases[4], usageCases[0]].filter(
    (sample) => sample !== undefined
  )
  it.for(named(samples))("%s", async ([, { prepare, args, error, code, message }], { box }) => {
    await prepare?.(box)
    const ended = await box.run([...args.split(" "), "--json"])
    expect({ ...ended, stderr: JSON.parse(ended.stderr) }).toEqual({
      code,
      stdout: Buffer.alloc(0),
      stderr: { event: "error", code: error, message, exit: code }
    })
    expect(ended.stderr.indexOf("\n")).toBe(ended.stderr.length - 1)
  })

  it("unless --json is an operand", async ({ box }) => {
    const { stderr } = await box.run(["classic", "send", "--", "--json"])
    expect(stderr).toMatch(/^sealwire: no classic key at /)
  })
})

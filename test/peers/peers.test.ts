// The peers files: their grammar, the rules, and edits that keep all other bytes.
import { execFile } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { BlockList, isIP, isIPv4 } from "node:net"
import { hostname } from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import { build } from "esbuild"
import { sample, sampled } from "../fixtures/sample.ts"
import * as UtcDate from "../../src/keys/UtcDate.ts"
import * as Network from "../../src/peers/Network.ts"
import * as OptionSpec from "../../src/peers/OptionSpec.ts"
import * as PeerEdits from "../../src/peers/PeerEdits.ts"
import * as PeerFiles from "../../src/peers/PeerFiles.ts"
import { PeerList } from "../../src/peers/PeerList.ts"
import {
  formatAuthorized,
  formatKnown,
  parseAuthorized,
  parseKnown,
  type Parse,
  type AuthorizedPeer
} from "../../src/peers/Peers.ts"
import * as Pin from "../../src/peers/Pin.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as Rules from "../../src/peers/Rules.ts"
import { ruleOptions, serviceNames } from "../../src/services/builtin/index.ts"
import { rulesOf } from "./rulesOf.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const keyOf = (byte: number) => new Uint8Array(32).fill(byte)
const [key, other] = [PublicKey.encode(keyOf(1)), PublicKey.encode(keyOf(2))]

const keys = FastCheck.uint8Array({ minLength: 32, maxLength: 32 })
const names = FastCheck.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,20}$/)
const blanks = FastCheck.stringMatching(/^[ \t]{1,3}$/)
const comments = FastCheck.constantFrom(
  "",
  "   ",
  "# a comment",
  '\t# revoked "x',
  "#\u202e é",
  "##"
)
const newlines = FastCheck.constantFrom("\n", "\r\n")

const ipv4 = FastCheck.ipV4()
const ipv6 = FastCheck.ipV6()
const networkText = FastCheck.oneof(
  FastCheck.tuple(ipv4, FastCheck.integer({ min: 0, max: 32 })),
  FastCheck.tuple(ipv6, FastCheck.integer({ min: 0, max: 128 }))
)

/** A network without bits beyond its mask; for others, the one that the error suggests. */
const network = ([address, bits]: readonly [string, number], negated = false): Network.Network => {
  const parse = (text: string) => Network.parse(`${negated ? "!" : ""}${text}`)
  const first = parse(`${address}/${bits}`)
  return Either.isRight(first)
    ? first.right
    : Either.getOrThrow(Network.parse(/write (\S+)$/.exec(first.left)?.[1] ?? ""))
}

/** Milliseconds, at whole seconds of years with four digits. */
const times = FastCheck.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000)
const counts = FastCheck.integer({ min: 1, max: 2 ** 40 })
const optional = { requiredKeys: [] }

const rules = FastCheck.record(
  {
    from: FastCheck.array(
      FastCheck.tuple(networkText, FastCheck.boolean()).map(([text, negated]) =>
        network(text, negated)
      ),
      { minLength: 1, maxLength: 4 }
    ).filter((from) => from.some(({ negated }) => !negated)),
    services: FastCheck.subarray([...serviceNames], {
      minLength: 1
    }),
    // As in sshd, no value can end with a backslash.
    targets: FastCheck.array(FastCheck.stringMatching(/^[a-z0-9.:"\\[\]-]{0,20}[a-z0-9"]$/), {
      minLength: 1,
      maxLength: 3
    }),
    expires: times,
    messagesPerMinute: counts,
    bytesPerMinute: counts,
    connections: counts,
    sharedKey: names,
    revoked: FastCheck.constant(true as const)
  },
  optional
)
const pins = FastCheck.record(
  { retires: times, revoked: FastCheck.constant(true as const) },
  optional
)

const parse = parseAuthorized(ruleOptions())

const faultOf = <Peer>(parse: Parse<Peer>, text: string) => {
  const parsed = parse("peers", text)
  return Either.isLeft(parsed) ? parsed.left.message : "read"
}

describe("authorized_peers", () => {
  it.prop(
    "round-trips with any blanks and comments",
    {
      peers: FastCheck.uniqueArray(
        FastCheck.record({ publicKey: keys, name: names, values: rules }),
        {
          maxLength: 6,
          selector: ({ publicKey }) => publicKey.join()
        }
      ),
      comments: FastCheck.array(comments, { minLength: 6, maxLength: 6 }),
      blanks,
      newline: newlines
    },
    ({ peers, comments, blanks, newline }) => {
      const lines = peers.flatMap(({ publicKey, name, values }, index) => [
        comments[index] ?? "",
        `${blanks}${formatAuthorized(publicKey, name, OptionSpec.encode(ruleOptions(), rulesOf(values).options).join(",")).replace(/ (?=\S+$)/, blanks)}${blanks}`
      ])
      const parsed = Either.getOrThrow(parse("/etc/peers", lines.join(newline)))
      expect(parsed).toEqual(
        peers.map(({ publicKey, name, values }, index) => {
          const line = index * 2 + 2
          return { publicKey, name, rules: rulesOf(values, `peers:${line}`), line }
        })
      )
      const list = new PeerList(parsed)
      expect(list.size).toBe(peers.length)
      for (const { publicKey, name } of peers)
        expect(list.find(Buffer.from(publicKey))?.name).toBe(name)
      expect(list.find(randomBytes(32))).toBe(undefined)
    }
  )

  it.prop(
    sampled("refuses a key with any one character changed"),
    { publicKey: keys },
    ({ publicKey }) => {
      const text = PublicKey.encode(publicKey)
      const places = Array.from({ length: text.length }, (_, at) => at)
      for (const at of sample(places, 25))
        for (const to of "abcdefghjklmnpqrstuvwxyz023456789QA1# ") {
          // A # in front makes the line a comment, which authorizes no client.
          const parsed = parse("peers", `${text.slice(0, at)}${to}${text.slice(at + 1)} alice`)
          expect(text[at] === to || Either.isLeft(parsed) || parsed.right.length === 0).toBe(true)
        }
      expect(Either.isRight(parse("peers", `${text} alice`))).toBe(true)
    },
    { fastCheck: { numRuns: 3 } }
  )

  const faults: ReadonlyArray<readonly [line: string, column: number, detail: string]> = [
    [`hello world`, 1, 'unknown option "hello"; the options are from, services, expiry-time'],
    [`sealwire1qqqq bob`, 1, '"sealwire1qqqq" is not a public key'],
    [`10.0.0.1 ${key} bob`, 1, '"10.0.0.1" is not a public key'],
    [key, 68, "name expected after the key"],
    [`  ${key}  -bob`, 72, "name expected after the key"],
    [`${key} bob # the builder`, 73, "name expected after the key"],
    [`revoked`, 8, "public key (sealwire1…) expected"],
    [`revoked,  ${key} bob`, 9, "option expected"],
    [`revoked,revoked ${key} bob`, 9, "duplicate option revoked"],
    [`revoked="yes" ${key} bob`, 1, "revoked takes no value"],
    [`revoked;from="1.2.3.4" ${key} bob`, 1, '"revoked;from="1.2.3.4"" is not a public key'],
    [`from ${key} bob`, 1, 'from needs a value: from="'],
    [`from=10.0.0.0/8 ${key} bob`, 5, 'write the value as name="value"'],
    [`from"10.0.0.0/8" ${key} bob`, 5, 'write the value as name="value"'],
    [`from="10.0.0.0/8 ${key} bob`, 6, "unclosed quote"],
    [`from="10.0.0.0/8"${key} bob`, 18, "comma or space expected after an option"],
    [`from="10.0.0.0/8, 10.0.0.1" ${key} bob`, 18, '" 10.0.0.1" is not a network'],
    [`from="10.0.0.0/8,,10.0.0.1" ${key} bob`, 18, "empty entry in this list"],
    [
      `revoked,from="!1.2.3.4,10.1.2.3/8" ${key} bob`,
      24,
      '"10.1.2.3/8" has bits beyond its mask; write 10.0.0.0/8'
    ],
    [`from="10.0.0.0/33" ${key} bob`, 7, '"10.0.0.0/33": the number of bits after / is 0 to 32'],
    [`from="!10.0.0.0/8" ${key} bob`, 7, "a list of ! alone matches nothing"],
    [`target="a\\"b,c d" ${key} bob`, 14, "a target contains no whitespace"],
    [
      `services="message,mail" ${key} bob`,
      19,
      'unknown service "mail"; the services are message, file, tunnel'
    ],
    [`expiry-time="2027-02-29" ${key} bob`, 14, "a date is 2027-01-01"],
    [`connections="0" ${key} bob`, 14, "not a whole number above 0"],
    [`bytes-per-minute="10T" ${key} bob`, 19, "not a whole number above 0"],
    [`From="10.0.0.0/8" ${key} bob`, 1, 'unknown option "From"'],
    [`revoked,restrict-more ${key} bob`, 9, 'unknown option "restrict-more"']
  ]
  it.each(faults)("%s", (line, column, detail) => {
    const fault = faultOf(parse, `# first\r\n\n${line}\n${other} late\nnonsense\n`)
    expect(fault.slice(0, `peers:3:${column}: ${detail}`.length)).toBe(
      `peers:3:${column}: ${detail}`
    )
    expect(fault).not.toContain("\n")
  })

  it("rejects a duplicate key; a name may have several keys", () => {
    expect(faultOf(parse, `${key} alice\n${other} alice\n`)).toBe("read")
    expect(faultOf(parse, `revoked ${key} alice\n\n${other} bob\n ${key} carol`)).toBe(
      "peers:4:2: duplicate key; it is on line 1 too"
    )
  })

  it("errors never repeat a secret", () => {
    const secret = `SEALWIRE-IDENTITY-1${"Q".repeat(58)}`
    for (const line of [
      `${secret} bob`,
      `${secret}`,
      `shared-key="${secret}" ${key} bob`,
      `from="${"0f".repeat(32)}" ${key} bob`
    ]) {
      const fault = faultOf(parse, line)
      expect(fault).not.toBe("read")
      expect(fault).not.toContain("QQQ")
      expect(fault).not.toContain("0f0f")
    }
    expect(faultOf(parse, `${secret} bob`)).toContain("this is a secret key")
  })
})

describe("known_peers", () => {
  it.prop(
    "round-trips every line",
    {
      peers: FastCheck.uniqueArray(
        FastCheck.record({
          publicKey: keys,
          pin: pins,
          port: FastCheck.integer({ min: 1, max: 9 })
        }),
        {
          maxLength: 6,
          selector: ({ publicKey }) => publicKey.join()
        }
      )
    },
    ({ peers }) => {
      const written = peers.map(({ port, pin, publicKey }) =>
        formatKnown(`host:${port}`, publicKey, `name-${port}`, Pin.format(pin).join(","))
      )
      expect(Either.getOrThrow(parseKnown("known", written.join("\n")))).toEqual(
        peers.map(({ port, pin, publicKey }, index) => {
          return {
            address: `host:${port}`,
            publicKey,
            name: `name-${port}`,
            pin,
            line: index + 1
          }
        })
      )
    }
  )

  it("rejects a name for two addresses, and a duplicate key of an address", () => {
    expect(faultOf(parseKnown, `a:1 ${key} home\na:1 ${other} home\n`)).toBe("read")
    expect(faultOf(parseKnown, `a:1 ${key} home\nb:1 ${key} away\n`)).toBe("read")
    expect(faultOf(parseKnown, `a:1 ${key} home\nb:1 ${key} home\n`)).toBe(
      "peers:2:73: this name is already used on line 1, for another address"
    )
    expect(faultOf(parseKnown, `a:1 ${key} home\n\nretiring="2027-01-01" a:1 ${key} home\n`)).toBe(
      "peers:3:23: duplicate key of this address; it is on line 1 too"
    )
    expect(faultOf(parseKnown, `a:1 nonsense home`)).toBe(
      'peers:1:5: "nonsense" is not a public key (sealwire1…); write: address public-key name'
    )
    expect(faultOf(parseKnown, `expiry-time="2027-01-01" a:1 ${key} home`)).toContain(
      "the options are retiring, revoked"
    )
  })
})

const fragments = FastCheck.constantFrom(
  key,
  "\n",
  "\r\n",
  " ",
  "\t",
  ",",
  '"',
  '\\"',
  "=",
  "#",
  "from",
  'from="',
  "revoked",
  "10.0.0.0/8",
  "a:1",
  "alice"
)
it.prop(
  "reads any file or reports the fault with a valid position",
  {
    pieces: FastCheck.array(
      FastCheck.oneof({ weight: 5, arbitrary: fragments }, FastCheck.string()),
      {
        maxLength: 12
      }
    )
  },
  ({ pieces }) => {
    const parses: ReadonlyArray<Parse<unknown>> = [parse, parseKnown]
    for (const parse of parses) {
      const parsed = parse("peers", pieces.join(""))
      if (Either.isRight(parsed)) continue
      const { line, column, message } = parsed.left
      const length = pieces.join("").split("\n")[line - 1]?.length ?? -1
      expect([column >= 1 && column <= length + 1, message.includes("\n")]).toEqual([true, false])
    }
  },
  { fastCheck: { numRuns: 1000 } }
)

describe("a network", () => {
  const addresses = FastCheck.oneof(ipv4, ipv6)
  /** An IPv4 address that differs in one bit, or another IPv6 address. */
  const flipped = (address: string, bit: number) =>
    isIPv4(address)
      ? address
          .split(".")
          .map((byte, index) => Number(byte) ^ (index === bit >> 3 ? 0x80 >> (bit & 7) : 0))
          .join(".")
      : `${address.slice(0, address.lastIndexOf(":"))}:${bit}`
  /** A network, and addresses inside, at its edge and far from it. */
  const near = FastCheck.tuple(networkText, addresses, FastCheck.nat(31)).map(
    ([text, far, bit]) => ({
      network: network(text),
      candidates: [
        text[0],
        flipped(text[0], bit),
        flipped(text[0], Math.min(31, Math.max(0, text[1] - 1))),
        far
      ].filter((address) => isIP(address) > 0)
    })
  )
  const familyOf = (address: string) => Either.getOrThrow(Network.parse(address)).family
  const peerOf = (address: string) => (isIPv4(address) ? `${address}:1` : `[${address}]:1`)

  it.prop(
    "matches the addresses that Node's BlockList matches",
    { near },
    ({ near: { network, candidates } }) => {
      const text = Network.format(network)
      const [host = "", mask] = text.split("/")
      const family = isIPv4(host) ? "ipv4" : "ipv6"
      const list = new BlockList()
      list.addSubnet(host, Number(mask ?? (family === "ipv4" ? 32 : 128)), family)
      for (const address of candidates)
        expect([address, text, Network.allows([network], peerOf(address))]).toEqual([
          address,
          text,
          // BlockList has IPv4 addresses within short IPv6 networks; ::/0 in a peers file matches only IPv6.
          familyOf(address) === network.family &&
            list.check(address, isIPv4(address) ? "ipv4" : "ipv6")
        ])
    },
    { fastCheck: { numRuns: 500 } }
  )

  it.prop(
    "round-trips through its text",
    { text: networkText, negated: FastCheck.boolean() },
    ({ text, negated }) => {
      const one = network(text, negated)
      expect(Network.parse(Network.format(one))).toEqual(Either.right(one))
    }
  )

  it("matches IPv4-mapped addresses as IPv4", () => {
    const allows = (list: string, peer: string) =>
      Network.allows(
        list.split(",").map((text) => Either.getOrThrow(Network.parse(text))),
        peer
      )
    const cases: ReadonlyArray<readonly [list: string, peer: string, allowed: boolean]> = [
      ["127.0.0.0/8", "127.0.0.1:51234", true],
      ["127.0.0.0/8", "[::ffff:127.0.0.1]:5", true],
      ["::ffff:127.0.0.0/104", "127.0.0.1:5", true],
      ["::/0", "127.0.0.1:5", false],
      ["fe80::/10", "[fe80::1%eth0]:5", true],
      ["::1", "[::1]:5", true],
      ["unix", "unix:/run/s.sock", true],
      ["unix", "127.0.0.1:5", false],
      ["0.0.0.0/0,::/0", "unix:/run/s.sock", false],
      ["10.0.0.0/8,!10.1.0.0/16", "10.2.0.1:5", true],
      ["10.0.0.0/8,!10.1.0.0/16", "10.1.0.1:5", false],
      ["!10.1.0.0/16,10.0.0.0/8,10.1.0.1", "10.1.0.1:5", false],
      ["0.0.0.0/0,::/0,unix", "", false],
      ["0.0.0.0/0,::/0,unix", "memory", false],
      ["0.0.0.0/0", "1.2.3.4", false],
      ["0.0.0.0/0", "1.2.3.4.5:1", false]
    ]
    for (const [list, peer, allowed] of cases)
      expect([list, peer, allows(list, peer)]).toEqual([list, peer, allowed])
  })

  it.each([
    "",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "010.0.0.1",
    "10.0.0",
    "fe80::1%eth0",
    "::1/129",
    "unix/1",
    "!",
    "!!::1",
    "host"
  ])("rejects %j", (text) => expect(Either.isLeft(Network.parse(text))).toBe(true))
})

describe("a date", () => {
  it.prop("round-trips through its text", { time: times }, ({ time }) => {
    expect(UtcDate.parse(UtcDate.format(time))).toBe(time)
  })
  it("is in UTC; a date means 00:00", () => {
    const noon = Date.UTC(2027, 0, 1, 12)
    expect(UtcDate.parse("2027-01-01")).toBe(Date.UTC(2027, 0, 1))
    expect([UtcDate.parse("2027-01-01T12:00Z"), UtcDate.parse("2027-01-01T12:00:00Z")]).toEqual([
      noon,
      noon
    ])
    for (const text of [
      "2027-02-29",
      "2027-13-01",
      "2027-01-01T24:00Z",
      "2027-01-01T12:00",
      "20270101",
      "2027-1-1",
      "",
      "soon"
    ])
      expect([text, UtcDate.parse(text)]).toEqual([text, undefined])
  })
})

describe("rules", () => {
  const refusal = (options: string, attempt: Partial<Rules.Attempt> = {}) => {
    const [peer] = Either.getOrThrow(parse("/etc/authorized_peers", `\n${options} ${key} alice`))
    return (
      peer &&
      Rules.refusal(peer.rules, { from: "10.0.0.1:5", now: Date.UTC(2026, 5, 1), ...attempt })
    )
  }
  it("refuse with a reason and the line", () => {
    expect(refusal("")).toBe(undefined)
    expect(refusal("", { from: "nowhere", service: "tunnel" })).toBe(undefined)
    expect(refusal("revoked")).toBe("its key is revoked (authorized_peers:2)")
    expect(refusal('expiry-time="2026-06-01"')).toBe(
      "its key has expired: 2026-06-01 (authorized_peers:2)"
    )
    expect(refusal('expiry-time="2026-06-01T00:00:01Z"')).toBe(undefined)
    expect(refusal('from="10.0.0.0/8"')).toBe(undefined)
    expect(refusal('from="10.0.0.0/8"', { from: "11.0.0.1:5" })).toBe(
      "its rules allow connections only from 10.0.0.0/8 (authorized_peers:2)"
    )
    expect(refusal('services="message,file"', { service: "tunnel" })).toBe(
      "its rules allow only the services message, file, not tunnel (authorized_peers:2)"
    )
    expect(refusal('services="message,file"', { service: "file" })).toBe(undefined)
    expect(refusal('services="message"')).toBe(undefined)
  })
  it("each option has a valid example", () => {
    expect(ruleOptions().length).toBeGreaterThan(0)
    const examples = ruleOptions()
      .map((option) => OptionSpec.formatExample(option))
      .join(",")
    expect(faultOf(parse, `${examples} ${key} alice`)).toBe("read")
    expect(
      faultOf(
        parseKnown,
        `${Pin.options.map((option) => OptionSpec.formatExample(option)).join(",")} a:1 ${key} alice`
      )
    ).toBe("read")
    const paper = readFileSync(new URL("../../src/peers/PEERS.md", import.meta.url), "utf8")
    for (const options of [ruleOptions(), Pin.options])
      expect(paper).toContain(
        options
          .map((option) => `| \`${OptionSpec.formatExample(option)}\` | ${option.summary} |\n`)
          .join("")
      )
  })
})

describe("an edit", () => {
  const entries = FastCheck.array(
    FastCheck.oneof(
      comments,
      FastCheck.record({
        options: FastCheck.constantFrom(
          "",
          'services="message" ',
          '  from="10.0.0.0/8",connections="4"\t'
        ),
        name: names
      })
    ),
    { maxLength: 8 }
  )
  /** A file of random lines, and the numbers of the lines with peers. */
  const files = FastCheck.tuple(entries, newlines, FastCheck.boolean()).map(
    ([entries, newline, ended]) => {
      const lines = entries.map((entry, index) =>
        typeof entry === "string"
          ? entry
          : `${entry.options}${PublicKey.encode(keyOf(index))} \t${entry.name}  `
      )
      const peers = entries.flatMap((entry, index) =>
        typeof entry === "string" ? [] : [index + 1]
      )
      return {
        lines,
        peers,
        newline,
        text: lines.join(newline) + (ended && lines.length > 0 ? newline : "")
      }
    }
  )

  it.prop(
    "of a line keeps every other byte",
    { file: files, name: names },
    ({ file: { lines, peers, newline, text }, name }) => {
      const line = peers[0]
      const linesOf = (edited: string) => edited.split(newline)
      const added = PeerEdits.append(text, `${other} new`)
      expect(added.startsWith(text)).toBe(true)
      expect(added.slice(text.length).trim()).toBe(`${other} new`)
      if (line === undefined) return
      const without = linesOf(PeerEdits.remove(text, [line]))
      expect(without.filter((each) => each !== "")).toEqual(
        lines.filter((each, index) => index !== line - 1 && each !== "")
      )
      for (const [edit, check] of [
        [PeerEdits.rename(text, [line], name), (peer: AuthorizedPeer) => peer.name === name],
        [PeerEdits.revoke(text, [line]), ({ rules }: AuthorizedPeer) => rules.get(Rules.revoked)]
      ] as const) {
        expect(linesOf(edit).map((each, index) => (index === line - 1 ? "" : each))).toEqual(
          linesOf(text).map((each, index) => (index === line - 1 ? "" : each))
        )
        const edited = Either.getOrThrow(parse("peers", edit)).find((peer) => peer.line === line)
        expect(edited && check(edited)).toBe(true)
      }
      const [before] = Either.getOrThrow(parse("peers", text))
      const [after] = Either.getOrThrow(parse("peers", PeerEdits.revoke(text, [line])))
      expect(after).toEqual({ ...before, rules: before?.rules.with(Rules.revoked, true) })
    }
  )
})

const root = sharedFolder()
let folder = ""
let count = 0
beforeEach(() => {
  folder = path.join(root, `${count++}`)
  mkdirSync(folder, { mode: 0o700 })
})
const at = (name = "peers") => path.join(folder, name)
const asRoot = process.getuid?.() === 0

const add = (file: string, line: string) =>
  PeerFiles.edit(file, parse, (text) =>
    Either.right({ text: PeerEdits.append(text, line), result: undefined })
  )
const messageOf = <A, E extends Error>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("the peers file", () => {
  it.live("is created with mode 0600 in a folder with mode 0700, without other files", () =>
    Effect.gen(function* () {
      const file = at("new/sealwire/peers")
      yield* add(file, `${key} alice`)
      expect(readFileSync(file, "utf8")).toBe(`${key} alice\n`)
      expect([statSync(file).mode & 0o777, statSync(path.dirname(file)).mode & 0o777]).toEqual([
        0o600, 0o700
      ])
      expect(readdirSync(path.dirname(file))).toEqual(["peers"])
    })
  )
  it.live("keeps mode, group and symbolic link, also a dangling one", () =>
    Effect.gen(function* () {
      mkdirSync(at("real"), { mode: 0o700 })
      writeFileSync(at("real/peers"), `${key} alice\r\n`)
      chmodSync(at("real/peers"), 0o640)
      if (asRoot) chownSync(at("real/peers"), 0, 12)
      symlinkSync("real/peers", at("link"))
      symlinkSync("real/later", at("dangling"))
      for (const [link, target] of [
        ["link", "peers"],
        ["dangling", "later"]
      ] as const) {
        yield* add(at(link), `${other} bob`)
        expect(lstatSync(at(link)).isSymbolicLink()).toBe(true)
        expect(readFileSync(at(`real/${target}`), "utf8")).toContain(`${other} bob`)
      }
      expect(readFileSync(at("real/peers"), "utf8")).toBe(`${key} alice\r\n${other} bob\r\n`)
      expect([statSync(at("real/peers")).mode & 0o777, statSync(at("real/peers")).gid]).toEqual([
        0o640,
        asRoot ? 12 : process.getgid?.()
      ])
      expect(readdirSync(at("real")).toSorted()).toEqual(["later", "peers"])
    })
  )
  it.live(
    "is refused if others can change it or its folder, if it is not UTF-8, or not a file",
    () =>
      Effect.gen(function* () {
        writeFileSync(at(), `${key} alice\n`, { mode: 0o600 })
        for (const mode of [0o620, 0o602]) {
          chmodSync(at(), mode)
          for (const use of [PeerFiles.read(at()), add(at(), `${other} bob`)])
            expect(yield* messageOf(use)).toBe(
              `${at()}: others can change it; try: chmod 600 ${at()}`
            )
        }
        chmodSync(at(), 0o644)
        expect(yield* PeerFiles.read(at())).toBe(`${key} alice\n`)
        for (const [mode, refused] of [
          [0o770, true],
          [0o707, true],
          [0o1777, false],
          [0o755, false]
        ] as const) {
          chmodSync(folder, mode)
          const read = yield* Effect.either(PeerFiles.read(at()))
          expect([mode, Either.isLeft(read) && read.left.message]).toEqual([
            mode,
            refused && `${at()}: others can change its folder; try: chmod go-w ${folder}`
          ])
        }
        chmodSync(folder, 0o700)
        writeFileSync(at(), Buffer.from(`${key} alice\n# caf\xe9\n`, "latin1"))
        expect(yield* messageOf(PeerFiles.read(at()))).toBe(`${at()}:2:6: not valid UTF-8`)
        mkdirSync(at("folder"))
        expect(yield* messageOf(PeerFiles.read(at("folder")))).toContain("is not a regular file")
        expect(yield* PeerFiles.read(at("missing"))).toBe("")
      })
  )
  it.live("is refused if it or its folder belongs to another user", (context) =>
    Effect.gen(function* () {
      if (!asRoot) return context.skip("only root can change the owner of a file")
      writeFileSync(at(), `${key} alice\n`, { mode: 0o600 })
      chownSync(at(), 65534, 65534)
      expect(yield* messageOf(PeerFiles.read(at()))).toContain(
        "belongs to another user (uid 65534)"
      )
      chownSync(at(), 0, 0)
      chownSync(folder, 65534, 65534)
      expect(yield* messageOf(PeerFiles.read(at()))).toContain(
        `its folder belongs to another user (uid 65534); try: chown 0 ${folder}`
      )
    })
  )
  it.live(
    "rejects an edit that would make the file invalid, and does not change an invalid file",
    () =>
      Effect.gen(function* () {
        writeFileSync(at(), `${key} alice\n`, { mode: 0o600 })
        expect(yield* messageOf(add(at(), `${key} bob`))).toBe(
          `${at()}:2:1: duplicate key; it is on line 1 too; nothing was changed`
        )
        writeFileSync(at(), "nonsense\n")
        expect(yield* messageOf(add(at(), `${other} bob`))).toContain(
          `${at()}:1:1: unknown option "nonsense"`
        )
        expect(readFileSync(at(), "utf8")).toBe("nonsense\n")
        expect(readdirSync(folder)).toEqual(["peers"])
      })
  )
})

describe("concurrent editors", () => {
  it.live("in one process write every line exactly once", () =>
    Effect.gen(function* () {
      const lines = Array.from(
        { length: 12 },
        (_, index) => `${PublicKey.encode(keyOf(index))} peer-${index}`
      )
      yield* Effect.forEach(lines, (line) => add(at(), line), { concurrency: "unbounded" })
      expect(readFileSync(at(), "utf8").split("\n").toSorted()).toEqual(["", ...lines].toSorted())
      expect(readdirSync(folder)).toEqual(["peers"])
    })
  )
  it.live("in several processes write every line exactly once", () =>
    Effect.promise(async () => {
      // Bundled once: to compile its imports in each process takes seconds.
      const script = path.join(root, "addPeers.mjs")
      await build({
        entryPoints: [path.join(import.meta.dirname, "addPeers.ts")],
        bundle: true,
        platform: "node",
        format: "esm",
        outfile: script
      })
      const run = (first: number) =>
        promisify(execFile)(process.execPath, [script, at(), `${first}`, "8"])
      await Promise.all([0, 8, 16, 24].map(run))
      const peers = Either.getOrThrow(parse(at(), readFileSync(at(), "utf8")))
      expect(peers.map(({ name }) => name).toSorted()).toEqual(
        Array.from({ length: 32 }, (_, index) => `peer-${index}`).toSorted()
      )
      expect(readdirSync(folder)).toEqual(["peers"])
    })
  )

  const here = createHash("sha256").update(hostname()).digest("hex").slice(0, 8)
  const createLock = (pid: number, host = here) => {
    const lock = at(`peers.lock.${pid}.${host}.${randomBytes(8).toString("hex")}`)
    writeFileSync(lock, "")
    return lock
  }
  /** The ID of a process that has ended. */
  const endedProcess = () =>
    promisify(execFile)(process.execPath, ["-p", "process.pid"]).then(({ stdout }) =>
      Number(stdout)
    )

  it.live("remove a stale lock: of a process that has ended, or older than a minute", () =>
    Effect.gen(function* () {
      createLock(yield* Effect.promise(endedProcess))
      const old = createLock(process.pid)
      utimesSync(old, new Date(Date.now() - 61_000), new Date(Date.now() - 61_000))
      yield* add(at(), `${key} alice`)
      expect(readdirSync(folder)).toEqual(["peers"])
    })
  )
  it.effect("time out and report the lock holder", () =>
    Effect.gen(function* () {
      const lock = createLock(process.pid)
      const adding = yield* Effect.fork(add(at(), `${key} alice`))
      while (adding.unsafePoll() === null) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise((done) => setTimeout(done, 2)))
      }
      expect(yield* messageOf(adding.await.pipe(Effect.flatten))).toBe(
        `${at()}: locked by another sealwire (process ${process.pid}); try again, or remove ${lock} if that process does not exist`
      )
      expect(readdirSync(folder)).toEqual([path.basename(lock)])
    })
  )
  it.live("wait for a lock of a running process, also of one in another container", () =>
    Effect.gen(function* () {
      const dead = yield* Effect.promise(endedProcess)
      for (const lockOf of [() => createLock(process.pid), () => createLock(dead, "0123abcd")]) {
        const lock = lockOf()
        const adding = yield* Effect.fork(add(at(), `${PublicKey.encode(randomBytes(32))} peer`))
        yield* Effect.sleep(150)
        expect(adding.unsafePoll()).toBe(null)
        rmSync(lock)
        yield* adding.await.pipe(Effect.flatten)
      }
      expect(readdirSync(folder)).toEqual(["peers"])
    })
  )
})

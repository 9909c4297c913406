// Lines of a peers file that editors of other systems write.
import { expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as KnownPeers from "../../src/peers/KnownPeers.ts"
import * as PeerEdits from "../../src/peers/PeerEdits.ts"
import { linesOf } from "../../src/peers/PeerLine.ts"
import { parseAuthorized } from "../../src/peers/Peers.ts"
import { fileQuota } from "../../src/services/transfer/rules.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"

const key = PublicKey.encode(new Uint8Array(32).fill(1))
const namesIn = (text: string) =>
  Either.map(parseAuthorized(ruleOptions())("peers", text), (peers) =>
    peers.map(({ name, line }) => `${name}:${line}`)
  )

it("a byte order mark, tabs and CR LF are ignored", () => {
  for (const text of [
    `\ufeff${key} alice\n`,
    `\ufeff# a comment\r\n${key} alice\r\n`,
    `\n\t ${key}\t\talice \n`
  ])
    expect(namesIn(text)).toMatchObject({
      right: [expect.stringMatching(/^alice:[12]$/)]
    })
  expect(namesIn("\ufeff\n\r\n")).toMatchObject({ right: [] })
})

it("only the end of a line is cut off", () => {
  expect([...linesOf("a\r\nb\rc\n\n")]).toEqual(["a", "b\rc", "", ""])
})

it.each([
  ["1", true],
  ["9007199254740991", true],
  ["9007199254740992", false],
  ["99999999999999999999", false],
  ["0", false],
  ["01", false],
  ["-1", false],
  ["1.5", false],
  ["1K", false]
])('connections="%s" is valid: %s', (count, isValid) =>
  expect(Either.isRight(namesIn(`connections="${count}" ${key} alice`))).toBe(isValid)
)

it.each([
  ["1K", true],
  ["8388607G", true],
  ["8388608G", false],
  ["1k", false],
  ["K", false]
])('file-quota="%s" is valid: %s', (bytes, isValid) =>
  expect(Either.isRight(namesIn(`file-quota="${bytes}" ${key} alice`))).toBe(isValid)
)

it.each([
  ["10", 10],
  ["1K", 1024],
  ["3M", 3 * 1024 ** 2],
  ["20G", 20 * 1024 ** 3]
])('file-quota="%s" is %i bytes, and is written so again', (text, bytes) => {
  expect(Either.getOrThrow(fileQuota.decode(text))).toBe(bytes)
  expect(fileQuota.encode(bytes)).toBe(text)
})

it.each([
  ["", "new\n"],
  ["old\n", "old\nnew\n"],
  ["old", "old\nnew\n"],
  ["one\r\ntwo", "one\r\ntwo\r\nnew\r\n"],
  ["one\r\n", "one\r\nnew\r\n"]
])("a line is appended to %j on a line of its own", (text, edited) =>
  expect(PeerEdits.append(text, "new")).toBe(edited)
)

it.each([
  ["mail.example:8080", true],
  ["[::1]:1", true],
  ["#mail:1", false],
  ["a b:1", false],
  ["unix:/a\tb", false],
  ["a#b:1", true]
])("the address %j can be pinned: %s", (address, isPinnable) =>
  expect(KnownPeers.isPinnable(address)).toBe(isPinnable)
)

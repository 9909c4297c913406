// The lines of authorized_peers and known_peers, and the edits of both.
import * as Either from "effect/Either"
import * as PublicKey from "../../../src/keys/PublicKey.ts"
import * as OptionSpec from "../../../src/peers/OptionSpec.ts"
import * as PeerEdits from "../../../src/peers/PeerEdits.ts"
import * as PeerLine from "../../../src/peers/PeerLine.ts"
import {
  formatAuthorized,
  formatKnown,
  parseAuthorized,
  parseKnown,
  type AuthorizedPeer,
  type KnownPeer,
  type Parse
} from "../../../src/peers/Peers.ts"
import * as Pin from "../../../src/peers/Pin.ts"
import { isName } from "../../../src/peers/PeerName.ts"
import * as Utf8 from "../../../src/bytes/Utf8.ts"
import * as Rules from "../../../src/peers/Rules.ts"
import { ruleOptions } from "../../../src/services/builtin/index.ts"
import { alice, mallory, server } from "../fixed.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

const options = ruleOptions()
const [aliceKey, malloryKey, serverKey] = [alice, mallory, server].map(({ publicKey }) =>
  PublicKey.encode(publicKey)
) as [string, string, string]

const words = (specs: ReadonlyArray<OptionSpec.AnyOption>): ReadonlyArray<string> => [
  ...specs.flatMap((spec) => [`${OptionSpec.formatExample(spec)} `, `${spec.name},`]),
  aliceKey,
  malloryKey,
  serverKey,
  "\r\n",
  "\n",
  "# ",
  '\\"',
  "\ufeff",
  "\u200b"
]

/** What both kinds of peers have. */
interface Peer {
  readonly publicKey: Uint8Array
  readonly name: string
  readonly line: number
}

interface Kind<P extends Peer> {
  readonly parse: Parse<P>
  readonly format: (peer: P) => string
  readonly isRevoked: (peer: P) => boolean
}

const parsed = <P extends Peer>(kind: Kind<P>, text: string, what: string): ReadonlyArray<P> => {
  const result = kind.parse("peers", text)
  if (Either.isLeft(result)) throw new Error(`${what}: ${result.left.message}`)
  return result.right
}

/** The result of a line without its place. */
const content = <P extends Peer>(kind: Kind<P>, peers: ReadonlyArray<P>): string =>
  peers.map(kind.format).join("\n")

const run = <P extends Peer>(kind: Kind<P>, input: Buffer): string => {
  const text = Utf8.decode(input)
  if (text === undefined) return "not UTF-8"
  const result = kind.parse("peers", text)
  if (Either.isLeft(result)) {
    const { line, column, detail } = result.left
    const lines = [...PeerLine.linesOf(text)]
    check(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}`)
    check(column >= 1 && column <= (lines[line - 1]?.length ?? 0) + 1, `column ${column}`)
    // The end of a detail repeats less of the input than its beginning.
    return outcomeOf(detail.replace(/[\da-f:./]+/g, "0").slice(-30))
  }
  const peers = result.right
  const formatted = content(kind, peers)
  check(content(kind, parsed(kind, formatted, "formatted")) === formatted, "formats differently")
  const [first] = peers
  if (first === undefined) return "no peers"
  for (const { name } of peers) check(isName(name), `name ${name}`)

  const others = peers.slice(1)
  const removed = parsed(kind, PeerEdits.remove(text, [first.line]), "remove")
  check(content(kind, removed) === content(kind, others), "remove changed another line")
  // The commands do not revoke a key twice.
  const revoked = kind.isRevoked(first)
    ? peers
    : parsed(kind, PeerEdits.revoke(text, [first.line]), "revoke")
  check(kind.isRevoked(revoked[0] as P), "not revoked")
  check(content(kind, revoked.slice(1)) === content(kind, others), "revoke changed another line")
  // All lines of a name are one peer.
  const namesakes = peers.filter(({ name }) => name === first.name)
  const lines = namesakes.map(({ line }) => line)
  const renamed = parsed(kind, PeerEdits.rename(text, lines, "new-name"), "rename")
  const isRenamed = ({ line }: P) => lines.includes(line)
  check(
    renamed.filter(isRenamed).every(({ name }) => name === "new-name"),
    `renamed ${renamed[0]?.name}`
  )
  const rest = (list: ReadonlyArray<P>) =>
    content(
      kind,
      list.filter((peer) => !isRenamed(peer))
    )
  check(rest(renamed) === rest(peers), "rename changed another line")
  return `${Math.min(peers.length, 3)} peers`
}

const authorized: Kind<AuthorizedPeer> = {
  parse: parseAuthorized(options),
  format: ({ publicKey, name, rules }) =>
    formatAuthorized(publicKey, name, OptionSpec.encode(options, rules.options).join(",")),
  isRevoked: ({ rules }) => rules.get(Rules.revoked) === true
}

const known: Kind<KnownPeer> = {
  parse: parseKnown,
  format: ({ address, publicKey, name, pin }) =>
    formatKnown(address, publicKey, name, Pin.format(pin).join(",")),
  isRevoked: ({ pin }) => pin.revoked === true
}

export const authorizedPeers: Target = {
  maxBytes: 2000,
  seeds: () => [
    Buffer.from(`# a comment\n\n${aliceKey} alice\n${malloryKey} Zoë\n`),
    Buffer.from(`from="10.0.0.0/8,!10.1.0.0/16,2001:db8::/32,unix",revoked ${aliceKey} alice\r\n`),
    ...options.map((option) =>
      Buffer.from(`${OptionSpec.formatExample(option)} ${serverKey} server\n`)
    )
  ],
  words: words(options),
  run: (input) => run(authorized, input)
}

export const knownPeers: Target = {
  maxBytes: 2000,
  seeds: () => [
    Buffer.from(`mail.example:8080 ${aliceKey} mail\nmail.example:8080 ${malloryKey} mail\n`),
    Buffer.from(`retiring="2027-01-01" [::1]:80 ${serverKey} here\n`),
    Buffer.from(`revoked,retiring="2027-01-01T12:00:01Z" unix:/run/a ${serverKey} socket\r\n`)
  ],
  words: words(Pin.options),
  run: (input) => run(known, input)
}

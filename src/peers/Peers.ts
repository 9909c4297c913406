// Parses and formats the lines of authorized_peers and known_peers. PEERS.md.
import path from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as OptionSpec from "./OptionSpec.ts"
import * as PeerLine from "./PeerLine.ts"
import { atOnce, inTurns, itemsPerTurn, type Steps } from "./inTurns.ts"
import * as PeerName from "./PeerName.ts"
import * as Pin from "./Pin.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import { Rules } from "./Rules.ts"
import { excerpt, quoted, shown } from "../bytes/excerpt.ts"
import * as Address from "../transports/Address.ts"

/**
 * A line of `authorized_peers`: a key of an authorized client. A client with several keys has
 * several lines.
 */
export interface AuthorizedPeer {
  readonly publicKey: Uint8Array
  readonly name: string
  readonly rules: Rules
  readonly line: number
}

/** A line of `known_peers`: a key of a server, and the address at which it is reached. */
export interface KnownPeer {
  readonly address: string
  readonly publicKey: Uint8Array
  readonly name: string
  readonly pin: Pin.Pin
  readonly line: number
}

/** A peers file is invalid, or cannot be read or written. */
export class PeersInvalid extends Data.TaggedError("PeersInvalid")<{
  readonly file: string
  /** From 1; 0 for the file as a whole. */
  readonly line: number
  /** From 1, in UTF-16 code units; 0 for the line or the file as a whole. */
  readonly column: number
  readonly detail: string
}> {
  override get message(): string {
    return `${[shown(this.file), ...[this.line, this.column].filter((number) => number > 0)].join(":")}: ${this.detail}`
  }
}

/** Parses the text of a peers file; `file` is for errors. Fails at the first fault. */
export type Parse<Peer> = (
  file: string,
  text: string
) => Either.Either<ReadonlyArray<Peer>, PeersInvalid>

/**
 * Makes the parser of authorized_peers files whose lines may have these options. A line is
 * `options public-key name`; no key is on two lines.
 *
 * @example
 * const peers = yield* parseAuthorized(ruleOptions())("authorized_peers", text)
 */
export const parseAuthorized =
  (ruleOptions: ReadonlyArray<OptionSpec.AnyOption>): Parse<AuthorizedPeer> =>
  (file, text) =>
    atOnce(authorizedSteps(ruleOptions, file, text))

/**
 * Parses authorized_peers as `parseAuthorized` does, in turns of the event loop: for a server,
 * whose other work goes on.
 */
export const parseAuthorizedInTurns = (
  ruleOptions: ReadonlyArray<OptionSpec.AnyOption>,
  file: string,
  text: string
): Effect.Effect<ReadonlyArray<AuthorizedPeer>, PeersInvalid> =>
  Effect.flatten(inTurns(() => authorizedSteps(ruleOptions, file, text)))

const authorizedSteps = (
  ruleOptions: ReadonlyArray<OptionSpec.AnyOption>,
  file: string,
  text: string
) => {
  const lines = new Map<string, number>()
  const where = path.basename(file)
  return each(file, text, (line) => {
    const parts = partsOf(line, 0, ruleOptions, "public-key name")
    if (Either.isLeft(parts)) return parts.left
    const { key, publicKey, name, options } = parts.right
    const before = lines.get(key.text)
    if (before !== undefined)
      return { column: key.column, detail: `duplicate key; it is on line ${before} too` }
    lines.set(key.text, line.number)
    return {
      publicKey,
      name: name.text,
      rules: new Rules(`${where}:${line.number}`, options),
      line: line.number
    }
  })
}

/**
 * Parses known_peers. A line is `options address public-key name`; a name belongs to one address,
 * and an address has no key twice. Addresses in other spellings are read as the canonical one; two
 * names with different keys for one address in two spellings are refused: one was pinned while the
 * other was not recognized.
 */
export const parseKnown: Parse<KnownPeer> = (file, text) => {
  const lines = new Map<string, number>()
  const names = new Map<string, KnownPeer>()
  const pins = new Map<string, Array<SpelledPeer>>()
  const steps = each(file, text, (line) => {
    const parts = partsOf(line, 1, Pin.options, "address public-key name")
    if (Either.isLeft(parts)) return parts.left
    const { first, key, publicKey, name, options } = parts.right
    const before = lines.get(`${first.text} ${key.text}`)
    if (before !== undefined)
      return {
        column: first.column,
        detail: `duplicate key of this address; it is on line ${before} too`
      }
    lines.set(`${first.text} ${key.text}`, line.number)
    const peer = {
      address: Address.canonicalText(first.text),
      publicKey,
      name: name.text,
      pin: Pin.fromOptions(options),
      line: line.number
    }
    const ofAddress = pins.get(peer.address) ?? []
    const other = ofAddress.find((one) => isConflict(one, { ...peer, spelling: first.text }))
    if (other !== undefined)
      return {
        column: first.column,
        detail: `the same address as ${other.spelling} on line ${other.line}, with another key; one of the two is not the server's: remove it`
      }
    ofAddress.push({ ...peer, spelling: first.text })
    pins.set(peer.address, ofAddress)
    const namesake = names.get(peer.name)
    if (namesake === undefined) names.set(peer.name, peer)
    return namesake === undefined || namesake.address === peer.address
      ? peer
      : {
          column: name.column,
          detail: `this name is already used on line ${namesake.line}, for another address`
        }
  })
  return atOnce(steps)
}

/** True for two pins of one address that could not know of each other. */
const isConflict = (one: SpelledPeer, other: SpelledPeer): boolean =>
  one.spelling !== other.spelling &&
  one.name !== other.name &&
  one.pin.revoked === undefined &&
  other.pin.revoked === undefined &&
  Buffer.compare(one.publicKey, other.publicKey) !== 0

/** A pin, and its address as the line has it. */
interface SpelledPeer extends KnownPeer {
  readonly spelling: string
}

export const formatAuthorized = (publicKey: Uint8Array, name: string, options = ""): string =>
  [...(options === "" ? [] : [options]), PublicKey.encode(publicKey), name].join(" ")

export const formatKnown = (
  address: string,
  publicKey: Uint8Array,
  name: string,
  options = ""
): string =>
  [...(options === "" ? [] : [options]), address, PublicKey.encode(publicKey), name].join(" ")

interface Parts {
  readonly first: PeerLine.Word
  readonly key: PeerLine.Word
  readonly publicKey: Uint8Array
  readonly name: PeerLine.Word
  readonly options: OptionSpec.OptionValues
}

/** Parses the parts of both kinds of line: options, `before` words, key and name. */
const partsOf = (
  { options, words, end }: PeerLine.PeerLine,
  before: number,
  specs: ReadonlyArray<OptionSpec.AnyOption>,
  form: string
): Either.Either<Parts, PeerLine.Fault> => {
  const values = OptionSpec.decode(specs, options)
  if (Either.isLeft(values)) return Either.left(values.left)
  const [first] = words
  const [key, name, extra] = words.slice(before)
  const publicKey = PublicKey.decode(key?.text ?? "")
  if (first === undefined || key === undefined || publicKey === undefined)
    return Either.left({ column: key?.column ?? end, detail: `${noKey(key)}; write: ${form}` })
  return name !== undefined && PeerName.isName(name.text) && extra === undefined
    ? Either.right({ first, key, publicKey, name, options: values.right })
    : Either.left({
        column: (name !== undefined && PeerName.isName(name.text) ? extra : name)?.column ?? end,
        detail: `name expected after the key: ${PeerName.expected}`
      })
}

/** Longest invalid public key that an error repeats. */
const longestKey = 90

const noKey = (word: PeerLine.Word | undefined): string => {
  if (word === undefined) return "public key (sealwire1…) expected"
  if (/^SEALWIRE-/i.test(word.text))
    return "this is a secret key and must not be in a peers file; sealwire pubkey prints the public key"
  const text = PublicKey.looksLike(word.text)
    ? `${quoted(word.text.slice(0, longestKey))}`
    : excerpt(word.text)
  return `${text} is not a public key (sealwire1…)`
}

function* each<A extends object>(
  file: string,
  text: string,
  read: (line: PeerLine.PeerLine) => A | PeerLine.Fault
): Steps<Either.Either<ReadonlyArray<A>, PeersInvalid>> {
  const found: Array<A> = []
  let number = 0
  for (const written of PeerLine.linesOf(text)) {
    if (++number % itemsPerTurn === 0) yield
    const line = PeerLine.parse(written, number)
    const peer = Either.isLeft(line)
      ? line.left
      : line.right === undefined
        ? undefined
        : read(line.right)
    if (peer === undefined) continue
    if ("detail" in peer) return Either.left(new PeersInvalid({ file, line: number, ...peer }))
    found.push(peer)
  }
  return Either.right(found)
}

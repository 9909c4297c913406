// The part that the `peers` commands share: the choice between the two files, and one shape for the
// lines of both.
import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as UtcDate from "../../keys/UtcDate.ts"
import * as OptionSpec from "../../peers/OptionSpec.ts"
import * as PeerFiles from "../../peers/PeerFiles.ts"
import * as PeerName from "../../peers/PeerName.ts"
import { parseAuthorized, parseKnown, type Parse, type PeersInvalid } from "../../peers/Peers.ts"
import * as Pin from "../../peers/Pin.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import * as Rules from "../../peers/Rules.ts"
import { ruleOptions } from "../../services/builtin/index.ts"
import { excerpt, quoted, shown } from "../../bytes/excerpt.ts"
import { nearest } from "../arguments/nearest.ts"
import * as shared from "../arguments/options.ts"

/** No line matches the selector. */
export class PeerUnknown extends Data.TaggedError("PeerUnknown")<{
  readonly selector: string
  readonly file: string
  /** Names in the file that resemble the selector. */
  readonly suggestions: ReadonlyArray<string>
}> {
  override get message(): string {
    const hint =
      this.suggestions.length > 0
        ? `did you mean ${this.suggestions.join(", ")}?`
        : "list the peers: sealwire peers list"
    return `no peer ${PublicKey.decode(this.selector) === undefined ? quoted(this.selector) : this.selector} in ${shown(this.file)}; ${hint}`
  }
}

/** A change that was refused. */
export class PeersUnchanged extends Data.TaggedError("PeersUnchanged")<{
  /** The reason, as one clause. */
  readonly detail: string
}> {
  override get message(): string {
    return `nothing was changed: ${this.detail}`
  }
}

/** The options of every `peers` command. */
export const options = {
  known: Flag.boolean("known").pipe(
    Flag.withDescription(
      "Use known_peers (pinned servers) instead of authorized_peers (authorized clients)."
    )
  ),
  authorized: shared.authorizedPeers.pipe(
    Flag.excluding(["--known", "--known-peers"]),
    Flag.withGuesses("--file")
  ),
  knownPeers: Flag.text("known-peers").pipe(
    Flag.withValue("FILE"),
    Flag.completing("file"),
    Flag.optional,
    Flag.withDescription(
      "Use this file of pinned servers; implies --known.",
      `${shared.shownConfigFolder}/known_peers`
    )
  ),
  json: shared.json
}

/** Selects all lines of a name, or the lines of one key. */
export const selectorArgument = Operand.text("NAME|KEY").pipe(
  Operand.withDescription("Name (all its keys), public key (sealwire1…) or fingerprint (SHA256:…).")
)

export const outputMode = (json: boolean) => ({ json, wire: false, exact: false })

/** A line of authorized_peers or known_peers. */
export interface PeerEntry {
  readonly name: string
  readonly publicKey: Uint8Array
  /** The address of a server; undefined for a client. */
  readonly address: string | undefined
  /** The time at which the key expires or retires, in milliseconds since 1970. */
  readonly ends: number | undefined
  readonly revoked: boolean
  /** All options, as written in the line. */
  readonly options: ReadonlyArray<string>
  readonly line: number
}

export interface PeersFile {
  readonly path: string
  readonly known: boolean
  readonly parse: Parse<PeerEntry>
}

export const fileOf = ({ known, authorized, knownPeers }: Which): PeersFile => {
  const isKnown = known || Option.isSome(knownPeers)
  return {
    path: Option.getOrElse(isKnown ? knownPeers : authorized, () =>
      shared.configPath(isKnown ? "known_peers" : "authorized_peers")
    ),
    known: isKnown,
    parse: isKnown ? knownLines : authorizedLines
  }
}

interface Which {
  readonly known: boolean
  readonly authorized: Option.Option<string>
  readonly knownPeers: Option.Option<string>
}

/** authorized_peers or known_peers of this user. */
export const defaultFileOf = (known: boolean): PeersFile =>
  fileOf({ known, authorized: Option.none(), knownPeers: Option.none() })

const authorizedLines: Parse<PeerEntry> = (file, text) =>
  Either.map(parseAuthorized(ruleOptions())(file, text), (peers) =>
    peers.map(({ name, publicKey, rules, line }) => {
      const ends = rules.get(Rules.expiry)
      const revoked = rules.get(Rules.revoked) ?? false
      return {
        name,
        publicKey,
        address: undefined,
        ends,
        revoked,
        options: OptionSpec.encode(ruleOptions(), rules.options).map(withoutSecret),
        line
      }
    })
  )

/** `name="value"`; a value that may be a secret is not shown. */
const withoutSecret = (option: string): string => option.replace(/(?<=^[a-z-]+=").*(?="$)/s, shown)

const knownLines: Parse<PeerEntry> = (file, text) =>
  Either.map(parseKnown(file, text), (peers) =>
    peers.map(({ name, publicKey, address, pin, line }) => {
      const { retires: ends, revoked = false } = pin
      return {
        name,
        publicKey,
        address,
        ends,
        revoked,
        options: Pin.format(pin),
        line
      }
    })
  )

export const read = (file: PeersFile): Effect.Effect<ReadonlyArray<PeerEntry>, PeersInvalid> =>
  Effect.flatMap(PeerFiles.read(file.path), (text) => file.parse(file.path, text))

/** The lines that match the selector, at least one. */
export const select = (
  file: PeersFile,
  peers: ReadonlyArray<PeerEntry>,
  selector: string
): Either.Either<ReadonlyArray<PeerEntry>, PeerUnknown> => {
  const publicKey = PublicKey.decode(selector)
  const found = peers.filter((peer) =>
    publicKey !== undefined
      ? Buffer.compare(peer.publicKey, publicKey) === 0
      : peer.name === selector || PublicKey.fingerprint(peer.publicKey) === selector
  )
  const names = peers.map(({ name }) => name)
  return found.length > 0
    ? Either.right(found)
    : Either.left(
        new PeerUnknown({ selector, file: file.path, suggestions: nearest(selector, names) })
      )
}

/** Edits the lines that match the selector and satisfy `applies`; returns those lines. */
export const change = (
  file: PeersFile,
  selector: string,
  edit: (text: string, lines: ReadonlyArray<number>) => string,
  applies: (peer: PeerEntry) => boolean = () => true
) =>
  PeerFiles.edit(file.path, file.parse, (text, peers) =>
    Either.map(select(file, peers, selector), (found) => {
      const changed = found.filter(applies)
      const lines = changed.map(({ line }) => line)
      return { text: edit(text, lines), result: changed }
    })
  )

/** Fails if the text is not a valid name. */
export const checkName = (name: string): Effect.Effect<void, PeersUnchanged> =>
  PeerName.isName(name)
    ? Effect.void
    : new PeersUnchanged({
        detail: `${excerpt(name)} is not a valid name; a name is ${PeerName.expected}`
      })

/** True if the key is revoked, expired or retired. */
export const isEnded = ({ ends, revoked }: PeerEntry, now: number): boolean =>
  revoked || (ends !== undefined && now >= ends)

/** The state of the key, with its date: "active", "expires 2027-01-01". */
export const stateOf = ({ ends, revoked, address }: PeerEntry, now: number): string => {
  if (revoked) return "revoked"
  if (ends === undefined) return "active"
  const [past, future] = address === undefined ? ["expired", "expires"] : ["retired", "retires"]
  return `${now >= ends ? past : future} ${UtcDate.format(ends)}`
}

export const fieldsOf = (file: PeersFile, peer: PeerEntry, now: number) => ({
  name: peer.name,
  ...(peer.address === undefined ? {} : { address: shown(peer.address) }),
  publicKey: PublicKey.encode(peer.publicKey),
  fingerprint: PublicKey.fingerprint(peer.publicKey),
  state: stateOf(peer, now).split(" ", 1)[0],
  ...(peer.ends === undefined ? {} : { endsAt: new Date(peer.ends).toISOString() }),
  options: peer.options.join(","),
  file: file.path,
  line: peer.line
})

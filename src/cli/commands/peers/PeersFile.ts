// What the `peers` commands have in common: which of the two files it is, and a line of either in one shape.
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as UtcDate from "../../../keys/UtcDate.ts"
import * as OptionSpec from "../../../peers/OptionSpec.ts"
import * as PeerFiles from "../../../peers/PeerFiles.ts"
import * as PeerName from "../../../peers/PeerName.ts"
import { parseAuthorized, parseKnown, type Parse, type PeersInvalid } from "../../../peers/Peers.ts"
import * as Pin from "../../../peers/Pin.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import * as Rules from "../../../peers/Rules.ts"
import { excerpt } from "../../../bytes/excerpt.ts"
import { nearest } from "../../arguments/nearest.ts"
import * as shared from "../../arguments/options.ts"

/** No line has what was asked for. */
export class PeerUnknown extends Data.TaggedError("PeerUnknown")<{
  readonly wanted: string
  readonly file: string
  /** Names that are there and much like it. */
  readonly near: ReadonlyArray<string>
}> {
  override get message(): string {
    const hint =
      this.near.length > 0
        ? `did you mean ${this.near.join(", ")}?`
        : "sealwire peers list shows who is there"
    return `no peer ${PublicKey.decode(this.wanted) === undefined ? excerpt(this.wanted) : this.wanted} in ${this.file}; ${hint}`
  }
}

/** A change that is not made, with the reason as one clause. */
export class PeersUnchanged extends Data.TaggedError("PeersUnchanged")<{
  readonly detail: string
}> {
  override get message(): string {
    return `nothing was changed: ${this.detail}`
  }
}

/** The options every one of them has. */
export const options = {
  known: Options.boolean("known").pipe(
    Options.withDescription(
      "known_peers, the servers that this user knows, instead of authorized_peers."
    )
  ),
  file: Options.text("file").pipe(
    Options.withPseudoName("FILE"),
    Options.optional,
    Options.withDescription(
      `Another file. Default: ${shared.shownConfigFolder}/authorized_peers; with --known, known_peers there.`
    )
  ),
  json: shared.json
}

/** Which lines: all of a name, or one by its key. */
export const selector = Args.text({ name: "NAME|KEY" }).pipe(
  Args.withDescription(
    "The name, which stands for all its keys; or one key (sealwire1…) or its fingerprint (SHA256:…)."
  )
)

export const outputMode = (json: boolean) => ({ json, wire: false, exact: false })

/** A line of either file. */
export interface Listed {
  readonly name: string
  readonly publicKey: Uint8Array
  /** Of a server alone. */
  readonly address: string | undefined
  /** The moment the key expires or retires. */
  readonly ends: number | undefined
  readonly revoked: boolean
  /** All options, each as the line holds it. */
  readonly options: ReadonlyArray<string>
  readonly line: number
}

export interface PeersFile {
  readonly path: string
  readonly known: boolean
  readonly parse: Parse<Listed>
}

export const fileOf = ({
  known,
  file
}: {
  readonly known: boolean
  readonly file: Option.Option<string>
}): PeersFile => ({
  path: Option.getOrElse(file, () => shared.configPath(known ? "known_peers" : "authorized_peers")),
  known,
  parse: known ? knownLines : authorizedLines
})

const authorizedLines: Parse<Listed> = (file, text) =>
  Either.map(parseAuthorized(file, text), (peers) =>
    peers.map(({ name, publicKey, rules, line }) => {
      const { expires: ends, revoked = false } = rules
      return {
        name,
        publicKey,
        address: undefined,
        ends,
        revoked,
        options: Rules.format(rules),
        line
      }
    })
  )

const knownLines: Parse<Listed> = (file, text) =>
  Either.map(parseKnown(file, text), (peers) =>
    peers.map(({ name, publicKey, address, pin, line }) => {
      const { retires: ends, revoked = false } = pin
      return {
        name,
        publicKey,
        address,
        ends,
        revoked,
        options: OptionSpec.format(Pin.options, pin),
        line
      }
    })
  )

export const read = (file: PeersFile): Effect.Effect<ReadonlyArray<Listed>, PeersInvalid> =>
  Effect.flatMap(PeerFiles.read(file.path), (text) => file.parse(file.path, text))

/** The lines that the selector means, at least one. */
export const select = (
  file: PeersFile,
  peers: ReadonlyArray<Listed>,
  wanted: string
): Either.Either<ReadonlyArray<Listed>, PeerUnknown> => {
  const publicKey = PublicKey.decode(wanted)
  const found = peers.filter((peer) =>
    publicKey !== undefined
      ? Buffer.compare(peer.publicKey, publicKey) === 0
      : peer.name === wanted || PublicKey.fingerprint(peer.publicKey) === wanted
  )
  const names = peers.map(({ name }) => name)
  return found.length > 0
    ? Either.right(found)
    : Either.left(new PeerUnknown({ wanted, file: file.path, near: nearest(wanted, names) }))
}

/** Changes the lines that the selector means and `applies` leaves; gives those. */
export const change = (
  file: PeersFile,
  wanted: string,
  edit: (text: string, lines: ReadonlyArray<number>) => string,
  applies: (peer: Listed) => boolean = () => true
) =>
  PeerFiles.edit(file.path, file.parse, (text, peers) =>
    Either.map(select(file, peers, wanted), (found) => {
      const changed = found.filter(applies)
      const lines = changed.map(({ line }) => line)
      return { text: edit(text, lines), result: changed }
    })
  )

/** A name that a line may get. */
export const checkName = (name: string): Effect.Effect<void, PeersUnchanged> =>
  PeerName.isName(name)
    ? Effect.void
    : new PeersUnchanged({ detail: `${excerpt(name)} is no name; a name is ${PeerName.expected}` })

/** Whether the key is not good any more. */
export const isEnded = ({ ends, revoked }: Listed, now: number): boolean =>
  revoked || (ends !== undefined && now >= ends)

/** Whether the key is good, and until when. */
export const stateOf = ({ ends, revoked, address }: Listed, now: number): string => {
  if (revoked) return "revoked"
  if (ends === undefined) return "active"
  const [past, future] = address === undefined ? ["expired", "expires"] : ["retired", "retires"]
  return `${now >= ends ? past : future} ${UtcDate.format(ends)}`
}

export const fieldsOf = (file: PeersFile, peer: Listed, now: number) => ({
  name: peer.name,
  ...(peer.address === undefined ? {} : { address: peer.address }),
  publicKey: PublicKey.encode(peer.publicKey),
  fingerprint: PublicKey.fingerprint(peer.publicKey),
  state: stateOf(peer, now).split(" ", 1)[0],
  ...(peer.ends === undefined ? {} : { ends: new Date(peer.ends).toISOString() }),
  options: peer.options.join(","),
  file: file.path,
  line: peer.line
})
